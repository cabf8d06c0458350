"""``python -m lifeos.operations.analyst``: the analyst as a process, so that an agent's bounds hold for it."""

import argparse
from pathlib import Path


def main() -> None:
    """Read the history that is named, write the briefing, say how many items it holds."""
    from evals.atomic import write_text
    from evals.content_hash import hash_file
    from evals.history import read
    from lifeos.operations.analyst import briefing_of
    from lifeos.operations.briefing import render_briefing

    parser = argparse.ArgumentParser()
    for name in ("run", "created", "output", "contract"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--history")
    given = parser.parse_args()
    there = given.history is not None and Path(given.history).exists()
    rows = read(Path(given.history)) if there else []
    briefing = briefing_of(
        rows, history=given.history or "evals/eval_history.jsonl", run=given.run, created=given.created,
        sha256=hash_file(Path(given.history)) if there else None, contract=given.contract,
    )  # fmt: skip
    write_text(Path(given.output), render_briefing(briefing))
    print(f"{len(briefing.items)} items of {len(rows)} rows")


if __name__ == "__main__":
    main()
