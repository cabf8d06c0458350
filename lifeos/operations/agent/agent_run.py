"""One run of an agent: started within its bounds, stopped, and judged by the file it left."""

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from evals.atomic import write_bytes, write_json
from evals.content_hash import hash_bytes
from lifeos.operations.agent.adapters import Adapter, Asked, Heard
from lifeos.operations.agent.contract import EXIT_CODES, ContractFile, Outcome
from lifeos.operations.agent.watchdog import GRACE_SECONDS, Watched, watch
from lifeos.operations.agent.worktree import differences, fingerprint, refs_of, throw_away_worktree
from lifeos.operations.briefing import BriefingError, Problem, parse_briefing
from lifeos.operations.stop_file import stop_asked
from lifeos.settings import project_root

SCHEMA = "lifeos.agent_run/1"
RESULT_FILE = "result.json"
# What a program needs to run at all; nothing that opens a door.
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TEMP", "TMP", "TERM", "USER", "SYSTEMROOT",
              "COMSPEC", "PATHEXT", "WINDIR", "USERPROFILE", "APPDATA", "LOCALAPPDATA")  # fmt: skip
# Of the checkout itself. The history is not in it: another run may append a row meanwhile, and its chain guards it.
_CONTROL = ("CLAUDE.md", "PROGRESS.md", "context", "agents", "gates", "evals/policy.toml", "lifeos.toml")


@dataclass(frozen=True)
class AgentResult:
    """How a run ended.

    Args:
        run, adapter: which.
        outcome: one of the contract's.
        reason: one sentence.
        briefing: file of the briefing that was taken, absolute, or None.
        sha256: of it.
        usd, turns: as the agent says, or None.
        seconds: it ran.
        forbidden: what it changed outside its folder.
        warnings: budgets that the agent cannot be told.
        transcript: folder with what it printed.
    """

    run: str
    adapter: str
    outcome: Outcome
    reason: str
    briefing: str | None
    sha256: str | None
    usd: float | None
    turns: int | None
    seconds: float
    forbidden: tuple[str, ...]
    warnings: tuple[str, ...]
    transcript: str

    @property
    def exit_code(self) -> int:
        """Return the exit status of the outcome."""
        return EXIT_CODES[self.outcome]

    def to_json(self) -> dict[str, Any]:
        """Return the answer of ``lifeos agent run --json``."""
        return {"schema": SCHEMA, **asdict(self), "forbidden": list(self.forbidden), "warnings": list(self.warnings)}


