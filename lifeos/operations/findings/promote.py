"""``lifeos promote-findings``: briefings into the ledger, the ledger into the marker blocks of the control files."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from evals.atomic import write_bytes
from lifeos.errors import InputError
from lifeos.operations.briefing import Briefing
from lifeos.operations.findings.admit import Refused, quarantine, read_briefings, records_of
from lifeos.operations.findings.blocks import PLACES, read_control_file, render_entries, replace_block
from lifeos.operations.findings.evidence import EvidenceLookup
from lifeos.operations.findings.fold import Entry, active, fold
from lifeos.operations.findings.ledger import ItemRecord, Ledger, append_items, read_ledger, with_items, without_echoes

LOCK_SECONDS = 30.0


@dataclass(frozen=True)
class Change:
    """A control file before and after; ``before`` is what must still be there when it is written."""

    file: str
    before: bytes
    after: bytes


@dataclass(frozen=True)
class Promotion:
    """What a promotion would do, or did.

    Args:
        as_of: the day it is judged by.
        records: new to the ledger.
        refused: briefings that are put aside.
        before: memory without the new records.
        entries: memory with them.
        changes: control files whose bytes differ.
    """

    as_of: date
    records: tuple[ItemRecord, ...]
    refused: tuple[Refused, ...]
    before: Mapping[str, Entry]
    entries: Mapping[str, Entry]
    changes: tuple[Change, ...]

    @property
    def admitted(self) -> list[Entry]:
        """Return the entries that are active now and were not before."""
        return [
            entry
            for name, entry in self.entries.items()
            if entry.status == "active" and (name not in self.before or self.before[name].status != "active")
        ]


def plan_promotion(
    root: Path, folder: Path, as_of: date, *, further: Sequence[tuple[Briefing, str]] = (), overwrite: bool = False
) -> Promotion:
    """Say what promotion would do; writes nothing.

    Args:
        root: the checkout with ledger and control files.
        folder: of briefings; those that the ledger knows by their SHA-256 are not read again.
        as_of: the day by which items expire.
        further: briefings that stand in no file yet, each with the SHA-256 of its text.
        overwrite: replace blocks that were edited by hand.

    Raises:
        InputError: the ledger holds something else, a control file or its block is missing, or a block was edited by
            hand.
    """
    ledger = read_ledger(root)
    known = {record.briefing_sha256 for record in ledger.items}
    taken, refused = read_briefings(folder, known)
    lookup = EvidenceLookup(root)
    given = [(briefing, digest) for _, briefing, digest in taken]
    given += [each for each in further if each[1] not in known | {digest for _, digest in given}]
    brought = [record for briefing, digest in given for record in records_of(briefing, digest, lookup)]
    records = without_echoes(ledger.items, brought)
    before = fold(ledger, as_of)
    grown = with_items(ledger, records)
    entries = fold(grown, as_of) if records else before
    there = set(ledger.items)
    new = tuple(record for record in grown.items if record not in there)
    return Promotion(as_of, new, tuple(refused), before, entries, tuple(_changes(root, entries, overwrite)))


def apply_promotion(root: Path, plan: Promotion) -> None:
    """Write what was planned: ledger, then control files, then the quarantine.

    The blocks are a function of the ledger, so a kill between two writes is mended by promoting again.

    Args:
        root: the checkout.
        plan: of ``plan_promotion``, made under the same lock.

    Raises:
        InputError: a control file changed since it was planned.
        OSError: something cannot be written.
    """
    if plan.records:
        append_items(root, plan.records)
    for change in plan.changes:
        path = Path(root) / change.file
        if path.read_bytes() != change.before:
            raise InputError(f"{change.file}: accepted the file as planned, got a changed one; next: the same command")
        write_bytes(path, change.after)
    for each in plan.refused:
        quarantine(each)


def render_memory(root: Path, ledger: Ledger, as_of: date) -> tuple[Change, ...]:
    """Return the control files that a ledger would change; raises as ``plan_promotion``."""
    return tuple(_changes(root, fold(ledger, as_of), overwrite=False))


@contextmanager
def promotion_lock(artifacts: Path) -> Iterator[None]:
    """Let one promotion, review or cycle of a checkout write at a time.

    Raises:
        InputError: another one holds it for 30 s.
    """
    from filelock import FileLock, Timeout

    artifacts.mkdir(parents=True, exist_ok=True)
    lock = FileLock(str(artifacts / "promotion.lock"))
    try:
        lock.acquire(timeout=LOCK_SECONDS, poll_interval=0.05)
    except Timeout as error:
        raise InputError(
            f"{artifacts / 'promotion.lock'}: accepted a free lock, got one that another run holds; next: wait for it"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _changes(root: Path, entries: Mapping[str, Entry], overwrite: bool) -> Iterator[Change]:
    for kind, place in PLACES.items():
        before = read_control_file(root, place)
        lines = render_entries(active(entries, kind), place.most_bytes)
        after = replace_block(before, place.name, lines, place.file, overwrite=overwrite)
        if after != before:
            yield Change(place.file, before, after)
