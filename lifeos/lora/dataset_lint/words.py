"""Words that captions do without, as data: ``words.toml`` compiled to one pattern a group."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lifeos.errors import InputError
from lifeos.settings import read_toml, validation_line

WORDS_FILE = Path(__file__).with_name("words.toml")
_PERSON = "person"
_PLACE = re.compile(r"{(\w+)}")
_Word = Annotated[str, Field(pattern=r"^[a-z0-9{}][a-z0-9{}' -]*$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class WordGroup(_Strict):
    """Words that share a reason."""

    kind: Literal["identity", "beauty"]
    words: Annotated[list[_Word], Field(min_length=1)]
    reason: Annotated[str, Field(min_length=1)]


class FrameWords(_Strict):
    """Words that are no attribute: those of the medium, and the little ones that hold a sentence together."""

    medium: list[_Word]
    little: list[_Word]


class WordBook(_Strict):
    """The whole of ``words.toml``."""

    lists: dict[str, list[_Word]]
    group: Annotated[list[WordGroup], Field(min_length=1)]
    frame: FrameWords

    @model_validator(mode="after")
    def _lists_are_known(self) -> "WordBook":
        named = {name for group in self.group for word in group.words for name in _PLACE.findall(word)}
        unknown = sorted(named - set(self.lists))
        if unknown:
            raise ValueError(f"lists hold every name in braces, but {{{unknown[0]}}} is none of {sorted(self.lists)}")
        if _PERSON not in self.lists:
            raise ValueError("lists hold person, but it is missing")
        place = "{" + _PERSON + "}"
        inside = [
            word for group in self.group for word in group.words if place in word and not word.endswith(" " + place)
        ]
        if inside:
            raise ValueError(f"{place} stands last in a word, but got {inside[0]!r}")
        return self


@dataclass(frozen=True)
class BannedWord:
    """One word found in a caption: as it stands there, and why it should not."""

    word: str
    kind: str
    reason: str


class WordCheck:
    """Finds banned words; the persona's trigger is never one.

    Args:
        book: the words.
        class_word: counts as a word for a person (``pirate`` makes ``young pirate`` a finding).
        trigger: taken out before anything is looked for.
    """

    def __init__(self, book: WordBook, class_word: str, trigger: str) -> None:
        """Compile the patterns."""
        people = [*book.lists[_PERSON], *([class_word.lower()] if class_word.strip() else [])]
        lists = {**book.lists, _PERSON: people}
        # "young pstch woman" says "young woman".
        self._trigger = _whole(re.escape(trigger))
        self._groups = [
            (group, _whole("|".join(_pattern(word, lists) for word in group.words))) for group in book.group
        ]

    def banned(self, caption: str) -> list[BannedWord]:
        """Return the banned words of a caption, each spelling once, in the order of their groups."""
        text = self._trigger.sub(" ", caption)
        found: dict[str, BannedWord] = {}
        for group, pattern in self._groups:
            for match in pattern.finditer(text):
                word = " ".join(match.group().split())
                found.setdefault(word.lower(), BannedWord(word, group.kind, group.reason))
        return list(found.values())


def load_words(path: Path = WORDS_FILE) -> WordBook:
    """Read and check a words file.

    Raises:
        InputError: no TOML, an unknown key, a word in capitals, a name in braces that no list has.
    """
    try:
        return WordBook.model_validate(read_toml(path))
    except ValidationError as error:
        raise InputError(validation_line(path, error, f"edit {path.name}")) from error


@cache
def word_book() -> WordBook:
    """Return the shipped words, read once."""
    return load_words()


def _pattern(word: str, lists: Mapping[str, list[str]]) -> str:
    # The word for the person is where a banned word is known by, and stays in the caption.
    word, of_person, _ = word.partition(" {" + _PERSON + "}")
    pieces = []
    for piece in re.split(r"({\w+})", word):
        place = _PLACE.fullmatch(piece)
        # Longest first: "middle eastern" before "middle".
        words = sorted(lists[place.group(1)], key=len, reverse=True) if place else [piece]
        pieces.append("(?:" + "|".join(_spaced(one) for one in words) + ")" if place else _spaced(piece))
    if of_person:
        people = "|".join(_spaced(one) for one in lists[_PERSON])
        pieces.append(rf"(?=[\s-]+(?:{people})(?!\w))")
    return "".join(pieces)


def _spaced(word: str) -> str:
    return re.escape(word).replace(r"\ ", r"[\s-]+").replace(r"\-", r"[\s-]+")


def _whole(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{pattern})(?!\w)", re.IGNORECASE)
