"""The rules as data: what each one accepts, why, and which gate it blocks; the limits they compare with."""

from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lifeos.errors import InputError
from lifeos.settings import read_toml, validation_line

Gate = Literal[
    "persona_sane", "dataset_images", "dataset_captions", "dataset_faces", "dataset_duplicates", "dataset_advice"
]
GATES: tuple[Gate, ...] = (
    "persona_sane", "dataset_images", "dataset_captions", "dataset_faces", "dataset_duplicates", "dataset_advice",
)  # fmt: skip
SOFT_GATES: frozenset[Gate] = frozenset({"dataset_advice"})
RULES_FILE = Path(__file__).with_name("rules.toml")

_Share = Annotated[float, Field(gt=0, lt=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Limits(_Strict):
    """Numbers that rules compare with; each is explained in ``rules.toml``."""

    least_eye_distance: Annotated[float, Field(gt=0)]
    """Pixels between the eyes in the picture as trained."""
    least_eye_distance_share: _Share
    """The same as a share of the shorter trained side."""
    near_duplicate_distance: _Share
    """Correlation distance at and below which two pictures are one."""
    coarse_distance: _Share
    """Correlation distance without shifts above which a pair is not looked at closely."""
    least_captions_for_constants: Annotated[int, Field(ge=2)]
    most_cropped_share: _Share
    most_caption_bytes: Annotated[int, Field(ge=1)]


class Rule(_Strict):
    """One rule: id, the gate that a finding blocks, what is accepted, and why."""

    id: Annotated[str, Field(pattern=r"^[a-z][a-z_]*$")]
    gate: Gate
    accepted: Annotated[str, Field(min_length=1)]
    because: Annotated[str, Field(min_length=1)]


class RuleBook(_Strict):
    """Every rule and limit."""

    limits: Limits
    rule: Annotated[list[Rule], Field(min_length=1)]

    @model_validator(mode="after")
    def _ids_are_unique(self) -> "RuleBook":
        ids = [rule.id for rule in self.rule]
        repeated = sorted({name for name in ids if ids.count(name) > 1})
        if repeated:
            raise ValueError(f"every rule id stands once, but {repeated[0]} is repeated")
        return self

    def rule_of(self, name: str) -> Rule:
        """Return a rule by id; raises ``KeyError`` for an id that no rule has."""
        found = next((rule for rule in self.rule if rule.id == name), None)
        if found is None:
            raise KeyError(name)
        return found

    def accepted(self, name: str) -> str:
        """Return what a rule accepts, with the limits it names filled in."""
        return self.rule_of(name).accepted.format(**self.limits.model_dump())


def load_rules(path: Path = RULES_FILE) -> RuleBook:
    """Read and check a rules file.

    Raises:
        InputError: no TOML, an unknown key, a limit out of range, a repeated id.
    """
    try:
        return RuleBook.model_validate(read_toml(path))
    except ValidationError as error:
        raise InputError(validation_line(path, error, f"edit {path.name}")) from error


@cache
def rule_book() -> RuleBook:
    """Return the shipped rules, read once."""
    return load_rules()
