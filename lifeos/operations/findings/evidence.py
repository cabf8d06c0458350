"""Is the evidence there: a file with that hash, or a row of a history."""

import re
from pathlib import Path

from evals.content_hash import hash_file
from lifeos.errors import InputError
from lifeos.operations.briefing.model import Evidence

_DIGITS = 8


class EvidenceLookup:
    """Looks evidence up in one checkout; each file is hashed once.

    Args:
        root: the checkout. Nothing outside it is evidence, also not through a link.
    """

    def __init__(self, root: Path) -> None:
        self._root = Path(root).resolve()
        self._known: dict[str, frozenset[str]] = {}

    def resolves(self, evidence: Evidence) -> bool:
        """Return whether the file's SHA-256, or the hash of a row in it, begins with the eight digits."""
        if evidence.path not in self._known:
            self._known[evidence.path] = self._digests(evidence.path)
        return evidence.sha8 in self._known[evidence.path]

    def _digests(self, path: str) -> frozenset[str]:
        file = (self._root / path).resolve()
        if not file.is_relative_to(self._root) or not file.is_file():
            return frozenset()
        try:
            found = {hash_file(file)[:_DIGITS]}
        except InputError:
            return frozenset()
        if file.suffix == ".jsonl":
            found |= _row_hashes(file)
        return frozenset(found)


def _row_hashes(file: Path) -> set[str]:
    from evals.history import read

    try:
        rows = read(file)
    except InputError:
        # Another kind of .jsonl, or a history that was changed: its rows prove nothing.
        return set()
    return {str(row["hash"])[:_DIGITS] for row in rows if re.fullmatch(r"[0-9a-f]{64}", str(row.get("hash")))}
