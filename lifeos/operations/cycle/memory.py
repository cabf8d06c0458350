"""Promotion within a cycle: what it wrote can be taken back line by line, and committed line by line."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from evals.atomic import write_bytes, write_json
from evals.content_hash import hash_bytes
from lifeos.errors import InputError
from lifeos.git import git_output
from lifeos.operations.briefing import render_briefing
from lifeos.operations.cycle.commit import Edit
from lifeos.operations.findings.blocks import PLACES, block_lines, read_control_file, replace_block
from lifeos.operations.findings.fold import open_for_review
from lifeos.operations.findings.gate_findings import gate_briefings
from lifeos.operations.findings.ledger import DECISIONS_FILE, FOLDER, ITEMS_FILE, line_of
from lifeos.operations.findings.promote import apply_promotion, plan_promotion, promotion_lock

PREIMAGE = "preimage/memory.json"
LEDGERS = (f"{FOLDER}/{ITEMS_FILE}", f"{FOLDER}/{DECISIONS_FILE}")


@dataclass(frozen=True)
class Memory:
    """Where a cycle promotes.

    Args:
        root: the checkout.
        artifacts: data folder with the briefings.
        history: its rejected rows become findings; None where it lies outside the checkout.
        folder: of the cycle, for what was there before.
        as_of: day.
    """

    root: Path
    artifacts: Path
    history: Path | None
    folder: Path
    as_of: date

    def promote(self) -> dict[str, Any]:
        """Promote what briefings and the history hold; return facts for the report.

        Raises:
            InputError: as ``plan_promotion``; nothing is written then.
        """
        with promotion_lock(self.artifacts):
            plan = plan_promotion(self.root, self.artifacts / "briefings", self.as_of, further=self._own())
            added = self._keep_preimage([line_of(record) for record in plan.records])
            apply_promotion(self.root, plan)
        # By what the cycle added in all, not by this call: the same after a kill in the middle of it.
        admitted = [
            entry
            for entry in plan.entries.values()
            if entry.status == "active" and all(line_of(record) in added for record in entry.records)
        ]
        return {
            "admitted": [_shown(entry) for entry in admitted],
            "waiting": [_shown(entry) for entry in open_for_review(plan.entries)],
            "records": len(added),
            "refused": [refused.path.name for refused in plan.refused],
            "changed": [change.file for change in plan.changes],
        }

    def restore(self) -> list[str]:
        """Take back what this cycle promoted: the blocks' old lines, and its records out of the ledger.

        What people wrote outside the blocks meanwhile stays.

        Returns:
            the files that were written.

        Raises:
            InputError: a control file or block is not there any more.
        """
        path = self.folder / PREIMAGE
        if not path.exists():
            return []
        before = json.loads(path.read_text(encoding="utf-8"))
        written = []
        with promotion_lock(self.artifacts):
            for place in PLACES.values():
                data = read_control_file(self.root, place)
                old = replace_block(data, place.name, before["blocks"][place.name], place.file, overwrite=True)
                if old != data:
                    write_bytes(self.root / place.file, old)
                    written.append(place.file)
            items = self.root / LEDGERS[0]
            if items.exists():
                added = set(before["added"])
                lines = items.read_text(encoding="utf-8").splitlines()
                kept = [line for line in lines if line not in added]
                if len(kept) < len(lines):
                    _write_or_remove(items, kept)
                    written.append(LEDGERS[0])
        return written

    def edits(self) -> dict[str, Edit]:
        """Return the commit's edits: each block as it stands now, the lines of the ledger, the history as it is."""
        found: dict[str, Edit] = {}
        for place in PLACES.values():
            data = read_control_file(self.root, place)
            lines = block_lines(data, place.name, place.file)
            found[place.file] = partial(_with_block, name=place.name, lines=lines, where=place.file, whole=data)
        for name in LEDGERS:
            if (self.root / name).exists():
                found[name] = partial(_with_lines, whole=(self.root / name).read_bytes())
        if self.history is not None and self.history.exists():
            found[self.history.relative_to(self.root).as_posix()] = partial(_whole, whole=self.history.read_bytes())
        return found

    def outputs(self) -> dict[str, str]:
        """Return the SHA-256 of every block and ledger by name: what a resumed cycle holds against today's."""
        found = {}
        for place in PLACES.values():
            lines = block_lines(read_control_file(self.root, place), place.name, place.file)
            found[place.name] = hash_bytes("\n".join(lines).encode("utf-8"))
        for name in LEDGERS:
            path = self.root / name
            found[name] = hash_bytes(path.read_bytes()) if path.exists() else ""
        return found

    def _own(self) -> list[Any]:
        from evals.history import read

        if self.history is None:
            return []
        own = gate_briefings(read(self.history), self.history.relative_to(self.root).as_posix())
        return [(each, hash_bytes(render_briefing(each).encode("utf-8"))) for each in own]

    def _keep_preimage(self, lines: list[str]) -> set[str]:
        path = self.folder / PREIMAGE
        if path.exists():
            kept = json.loads(path.read_text(encoding="utf-8"))
        else:
            blocks = {
                place.name: block_lines(read_control_file(self.root, place), place.name, place.file)
                for place in PLACES.values()
            }
            kept = {"blocks": blocks, "added": []}
        added = {*kept["added"], *lines}
        write_json(path, {**kept, "added": sorted(added)})
        return added


