"""What one entry says: a file ``<subject>/<id>.toml``, every key checked, unknown keys refused."""

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

Phase = Literal["cheap", "predeploy", "pod", "release"]
LooksAt = Literal["requirements", "pod", "recipe", "dataset", "weights", "training_log", "samples", "machine"]
Need = Literal["gpu", "linux", "windows", "other_image", "other_host", "incident"]
"""``other_image``: an image with other packages; ``other_host``: another driver or provider; ``incident``: the run."""
Scalar = str | int | float | bool

_LEAST_TEXT = 8
_Line = Annotated[str, Field(min_length=3, pattern=r"^[^\n\r]+$")]
_Id = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _text_alone(value: Any) -> Any:
    return {"text": value} if isinstance(value, str) else value


class Signature(_Strict):
    """A line of a log or a traceback that belongs to this failure.

    ``text`` stands in the line as it is; where other failures write it too, ``pattern`` (a regular expression, searched
    in that line) tells them apart.
    """

    text: Annotated[str, Field(min_length=3, pattern=r"^[^\n\r]+$")]
    pattern: str | None = None

    @model_validator(mode="after")
    def _says_enough(self) -> "Signature":
        if self.pattern is None and len(self.text) < _LEAST_TEXT:
            raise ValueError(f"{self.text!r} stands in many a line: {_LEAST_TEXT} characters at least, or a pattern")
        return self

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                re.compile(value)
            except re.error as error:
                raise ValueError(f"no regular expression: {error}") from error
        return value


class Twin(_Strict):
    """The one thing in which the broken artefact and its healthy twin differ."""

    field: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    broken: Scalar
    healthy: Scalar

    @model_validator(mode="after")
    def _differ(self) -> "Twin":
        if self.broken == self.healthy:
            raise ValueError("broken and healthy are the same: the twin would be the failure itself")
        return self

    @property
    def difference(self) -> str:
        """The difference in one line."""
        return f"{self.field}: {self.broken!r} is broken, {self.healthy!r} is healthy"


class Captured(_Strict):
    """An image of an incident, known by what was measured on it and not by its bytes.

    ``lora`` is the SHA-256 of the LoRA that made it (empty for finished images), ``shows`` one of
    ``evals.known_failures.incident.SHOWS``, ``photo`` the number of the training photo that a copy is of.
    """

    lora: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]
    prompt: Annotated[str, Field(min_length=1)]
    seed: Annotated[int, Field(ge=0)]
    shows: Literal["face_lost", "copy", "black", "flat", "lattice"]
    photo: Annotated[int, Field(ge=0)] | None = None


class Entry(_Strict):
    """One known failure.

    Args:
        id, subject: name of the file and of its folder.
        symptom: what somebody sees.
        signatures: the messages it writes, for ``explain``.
        cause: why it happens.
        affected: versions or conditions.
        phase: the first in which it can be seen.
        severity: ``hard`` blocks, ``soft`` is told.
        looks_at: which input its detector reads.
        gate: the gate that it blocks, as listed in ``gates/manifest.toml``.
        rule: id under which an existing check reports it; without one a detector is named after the entry.
        captured: the image of an incident that this entry was drafted from; its rule is ``captured``.
        twin: what the reproducer is called with.
        files: the artefact itself, text by file name, ``$field`` standing for the twin's value; without files a
            function of the reproducers makes it.
        inputs: option of ``lifeos gate`` to the file that is handed in there, or to a plain value.
        needs: what must be there before the failure can be made to happen for real.
        recorded: where the files come from, when they are a recording that stands in for ``needs``.
        not_live_because: why nothing can detect or reproduce it; then it is only explained.
        fix: one command or one edit.
        source: where it was met.
    """

    id: _Id
    subject: str
    symptom: _Line
    signatures: list[Annotated[Signature, BeforeValidator(_text_alone)]] = []
    cause: _Line
    affected: _Line
    phase: Phase
    severity: Literal["hard", "soft"]
    looks_at: LooksAt | None = None
    gate: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")] | None = None
    rule: Annotated[str, Field(min_length=1)] | None = None
    captured: Captured | None = None
    twin: Twin | None = None
    files: dict[str, str] = {}
    inputs: dict[str, str] = {}
    needs: Need | None = None
    recorded: _Line | None = None
    not_live_because: _Line | None = None
    fix: _Line
    source: _Line

    @model_validator(mode="after")
    def _can_be_live_or_says_why_not(self) -> "Entry":
        if self.not_live_because is not None:
            given = [name for name in ("looks_at", "gate", "rule", "twin", "files", "inputs") if getattr(self, name)]
            if given:
                raise ValueError(f"not_live_because says that nothing detects it, but {given[0]} is given")
            return self
        if (self.captured is not None) != (self.rule == "captured"):
            raise ValueError("the rule captured and the table captured stand together")
        missing = [name for name in ("looks_at", "gate", "twin") if getattr(self, name) is None]
        if missing:
            raise ValueError(f"{missing[0]} is missing; or say not_live_because")
        if bool(self.files) != bool(self.inputs):
            raise ValueError("files and inputs stand together: inputs says which file is handed in as what")
        if (self.recorded is None) != (self.needs is None):
            raise ValueError("needs and recorded stand together: what is not here, and what stands in for it")
        if self.recorded is not None and not self.files:
            raise ValueError("recorded says where the files come from, but there are none")
        outside = [name for name in self.files if name.startswith("/") or ".." in name.split("/") or "\\" in name]
        if outside:
            raise ValueError(f"a file lies below the artefact's folder, but got {outside[0]!r}")
        return self

    @property
    def function(self) -> str:
        """Name of the function that makes the artefact where ``files`` do not."""
        return self.id.replace("-", "_")

    @property
    def told(self) -> str:
        """Symptom, cause, fix and source in one line."""
        return (f"known failure {self.id}: {self.symptom}; cause: {self.cause}; fix: {self.fix}; "
                f"source: {self.source}")  # fmt: skip