def run_agent(
    root: Path,
    contract: ContractFile,
    adapter: Adapter,
    *,
    run: str,
    as_of: date,
    now: Callable[[], datetime],
    artifacts: Path,
    history: Path | None = None,
    max_usd: float | None = None,
    seconds: Mapping[str, float] | None = None,
) -> AgentResult:
    """Run an agent once; a run whose result is on disk is not run again, its result is returned.

    Args:
        root: the checkout; nothing in it is written but the data folder.
        contract: bounds.
        adapter: kind of agent.
        run: id, which is also that of its briefing.
        as_of: day that the agent is told.
        now: clock; its time of the start is what the briefing must carry as ``created``.
        artifacts: data folder.
        history: file of rows that the agent may read, or None.
        max_usd: less than the contract allows.
        seconds: other values of ``wall_s``, ``idle_s`` and ``grace_s``.

    Raises:
        InputError: the data folder holds a result that cannot be read.
        OSError: it cannot be written.
    """
    record = artifacts / "agent-runs" / run
    if (record / RESULT_FILE).exists():
        return _read_result(record)
    record.mkdir(parents=True, exist_ok=True)
    terms = contract.contract
    clocks = {"wall_s": terms.budgets.wall_s, "idle_s": terms.budgets.idle_s, "grace_s": GRACE_SECONDS}
    clocks |= seconds or {}
    money = terms.budgets.usd if max_usd is None else min(max_usd, terms.budgets.usd)
    budgets = terms.budgets.model_copy(update={"usd": money})
    output = terms.output.path.replace("{run}", run)
    created = now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    warnings = tuple(f"{adapter.name} takes no limit of {name}" for name in adapter.unsupported)
    guarded, refs = fingerprint_of(root, _CONTROL), refs_of(root)
    reads = [*terms.reads, contract.name]
    with throw_away_worktree(root, record, reads) as place:
        rows = _place_history(root, place, history)
        before = fingerprint(place, terms.writes)
        asked = Asked(_prompt(contract, run, created, as_of, output), budgets, run, created, place, output, rows,
                      contract.name)  # fmt: skip
        (place / output).parent.mkdir(parents=True, exist_ok=True)
        start = adapter.start(asked)
        environment = {name: os.environ[name] for name in (*_PASSED_ON, *start.passed_on) if name in os.environ}
        # So that its self-check finds the parser that will judge it.
        environment |= {"PYTHONPATH": str(project_root()), "PYTHONDONTWRITEBYTECODE": "1"}
        watched = watch(
            start.argv, cwd=place, environment={**environment, **start.environment}, stdin=start.stdin,
            stdout=record / "stdout.txt", stderr=record / "stderr.txt", wall_s=clocks["wall_s"],
            idle_s=clocks["idle_s"], grace_s=clocks["grace_s"], alive=lambda: _sign_of_life(place / output),
            stopped=lambda: stop_asked(root),
        )  # fmt: skip
        forbidden = differences(before, fingerprint(place, terms.writes))
        forbidden += [f"{name} of the checkout" for name in differences(guarded, fingerprint_of(root, _CONTROL))]
        forbidden += [f"{name} of the repository" for name in differences(refs, refs_of(root))]
        data = _output_bytes(place, output)
        strange = [name for name in fingerprint(place / terms.writes[0]) if name != Path(output).name]
    forbidden += [f"{terms.writes[0]}/{name} (another file)" for name in strange]
    heard = adapter.hear((record / "stdout.txt").read_bytes())
    outcome, reason, problems = judge_run(watched, heard, data, forbidden, money, contract, run, created)
    taken = _take(artifacts, run, data, outcome, problems)
    result = AgentResult(
        run, adapter.name, outcome, reason, None if taken is None else str(taken),
        None if taken is None or data is None else hash_bytes(data), heard.usd, heard.turns, round(watched.seconds, 3),
        tuple(forbidden[:50]), warnings, str(record),
    )  # fmt: skip
    write_json(record / RESULT_FILE, result.to_json())
    return result


def judge_run(
    watched: Watched,
    heard: Heard,
    data: bytes | None,
    forbidden: Sequence[str],
    money: float,
    contract: ContractFile,
    run: str,
    created: str,
) -> tuple[Outcome, str, tuple[Problem, ...]]:
    """Return outcome, reason and problems of the briefing; the file decides, never a status or a phrase.

    In this order: a person's stop; a write outside its folder; a clock; a limit that the agent names; what it cost; a
    file that is missing (crashed when the process failed, else invalid: it said nothing); a file that is refused; what
    the file says.

    Args:
        watched: how the process ended.
        heard: what it says of its end.
        data: bytes of its file, or None.
        forbidden: writes outside its folder.
        money: limit in USD.
        contract: bounds.
        run, created: that the briefing must carry.
    """
    if watched.end == "stop":
        return "operator_stop", f"a person put a file {contract.contract.kill} there", ()
    if watched.end == "not_started":
        return "crashed", f"it could not be started: {watched.said}", ()
    if forbidden:
        more = f" (and {len(forbidden) - 1} more)" if len(forbidden) > 1 else ""
        return "denied", f"it wrote outside its folder: {forbidden[0]}{more}", ()
    if watched.end == "wall":
        return "limit_time", f"it ran for {watched.seconds:.0f} s", ()
    if watched.end == "idle":
        return "stalled", "nothing it printed or wrote changed any more", ()
    if heard.limit is not None:
        return heard.limit, f"it says {heard.said}", ()
    if heard.usd is not None and heard.usd > money:
        return "limit_cost", f"it cost {heard.usd:.2f} USD, {money:.2f} were allowed", ()
    if heard.turns is not None and heard.turns > contract.contract.budgets.turns:
        return "limit_turns", f"it took {heard.turns} turns, {contract.contract.budgets.turns} were allowed", ()
    if data is None:
        if watched.status != 0:
            return "crashed", f"it ended with status {watched.status} and no briefing", ()
        return "invalid_output", "it ended as if all were well and wrote no briefing", ()
    return _judge_briefing(data, contract, run, created)