def own_files(root: Path) -> list[Path]:
    """Return the control files and ledgers that differ from HEAD by what promotion writes alone.

    A release that a cycle judges between promotion and commit would else stand in the history as judged by a changed
    checkout, and could not be promoted. One edit outside of a block, and the file counts as changed.
    """
    edits: dict[str, Edit] = {}
    for place in PLACES.values():
        try:
            data = read_control_file(root, place)
            lines = block_lines(data, place.name, place.file)
        except InputError:
            continue
        edits[place.file] = partial(_with_block, name=place.name, lines=lines, where=place.file, whole=data)
    for name in LEDGERS:
        if (root / name).exists():
            edits[name] = partial(_with_lines, whole=(root / name).read_bytes())
    return [root / name for name, edit in edits.items() if _is_own(root, name, edit)]


def _is_own(root: Path, name: str, edit: Edit) -> bool:
    before: bytes | None
    try:
        before = git_output(root, "show", f"HEAD:{name}").encode("utf-8")
    except (OSError, subprocess.SubprocessError):
        # A ledger begins with the first promotion; a control file that HEAD does not know is a person's.
        before = None if name in LEDGERS else b""
    try:
        return edit(before) == (root / name).read_bytes()
    except (InputError, OSError):
        return False


def count_words(facts: Mapping[str, Any]) -> str:
    """Return what a promotion did in a few words."""
    admitted, waiting = len(facts.get("admitted", [])), len(facts.get("waiting", []))
    return f"{admitted} items newly active, {waiting} wait for a person"


def _shown(entry: Any) -> dict[str, str]:
    return {"id": entry.id, "key": entry.key, "text": entry.text, "status": entry.status, "reason": entry.reason}


def _with_block(before: bytes | None, *, name: str, lines: list[str], where: str, whole: bytes) -> bytes:
    return whole if before is None else replace_block(before, name, lines, where, overwrite=True)


def _with_lines(before: bytes | None, *, whole: bytes) -> bytes:
    old = before or b""
    if old and not old.endswith(b"\n"):
        raise InputError("the ledger: accepted whole lines, got a torn last one")
    known = set(old.splitlines())
    return old + b"".join(line + b"\n" for line in whole.splitlines() if line not in known)


def _whole(before: bytes | None, *, whole: bytes) -> bytes:
    return whole


def _write_or_remove(path: Path, lines: list[str]) -> None:
    # An empty ledger and none are the same; a cycle that is taken back leaves no file that was not there.
    if lines:
        write_bytes(path, "".join(f"{line}\n" for line in lines).encode("utf-8"))
    else:
        path.unlink()
