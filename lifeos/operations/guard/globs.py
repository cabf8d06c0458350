"""Patterns of file names: ``*`` and ``?`` within a folder, ``**`` across folders."""

import re
from functools import cache


def matches(name: str, pattern: str) -> bool:
    """Return whether a name with ``/`` matches a pattern as a whole."""
    return _compiled(pattern).fullmatch(name) is not None


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    meaning = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(meaning.get(part, re.escape(part)) for part in parts), re.DOTALL)
