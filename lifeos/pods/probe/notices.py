"""Which of the things that libraries write mean that something does not work: rows of ``notices.toml``."""

import re
import tomllib
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

_FILE = Path(__file__).with_name("notices.toml")


class Notice(BaseModel):
    """One row: what to look for, what it means, and where that was seen."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    id: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    pattern: Annotated[str, Field(min_length=8)]
    reason: Annotated[str, Field(min_length=1)]
    source: Annotated[str, Field(min_length=1)]

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, value: str) -> str:
        re.compile(value)
        return value

    def matches(self, text: str) -> bool:
        """Return whether a line holds the pattern, ignoring case."""
        return re.search(self.pattern, text, re.IGNORECASE) is not None


@cache
def all_notices() -> tuple[Notice, ...]:
    """Return every row in the order of the file."""
    rows = tomllib.loads(_FILE.read_text(encoding="utf-8"))["notice"]
    return tuple(Notice.model_validate(row) for row in rows)


def blocking_notice(texts: Iterable[str]) -> tuple[Notice, str] | None:
    """Return the first row that one of the lines matches, with that line; None when nothing matters."""
    return next(((notice, text) for text in texts for notice in all_notices() if notice.matches(text)), None)


def told_notices(texts: Sequence[str]) -> str:
    """Return how many warnings there were and the first, for the reason of a pass; "" for none.

    Lines without the word warning or error are a library's chatter and are not counted.
    """
    counted = [text for text in texts if re.search(r"warning|error", text, re.IGNORECASE)]
    if not counted:
        return ""
    return f"{len(counted)} unlisted warning{'s' if len(counted) > 1 else ''}, first: {counted[0][:160]}"
