"""Reads values out of a parsed file; of a wrong one it says which file and key, what was accepted and what came."""

import math
from itertools import pairwise
from typing import Any

from evals.errors import InputError


class TableReader:
    """Reads values and names the file and the key in every error.

    Every method but ``error`` raises InputError for a value that is not what its name says.

    Args:
        name: of the file, as people know it.
    """

    def __init__(self, name: str) -> None:
        """Remember the name."""
        self.name = name

    def error(self, key: str, accepted: str, got: object) -> InputError:
        """Return the error of a key."""
        return InputError(f"{self.name}: {key}: accepted {accepted}, got {got!r}; next: edit {self.name}")

    def keys(self, where: str, row: dict[str, Any], required: set[str], optional: set[str]) -> None:
        """Refuse keys of ``row`` that are unknown, and required ones that are missing."""
        for key in sorted(row.keys() - required - optional):
            raise self.error(where, f"the keys {', '.join(sorted(required | optional))}", key)
        for key in sorted(required - row.keys()):
            raise self.error(where, f"a value for {key}", "none")

    def choice(self, key: str, value: object, accepted: tuple[str, ...]) -> str:
        """Return one of the accepted words."""
        if not isinstance(value, str) or value not in accepted:
            raise self.error(key, "one of " + ", ".join(accepted), value)
        return value

    def text(self, key: str, value: object) -> str:
        """Return a text that is not blank."""
        if not isinstance(value, str) or not value.strip():
            raise self.error(key, "a text", value)
        return value

    def list(self, key: str, value: object) -> "list[object]":
        """Return a list, of anything."""
        if not isinstance(value, list):
            raise self.error(key, "a list", value)
        return value

    def number(self, key: str, value: object) -> float:
        """Return a finite number."""
        try:
            number = math.nan if isinstance(value, bool) or not isinstance(value, int | float) else float(value)
        except OverflowError:
            number = math.nan
        if not math.isfinite(number):
            raise self.error(key, "a finite number", value)
        return number

    def share(self, key: str, value: object) -> float:
        """Return a share in [0, 1)."""
        number = self.number(key, value)
        if not 0.0 <= number < 1.0:
            raise self.error(key, "a share in [0, 1)", value)
        return number

    def rising(self, key: str, value: object) -> tuple[float, ...]:
        """Return numbers, each above the one before; at least one."""
        numbers = tuple(self.number(key, item) for item in value) if isinstance(value, list) else ()
        if not numbers or any(one >= other for one, other in pairwise(numbers)):
            raise self.error(key, "a list of rising numbers", value)
        return numbers

    def count(self, key: str, value: object) -> int:
        """Return a whole number of at least 2."""
        if isinstance(value, bool) or not isinstance(value, int) or value < 2:
            raise self.error(key, "a whole number of at least 2", value)
        return value
