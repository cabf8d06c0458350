"""What a cycle has done so far, on disk after every step."""

import json
import os
from collections.abc import Mapping
from enum import IntEnum
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evals.atomic import sync_folder, write_text
from evals.content_hash import canonical_json
from lifeos.errors import InputError
from lifeos.settings import validation_line

SCHEMA = "lifeos.cycle/1"
Stage = Literal["guard", "run", "validate", "promote", "eval", "commit"]
STAGES: tuple[Stage, ...] = ("guard", "run", "validate", "promote", "eval", "commit")
STATE_FILE, EVENTS_FILE, REPORT_FILE = "state.json", "events.jsonl", "report.md"


class Exit(IntEnum):
    """Exit status of a cycle."""

    DONE = 0
    USAGE = 2
    GUARD = 10
    AGENT = 20
    LIMIT = 21
    INVALID = 22
    PROMOTION = 30
    EVAL = 40
    COMMIT = 50
    LOCKED = 60
    STOP = 70
    INTERRUPT = 130


class Options(BaseModel):
    """What the cycle was asked for; kept, so that a resumed one does the same."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    adapter: str = "builtin"
    agent: bool = True
    release: bool = False
    max_usd: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    close_breaker: bool = False


class StageState(BaseModel):
    """One stage: how it stands, and facts that later stages and the report read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    status: Literal["started", "done", "skipped", "failed"]
    said: str = ""
    detail: dict[str, Any] = {}
    outputs: dict[str, str] = {}


class CycleState(BaseModel):
    """A cycle; ``exit_code`` is None while it has not come to its end."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_: Literal["lifeos.cycle/1"] = Field(alias="schema", default="lifeos.cycle/1")
    run: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,79}$")
    as_of: str = Field(pattern=r"^\d{4}-\d\d-\d\d$")
    # To the microsecond: cycles of one second were told apart by their random ids, and the breaker saw another order.
    created: str
    base_commit: str
    options: Options
    stages: dict[Stage, StageState] = {}
    exit_code: int | None = None
    reason: str = ""

    def with_stage(self, stage: Stage, state: StageState) -> "CycleState":
        """Return this state with one stage replaced."""
        return self.model_copy(update={"stages": {**self.stages, stage: state}})

    def finished(self, stage: Stage) -> bool:
        """Return whether a stage needs no work any more."""
        return stage in self.stages and self.stages[stage].status in ("done", "skipped")

    @property
    def resumable(self) -> bool:
        """Return whether going on can lead anywhere: an agent's run that ended badly stays as it ended."""
        run = self.stages.get("run")
        return not self.finished("commit") and (run is None or run.status != "failed")

    def detail(self, stage: Stage) -> dict[str, Any]:
        """Return the facts of a stage, empty while it has none."""
        return self.stages[stage].detail if stage in self.stages else {}


def cycles_folder(artifacts: Path) -> Path:
    """Return where cycles lie."""
    return artifacts / "cycles"


def save_state(folder: Path, state: CycleState) -> None:
    """Write the state; raises ``OSError`` where it cannot be written."""
    write_text(folder / STATE_FILE, json.dumps(state.model_dump(by_alias=True, mode="json"), indent=1) + "\n")


def load_state(folder: Path) -> CycleState:
    """Read the state of a cycle.

    Raises:
        InputError: there is none, or it is something else.
    """
    path = folder / STATE_FILE
    try:
        return CycleState.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"{folder.name}: accepted a run in {folder.parent}, got none; next: lifeos status") from error
    except ValidationError as error:
        raise InputError(validation_line(path, error, "start a new cycle: lifeos run-full-cycle")) from error


def all_states(artifacts: Path) -> list[CycleState]:
    """Return every cycle that can be read, oldest first."""
    found = []
    for path in cycles_folder(artifacts).glob(f"*/{STATE_FILE}"):
        try:
            found.append(load_state(path.parent))
        except InputError:
            # A folder of another version of lifeos says nothing about this one.
            continue
    return sorted(found, key=lambda state: (state.created, state.run))


def add_event(folder: Path, time: str, name: str, facts: Mapping[str, Any]) -> None:
    """Append one event; a line torn by a kill is closed first, so that the next one stands on its own."""
    path = folder / EVENTS_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    line = canonical_json({"time": time, "event": name, **facts}).encode("ascii") + b"\n"
    with path.open("a+b") as file:
        if file.tell() > 0:
            file.seek(-1, os.SEEK_END)
            line = line if file.read(1) == b"\n" else b"\n" + line
        file.write(line)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(folder)
