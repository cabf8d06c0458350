"""The list of gates, and which of them a run must have seen."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lifeos.errors import InputError
from lifeos.settings import project_root, read_toml, validation_line

Phase = Literal["cheap", "predeploy", "pod", "release"]
PHASES: tuple[Phase, ...] = ("cheap", "predeploy", "pod", "release")
KNOWN_FAILURE = "known_failure"
"""The one test in gates/ that is no gate: each of its nodes belongs to the gate that its entry names."""
Need = Literal[
    "lora", "recipe", "images", "champion", "training_log", "clip", "gpu", "pod", "xformers", "bitsandbytes",
    "insightface", "training_smoke", "budget", "second_faces",
]  # fmt: skip


class GateRow(BaseModel):
    """One gate of the manifest: id, phases, severity, declared inputs it needs, and what a pass proves."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    phases: Annotated[list[Phase], Field(min_length=1)]
    severity: Literal["hard", "soft"]
    needs: list[Need] = []
    proves: Annotated[str, Field(min_length=1)]


class _ManifestFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    gate: Annotated[list[GateRow], Field(min_length=1)]
    unlisted_rules: Phase | None = None

    @model_validator(mode="after")
    def _ids_are_unique(self) -> "_ManifestFile":
        ids = [row.id for row in self.gate]
        repeated = sorted({name for name in ids if ids.count(name) > 1})
        if repeated:
            raise ValueError(f"every gate id stands once, but {repeated[0]} is repeated")
        return self


@dataclass(frozen=True)
class Manifest:
    """All gates, in the order in which they are shown.

    ``from_policy`` are those that the file does not list: soft rules of the policy, which state themselves what they
    prove. They stand in ``gates`` too.
    """

    path: Path
    gates: tuple[GateRow, ...]
    from_policy: tuple[GateRow, ...] = ()

    def phase(self, phase: str) -> tuple[GateRow, ...]:
        """Return the gates of one phase."""
        return tuple(row for row in self.gates if phase in row.phases)

    def row(self, gate: str) -> GateRow | None:
        """Return the row of a gate id, or None when the manifest does not list it."""
        return next((row for row in self.gates if row.id == gate), None)


def default_manifest() -> Path:
    """Return the path of the checkout's own manifest."""
    return project_root() / "gates" / "manifest.toml"


def load_manifest(path: Path) -> Manifest:
    """Read a manifest.

    With ``unlisted_rules = PHASE`` in it, every rule of the shipped policy that it does not list is a soft gate of that
    phase: a metric family gets its gate by its line in the policy alone.

    Raises:
        InputError: no such file, no TOML, an unknown key, phase, severity or need, a repeated id, no gate at all, or an
            unlisted rule that does not state what it proves.
    """
    try:
        file = _ManifestFile.model_validate(read_toml(path))
    except ValidationError as error:
        raise InputError(validation_line(path, error, "edit the manifest")) from error
    unlisted = () if file.unlisted_rules is None else _unlisted_rules(file, file.unlisted_rules)
    return Manifest(Path(path), (*file.gate, *unlisted), unlisted)


def _unlisted_rules(file: _ManifestFile, phase: Phase) -> tuple[GateRow, ...]:
    from evals.policy import DEFAULT_POLICY, row_gates, stated_needs, stated_proofs

    listed, proofs, needs = {row.id for row in file.gate}, stated_proofs(), stated_needs()
    rows = []
    for gate in row_gates():
        if gate in listed:
            continue
        try:
            given = {"proves": proofs.get(gate, ""), "needs": needs.get(gate, [])}
            rows.append(GateRow.model_validate({"id": gate, "phases": [phase], "severity": "soft", **given}))
        except ValidationError as error:
            raise InputError(validation_line(DEFAULT_POLICY, error, f"state what gates.{gate} proves")) from error
    return tuple(rows)


def missing_needs(row: GateRow, declared: frozenset[str]) -> list[str]:
    """Return what the gate needs and the run did not declare; empty means that the gate is expected."""
    return sorted(set(row.needs) - declared)
