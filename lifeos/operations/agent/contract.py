"""The contract of an agent: front matter and prose for people, one fenced block for the runner."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lifeos.errors import InputError
from lifeos.operations.strict_yaml import Document, read_yaml, split_front_matter
from lifeos.settings import validation_line

SCHEMA = "contract/1"
DEFAULT_CONTRACT = "agents/pistachio-agent-v3.md"
Outcome = Literal[
    "ok", "no_work", "partial", "blocked", "invalid_output", "limit_turns", "limit_cost", "limit_time", "stalled",
    "denied", "operator_stop", "crashed",
]  # fmt: skip
# Exit status of each outcome, as the cycle reports it.
EXIT_CODES: dict[Outcome, int] = {
    "ok": 0, "no_work": 0, "partial": 0, "blocked": 20, "invalid_output": 22, "limit_turns": 21, "limit_cost": 21,
    "limit_time": 21, "stalled": 21, "denied": 20, "operator_stop": 70, "crashed": 20,
}  # fmt: skip
Kind = Literal["success", "no_work", "limit", "no_progress", "blocked", "operator"]
# What the runner looks at, and the kind of stop that it is.
CHECKS: dict[str, Kind] = {
    "output_valid": "success", "declared_no_work": "no_work", "declared_blocked": "blocked", "wall_s": "limit",
    "turns": "limit", "usd": "limit", "idle_s": "no_progress", "stop_file": "operator",
}  # fmt: skip
_BLOCK = re.compile(r"^```yaml contract\n(.*?)^```\s*$", re.MULTILINE | re.DOTALL)
_EXAMPLE = re.compile(r"^```markdown briefing\n(.*?)^```\s*$", re.MULTILINE | re.DOTALL)

Text = Annotated[str, Field(min_length=1, max_length=200)]


class Budgets(BaseModel):
    """What one run may use: turns, seconds in all, seconds without any sign of work, money, items of the briefing."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    turns: int = Field(gt=0, le=500)
    wall_s: int = Field(gt=0, le=14_400)
    idle_s: int = Field(gt=0, le=3_600)
    usd: float = Field(ge=0, le=100, allow_inf_nan=False)
    items: int = Field(gt=0, le=20)


class Stop(BaseModel):
    """A condition that ends a run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,40}$")]
    kind: Kind
    check: Text


class Failure(BaseModel):
    """What follows an outcome: what is done with the output, whether a cycle may commit, exit status."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    action: Literal["promote", "report", "quarantine", "discard"]
    commit: bool
    exit: int


class Output(BaseModel):
    """Where the one file goes, with ``{run}`` in it, and what it is."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    path: Text
    schema_: Annotated[Literal["briefing/1"], Field(alias="schema")]


class Contract(BaseModel):
    """The block that the runner reads."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    schema_: Annotated[Literal["contract/1"], Field(alias="schema")]
    role: Text
    reads: Annotated[list[Text], Field(min_length=1, max_length=40)]
    writes: Annotated[list[Text], Field(min_length=1, max_length=5)]
    budgets: Budgets
    stop: Annotated[list[Stop], Field(min_length=1)]
    failure: dict[str, Failure]
    output: Output
    self_check: Annotated[list[Text], Field(min_length=2)]
    kill: Text


@dataclass(frozen=True)
class ContractFile:
    """A contract as it lies in its file.

    Args:
        name: of the file, relative to the checkout.
        head: its front matter.
        prose: its body without the fenced blocks.
        contract: the block.
        example: the example briefing in it, or None.
    """

    name: str
    head: dict[str, Any]
    prose: str
    contract: Contract
    example: str | None


def load_contract(root: Path, name: str | None = None) -> ContractFile:
    """Read a contract.

    Args:
        root: the checkout.
        name: file relative to it; None takes the only one in ``agents/``, or that of this project among several.

    Raises:
        InputError: the file is missing, no UTF-8, or holds no front matter, not exactly one block, or a block with an
            unknown or missing key.
    """
    if name is None:
        there = sorted(f"agents/{path.name}" for path in (Path(root) / "agents").glob("*.md"))
        name = there[0] if len(there) == 1 else DEFAULT_CONTRACT
    try:
        text = (Path(root) / name).read_bytes().decode("utf-8").replace("\r\n", "\n")
    except OSError as error:
        raise InputError(f"{name}: accepted a contract, got {error.strerror}; next: git checkout {name}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: accepted UTF-8, got other bytes; next: git checkout {name}") from error
    return parse_contract(text, name)


def parse_contract(text: str, name: str) -> ContractFile:
    """Read the text of a contract, with ``\\n`` line ends; raises as ``load_contract``."""
    document: Document = split_front_matter(text, name)
    blocks = list(_BLOCK.finditer(document.body))
    if len(blocks) != 1:
        raise InputError(f"{name}: accepted one block ```yaml contract, got {len(blocks)}; next: docs/agent.md")
    first_line = document.body_line + document.body[: blocks[0].start(1)].count("\n")
    values = read_yaml(blocks[0].group(1), name, first_line)
    try:
        contract = Contract.model_validate(values)
    except ValidationError as error:
        raise InputError(validation_line(Path(name), error, "docs/agent.md")) from error
    examples = _EXAMPLE.findall(document.body)
    prose = _EXAMPLE.sub("", _BLOCK.sub("", document.body))
    return ContractFile(name, document.values, prose, contract, examples[0] if len(examples) == 1 else None)