def _judge_briefing(
    data: bytes, contract: ContractFile, run: str, created: str
) -> tuple[Outcome, str, tuple[Problem, ...]]:
    name = f"{run}.md"
    try:
        briefing = parse_briefing(data, name)
    except BriefingError as error:
        return "invalid_output", f"line {error.problems[0].line}: {error.problems[0].text}", error.problems
    wanted = {"id": run, "run_id": run, "contract": contract.name, "created": created}
    wrong = [f"{key}: accepted {value}, got {getattr(briefing, key)}" for key, value in wanted.items()
             if getattr(briefing, key) != value]  # fmt: skip
    if len(briefing.items) > contract.contract.budgets.items:
        wrong.append(f"{len(briefing.items)} items, {contract.contract.budgets.items} are accepted")
    if wrong:
        return "invalid_output", wrong[0], tuple(Problem(1, said) for said in wrong)
    if briefing.outcome == "blocked":
        return "blocked", "it says that it needs a person", ()
    if briefing.outcome == "no_work":
        return "no_work", "it says that there is nothing to do, and why", ()
    return briefing.outcome, f"a briefing of {len(briefing.items)} items", ()


def fingerprint_of(root: Path, names: Sequence[str]) -> dict[str, str]:
    """Return the fingerprint of several files and folders of a checkout; bytecode and locks are no content."""
    found: dict[str, str] = {}
    for name in names:
        path = root / name
        if path.is_dir():
            inside = fingerprint(path)
            found |= {f"{name}/{each}": digest for each, digest in inside.items()}
        elif path.is_file():
            found[name] = hash_bytes(path.read_bytes())
    return {name: digest for name, digest in found.items() if "__pycache__" not in name and not name.endswith(".lock")}


def _output_bytes(place: Path, output: str) -> bytes | None:
    path = place / output
    if path.is_symlink() or not path.is_file() or not path.resolve().is_relative_to(place.resolve()):
        return None
    # More than a briefing can be; the parser names the size.
    with path.open("rb") as file:
        return file.read(1 << 20)


def _place_history(root: Path, place: Path, history: Path | None) -> str | None:
    if history is None or not history.is_file():
        return None
    inside = history.resolve().is_relative_to(root.resolve())
    name = history.resolve().relative_to(root.resolve()).as_posix() if inside else "evals/eval_history.jsonl"
    (place / name).parent.mkdir(parents=True, exist_ok=True)
    (place / name).write_bytes(history.read_bytes())
    return name


def _sign_of_life(output: Path) -> object:
    try:
        return sorted((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in output.parent.iterdir())
    except OSError:
        return None


def _take(
    artifacts: Path, run: str, data: bytes | None, outcome: Outcome, problems: Sequence[Problem]
) -> Path | None:
    """Copy a good briefing in, a refused one into quarantine, and nothing else."""
    if data is None:
        return None
    folder = artifacts / "briefings"
    if outcome in ("ok", "partial", "no_work"):
        write_bytes(folder / f"{run}.md", data)
        return folder / f"{run}.md"
    if outcome == "invalid_output":
        said = "".join(f"{run}.md:{problem.line}: {problem.text}\n" for problem in problems)
        write_bytes(folder / "quarantine" / f"{run}.problems.txt", said.encode("utf-8"))
        write_bytes(folder / "quarantine" / f"{run}.md", data)
    return None


def _prompt(contract: ContractFile, run: str, created: str, as_of: date, output: str) -> str:
    return (
        f"You work under {contract.name}; read it first and keep to it.\n"
        f"Run id and briefing id: {run}\ncreated: {created}\nToday is {as_of.isoformat()}.\n"
        f"Write one file, {output}, and nothing else. Check it with:\n"
        f'"{sys.executable}" -P -m lifeos agent check {output}\n'
    )


def _read_result(record: Path) -> AgentResult:
    from lifeos.errors import InputError

    try:
        values = json.loads((record / RESULT_FILE).read_text(encoding="utf-8"))
        values.pop("schema")
        values["forbidden"], values["warnings"] = tuple(values["forbidden"]), tuple(values["warnings"])
        return AgentResult(**values)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(
            f"{record / RESULT_FILE}: accepted the result of a run, got {error}; next: start a new run"
        ) from error
