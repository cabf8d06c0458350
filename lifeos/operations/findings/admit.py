"""Briefings to ledger records: read, refused whole, or taken with the evidence that is there."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from evals.content_hash import hash_bytes
from lifeos.errors import InputError
from lifeos.operations.briefing import Briefing, BriefingError, Problem, item_id, parse_briefing
from lifeos.operations.briefing.item_text import secret_in
from lifeos.operations.findings.evidence import EvidenceLookup
from lifeos.operations.findings.ledger import ITEM_SCHEMA, ItemRecord


@dataclass(frozen=True)
class Refused:
    """A briefing that is put aside whole.

    Args:
        path: its file.
        problems: each with its line.
    """

    path: Path
    problems: tuple[Problem, ...]


def read_briefings(folder: Path, known: Iterable[str] = ()) -> tuple[list[tuple[Path, Briefing, str]], list[Refused]]:
    """Read the briefings of a folder in order of their names.

    Args:
        folder: ``*.md`` in it; a missing folder has none. Links are not followed.
        known: SHA-256 of briefings that the ledger has already: they are not read again.

    Returns:
        (file, briefing, SHA-256 of its bytes) of those that are whole, and those refused. A briefing whose id is not
        its file's name is refused: two files could say they are one. So is one that seems to hold a secret.
    """
    taken: list[tuple[Path, Briefing, str]] = []
    refused: list[Refused] = []
    seen = set(known)
    for path in sorted(folder.glob("*.md")) if folder.is_dir() else []:
        if path.is_symlink() or not path.is_file():
            refused.append(Refused(path, (Problem(1, "accepted a plain file"),)))
            continue
        try:
            data = path.read_bytes()
        except OSError as error:
            refused.append(Refused(path, (Problem(1, f"cannot be read: {error.strerror}"),)))
            continue
        digest = hash_bytes(data)
        if digest in seen:
            continue
        try:
            briefing = parse_briefing(data, path.name)
        except BriefingError as error:
            refused.append(Refused(path, error.problems))
            continue
        problems = list(_secrets(data))
        if briefing.id != path.stem:
            problems.append(Problem(1, f"id: accepted the name of its file, {path.stem}, got {briefing.id}"))
        if problems:
            refused.append(Refused(path, tuple(problems)))
        else:
            taken.append((path, briefing, digest))
    return taken, refused


def records_of(briefing: Briefing, sha256: str, lookup: EvidenceLookup) -> list[ItemRecord]:
    """Return the ledger records of a briefing's items, with the evidence that is there now.

    Args:
        briefing: as parsed.
        sha256: of its file.
        lookup: of the checkout.
    """
    return [
        ItemRecord.model_validate(
            {
                "schema": ITEM_SCHEMA,
                "id": item_id(item.kind, item.key, item.text),
                "kind": item.kind,
                "key": item.key,
                "text": item.text,
                "evidence": tuple(map(str, item.evidence)),
                "resolved": tuple(str(each) for each in item.evidence if lookup.resolves(each)),
                "confidence": item.confidence,
                "supersedes": item.supersedes,
                "enforced_by": item.enforced_by,
                "taint": briefing.taint,
                "briefing": briefing.id,
                "briefing_sha256": sha256,
                "run": briefing.run_id,
                "agent": briefing.agent,
                "created": briefing.created,
            }
        )
        for item in briefing.items
    ]


def quarantine(refused: Refused) -> Path:
    """Move a refused briefing to ``quarantine/`` beside it, its problems in a file next to it; return where it lies.

    The problems are written first: a briefing in quarantine always has its reasons. One of the same name there is
    replaced: it lies in the transcript of the run that made it too.

    Raises:
        InputError: it cannot be moved; it stays where it is then.
    """
    from evals.atomic import write_text

    target = refused.path.parent / "quarantine" / refused.path.name
    said = "".join(f"{refused.path.name}:{problem.line}: {problem.text}\n" for problem in refused.problems)
    try:
        write_text(target.with_suffix(".problems.txt"), said)
        refused.path.replace(target)
    except OSError as error:
        raise InputError(f"{refused.path}: accepted a file that can be moved to {target.parent}, got {error}; next: "
                         f"check the folder") from error  # fmt: skip
    return target


def _secrets(data: bytes) -> Iterable[Problem]:
    for number, line in enumerate(data.decode("utf-8").splitlines(), 1):
        found = secret_in(line)
        if found is not None:
            yield Problem(number, f"what seems to be a secret ({found}); it is not repeated here")
