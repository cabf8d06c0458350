"""The operating layer: guardrails, status, and the promotion of a large ledger."""

import shutil
import statistics
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

from benchmarks.commands import command_line
from benchmarks.table import Line

GUARD_TARGET_SECONDS, STATUS_TARGET_SECONDS, PROMOTION_TARGET_SECONDS = 0.4, 0.5, 2.0
LEDGER_ITEMS, DAY = 10_000, date(2026, 11, 27)


def measure_operations(root: Path, repetitions: int = 5) -> list[Line]:
    """Time ``lifeos preflight`` and ``lifeos status`` as commands, and a promotion of 10,000 ledger items."""
    lifeos = [sys.executable, "-m", "lifeos"]
    return [
        command_line("operations", "lifeos preflight", [*lifeos, "preflight"], root, repetitions, GUARD_TARGET_SECONDS),
        _guardrails(root, repetitions),
        command_line("operations", "lifeos status", [*lifeos, "status"], root, repetitions, STATUS_TARGET_SECONDS),
        _promotion(root, repetitions),
    ]


def _guardrails(root: Path, repetitions: int) -> Line:
    from lifeos.operations.guard.preflight import guard_findings

    seconds = []
    for _ in range(repetitions + 1):
        started = time.perf_counter()
        found = guard_findings(root, DAY)
        seconds.append(time.perf_counter() - started)
    note = f"median of {repetitions} in one process, {len(found)} guardrails; the first took {seconds[0]:.2f} s"
    return Line("operations", "- the guardrails alone", statistics.median(seconds[1:]), "s", note=note)


def _promotion(root: Path, repetitions: int) -> Line:
    """Read, fold and write a ledger of 10,000 items with evidence each, 3,000 keys, in a checkout of its own."""
    from lifeos.operations.briefing import item_id
    from lifeos.operations.findings.blocks import PLACES
    from lifeos.operations.findings.ledger import ItemRecord, append_items
    from lifeos.operations.findings.promote import apply_promotion, plan_promotion

    def record(number: int) -> ItemRecord:
        text = f"Likeness of LoRA {number} falls below its threshold in the third block of prompts and in the tail"
        key, evidence = f"k{number % 3000}.tail", (f"evals/a{number}.md#{number:08x}",)
        return ItemRecord.model_validate({
            "schema": "lifeos.item/1", "id": item_id("finding", key, text), "kind": "finding", "key": key, "text": text,
            "evidence": evidence, "resolved": evidence, "confidence": "measured", "taint": "internal",
            "briefing": f"b{number // 20}", "briefing_sha256": f"{number // 20:064x}", "run": "r1", "agent": "builtin",
            "created": f"2026-{number % 9 + 1:02d}-01T00:00:00Z",
        })  # fmt: skip

    records = [record(number) for number in range(LEDGER_ITEMS)]
    seconds = []
    for _ in range(repetitions):
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            for each in PLACES.values():
                (place / each.file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(root / each.file, place / each.file)
            append_items(place, records)
            started = time.perf_counter()
            plan = plan_promotion(place, place / "briefings", DAY, overwrite=True)
            apply_promotion(place, plan)
            seconds.append(time.perf_counter() - started)
    note = f"median of {repetitions}, {min(seconds):.2f} to {max(seconds):.2f} s; start of the command not in it"
    measure = f"promotion of {LEDGER_ITEMS} ledger items"
    return Line("operations", measure, statistics.median(seconds), "s", PROMOTION_TARGET_SECONDS, note=note)
