"""Half-open version ranges (``>=2.8,<2.11``) and what rule tables ask of them: hold, merge, complement."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from packaging.version import Version


@dataclass(frozen=True)
class VersionRange:
    """Versions from ``low`` (inside; None: no bound) up to ``high`` (outside; None: no bound)."""

    low: "Version | None"
    high: "Version | None"

    def __contains__(self, version: "Version") -> bool:
        """Whether the version lies inside; a local label (``+cu128``) counts as its public version."""
        from packaging.version import Version

        public = Version(version.public)
        return (self.low is None or public >= self.low) and (self.high is None or public < self.high)

    @property
    def specifier(self) -> str:
        """The range as a requirement's specifier; empty where it has no bound."""
        bounds = ((">=", self.low), ("<", self.high))
        return ",".join(f"{operator}{version}" for operator, version in bounds if version is not None)


def parse_range(text: str) -> VersionRange:
    """Read ``>=A``, ``<B`` or ``>=A,<B``.

    Raises:
        ValueError: another operator, a repeated one, no version, or an empty range.
    """
    from packaging.version import InvalidVersion, Version

    bounds: dict[str, Version] = {}
    for part in text.split(","):
        operator = ">=" if part.strip().startswith(">=") else part.strip()[:1]
        if operator not in (">=", "<") or operator in bounds:
            raise ValueError(f"a range is one of '>=A', '<B', '>=A,<B', but got {text!r}")
        try:
            bounds[operator] = Version(part.strip().removeprefix(operator).strip())
        except InvalidVersion as error:
            raise ValueError(f"a range is made of versions, but got {text!r}") from error
    found = VersionRange(bounds.get(">="), bounds.get("<"))
    if found.low is not None and found.high is not None and found.low >= found.high:
        raise ValueError(f"a range holds at least one version, but got {text!r}")
    return found


def merge(ranges: list[VersionRange]) -> list[VersionRange]:
    """Return the same versions as the fewest ranges, ascending."""
    merged: list[VersionRange] = []
    for current in sorted(ranges, key=_low_key):
        last = merged[-1] if merged else None
        if last is not None and (last.high is None or (current.low is None or current.low <= last.high)):
            high = None if last.high is None or current.high is None else max(last.high, current.high)
            merged[-1] = VersionRange(last.low, high)
        else:
            merged.append(current)
    return merged


def complement(found: VersionRange) -> list[VersionRange]:
    """Return the at most two ranges of all versions outside."""
    below = [VersionRange(None, found.low)] if found.low is not None else []
    above = [VersionRange(found.high, None)] if found.high is not None else []
    return below + above


def _low_key(found: VersionRange) -> "tuple[int, Version]":
    from packaging.version import Version

    return (0, Version("0")) if found.low is None else (1, found.low)
