"""What a converted copy says of the judgement of the file it was made from, and never of itself.

A verdict is about bytes. A copy has others, so it names the file that was judged, the row and what the row says;
``check-champion`` goes on accepting the judged bytes alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lifeos.errors import InputError

STAMPS = ("lifeos.row", "lifeos.row_hash", "lifeos.verdict", "lifeos.policy_hash", "lifeos.judged_sha256",
          "lifeos.hand_over")  # fmt: skip
"""Metadata that only a row of the history may set; what a source says of these is dropped."""


@dataclass(frozen=True)
class Judgement:
    """What the history says of a LoRA file.

    Args:
        row, row_hash: of the scorecard.
        verdict: ``approved``, ``rejected`` or ``not_evaluated``.
        policy: hash of the policy it was judged by, None where the row holds none.
        lora: SHA-256 of the judged file.
    """

    row: str
    row_hash: str
    verdict: str
    policy: str | None
    lora: str

    @property
    def line(self) -> str:
        """One line for people: what this copy is, and what it is not."""
        return (f"{self.verdict.replace('_', ' ')} by row {self.row}: said of the file with SHA-256 {self.lora}; this "
                "is a hand-over copy with other bytes, which check-champion refuses")  # fmt: skip

    def metadata(self) -> dict[str, str]:
        """Return the stamps of a copy."""
        stamps = (self.row, self.row_hash, self.verdict, self.policy or "none", self.lora, self.line)
        return dict(zip(STAMPS, stamps, strict=True))


def judgement_of(sha256: str, history: Path, row: str = "") -> Judgement | None:
    """Return what the latest release row of a file says, or None when no row judged it.

    Args:
        sha256: of the file.
        history: history file; one that is not there has no rows.
        row: start of an id or hash of the row that is meant; empty: look for it.

    Raises:
        InputError: the history does not verify, there is no such row, it judged other bytes or is no release of a LoRA
            file, or a later row judges the same file.
    """
    from evals.history import find, read, verify

    if not Path(history).is_file():
        if row:
            raise InputError(f"--row {row}: accepted a row of {history}, got no such file; next: pass --history FILE")
        return None
    rows = read(history)
    problems = verify(history).problems
    if problems:
        raise InputError(f"{history}: accepted a history that verifies, got {problems[0]}; next: lifeos history verify")
    judged = _of_file(rows, sha256)
    latest = max(judged, key=lambda each: each[0], default=(("", 0), None))[1]
    if row:
        found = find(history, row)
        if found["hash"] not in {each["hash"] for _, each in judged}:
            raise InputError(f"--row {row}: accepted a release of this file ({sha256[:12]}), got row {found.get('id')} "
                             f"of {_what(found)}; next: leave --row out")  # fmt: skip
        if latest is not None and latest["hash"] != found["hash"]:
            raise InputError(f"--row {row}: accepted the latest row of this file, got {found['id']} before "
                             f"{latest['id']} ({latest['verdict']}); next: leave --row out")  # fmt: skip
    if latest is None:
        return None
    hashes = latest["hashes"]
    return Judgement(latest["id"], latest["hash"], latest["verdict"], hashes.get("policy"), sha256)


def _of_file(rows: Sequence[Mapping[str, Any]], sha256: str) -> list[tuple[tuple[str, int], Mapping[str, Any]]]:
    # Merged histories stand behind each other, so time comes first.
    return [
        ((str(each["time"]), place), each)
        for place, each in enumerate(rows)
        if each.get("phase") == "release" and each.get("hashes", {}).get("lora") == sha256
        and each.get("environment", {}).get("source") not in ("images", "simulation")
    ]  # fmt: skip


def _what(row: Mapping[str, Any]) -> str:
    lora = row.get("hashes", {}).get("lora")
    return f"{row.get('phase', row.get('schema'))}, LoRA {lora[:12] if lora else 'none'}"
