"""The operating layer: the promotion of a large ledger."""

import json
import shutil
import time
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.comparison import Context, Pair, in_turn

LEDGER_ITEMS, DAY = 10_000, date(2026, 11, 27)


def promotion_pair(context: Context, number: int) -> Pair:
    """Read, fold and write a ledger of 10,000 items with evidence each, 3,000 keys.

    The start of the command is not in it. Against it: the same file read and written line by line with ``json`` alone.
    """
    from lifeos.operations.findings.blocks import PLACES
    from lifeos.operations.findings.ledger import append_items

    place = context.folder / f"checkout-{number}"
    for each in PLACES.values():
        (place / each.file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(context.root / each.file, place / each.file)
    append_items(place, _records())
    return Pair(*in_turn(lambda: _promoted(place), lambda: _read_and_written(place), number))


@cache
def _records() -> list[Any]:
    from lifeos.operations.briefing import item_id
    from lifeos.operations.findings.ledger import ItemRecord

    def record(number: int) -> Any:
        text = f"Likeness of LoRA {number} falls below its threshold in the third block of prompts and in the tail"
        key, evidence = f"k{number % 3000}.tail", (f"evals/a{number}.md#{number:08x}",)
        return ItemRecord.model_validate({
            "schema": "lifeos.item/1", "id": item_id("finding", key, text), "kind": "finding", "key": key, "text": text,
            "evidence": evidence, "resolved": evidence, "confidence": "measured", "taint": "internal",
            "briefing": f"b{number // 20}", "briefing_sha256": f"{number // 20:064x}", "run": "r1", "agent": "builtin",
            "created": f"2026-{number % 9 + 1:02d}-01T00:00:00Z",
        })  # fmt: skip

    return [record(number) for number in range(LEDGER_ITEMS)]


def _promoted(place: Path) -> float:
    from lifeos.operations.findings.promote import apply_promotion, plan_promotion

    started = time.perf_counter()
    plan = plan_promotion(place, place / "briefings", DAY, overwrite=True)
    apply_promotion(place, plan)
    return time.perf_counter() - started


def _read_and_written(place: Path) -> float:
    from lifeos.operations.findings.ledger import ITEMS_FILE

    (source,) = place.rglob(ITEMS_FILE)
    started = time.perf_counter()
    with source.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    with (place / "copy.jsonl").open("w", encoding="utf-8", newline="\n") as copy:
        copy.writelines(json.dumps(row) + "\n" for row in rows)
    return time.perf_counter() - started
