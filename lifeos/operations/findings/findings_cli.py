"""``promote-findings``, ``review`` and ``why``."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lifeos.cli_options import Artifacts, History, Json, artifacts_path, history_path, utc_now
from lifeos.errors import InputError

if TYPE_CHECKING:
    from lifeos.operations.findings.fold import Entry
    from lifeos.operations.findings.promote import Change, Promotion

AsOf = Annotated[str | None, typer.Option("--as-of", help="Day to judge by; default: HEAD's.", metavar="DATE")]
Briefings = Annotated[Path | None, typer.Option("--briefings", help="Folder of briefings.", metavar="FOLDER")]


def promote_findings(
    apply: Annotated[bool, typer.Option("--apply", help="Write; without it the plan is shown.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite-edited", help="Replace blocks edited by hand.")] = False,
    as_of: AsOf = None,
    briefings: Briefings = None,
    history: History = None,
    artifacts: Artifacts = None,
    as_json: Json = False,
) -> int:
    """Fold briefings and the project's own rejected runs into ledger and control files.

    Exit status: 0 done or nothing to do, 1 a briefing was refused (the others count), 2 the command was wrong.
    """
    from evals.content_hash import hash_bytes
    from evals.history import read
    from lifeos.operations.as_of import read_as_of
    from lifeos.operations.briefing import render_briefing
    from lifeos.operations.findings.gate_findings import gate_briefings
    from lifeos.operations.findings.promote import apply_promotion, plan_promotion, promotion_lock
    from lifeos.settings import load_project

    root, data = load_project().root, artifacts_path(artifacts)
    folder = briefings or data / "briefings"
    day = read_as_of(as_of, root)
    rows_file = history_path(history)
    own = gate_briefings(read(rows_file), below(rows_file, root)) if below(rows_file, root) else []
    with promotion_lock(data):
        further = [(each, hash_bytes(render_briefing(each).encode("utf-8"))) for each in own]
        plan = plan_promotion(root, folder, day, further=further, overwrite=overwrite)
        if apply:
            apply_promotion(root, plan)
    if as_json:
        print(json.dumps(_plan_json(plan, apply), allow_nan=False))
    else:
        _show(plan, apply)
    return 1 if plan.refused else 0


def review(
    reviewer: Annotated[str | None, typer.Option("--reviewer", help="Who decides.", metavar="NAME")] = None,
    apply: Annotated[Path | None, typer.Option("--apply", help="JSON file of decisions.", metavar="FILE")] = None,
    as_of: AsOf = None,
    artifacts: Artifacts = None,
    as_json: Json = False,
) -> int:
    """Decide about rules, and about what waits or is in conflict; with --json list it, with --apply read decisions."""
    from lifeos.operations.as_of import read_as_of
    from lifeos.operations.findings.enforcement import enforcer
    from lifeos.operations.findings.fold import fold, open_for_review
    from lifeos.operations.findings.ledger import append_decisions, read_ledger
    from lifeos.operations.findings.promote import promotion_lock
    from lifeos.operations.findings.review import SCHEMA, ask, check_decisions, read_review
    from lifeos.operations.findings.why import entry_json
    from lifeos.settings import load_project

    root = load_project().root
    entries = fold(read_ledger(root), read_as_of(as_of, root))
    waiting = open_for_review(entries)
    on, enforces = as_of or utc_now()[:10], enforcer(root)
    if apply is not None:
        records = read_review(apply, reviewer, on)
        check_decisions(records, entries, enforces)
    elif as_json or not waiting:
        answer = {"schema": SCHEMA, "reviewer": reviewer, "open": [entry_json(entry) for entry in waiting]}
        print(json.dumps(answer, allow_nan=False) if as_json else "nothing waits for a person")
        return 0
    elif not sys.stdin.isatty():
        raise InputError("review: accepted a terminal, --apply FILE or --json, got none; next: lifeos review --json")
    else:
        records = ask(
            waiting, reviewer or typer.prompt("who decides"), on, show=_show_entry, answer=input,
            refuse=lambda said: print(f"not taken: {said}"), enforces=enforces,
        )  # fmt: skip
    with promotion_lock(artifacts_path(artifacts)):
        append_decisions(root, records)
    if as_json:
        print(json.dumps({"schema": SCHEMA, "recorded": [each.model_dump(by_alias=True) for each in records]}))
    else:
        print(f"{len(records)} decisions recorded; next: lifeos promote-findings --apply")
    return 0


def why(
    item: Annotated[str, typer.Argument(help="Start of an item's id.", metavar="ID")],
    as_of: AsOf = None,
    as_json: Json = False,
) -> int:
    """Say in one line why an item stands in the memory, or does not."""
    from lifeos.operations.as_of import read_as_of
    from lifeos.operations.findings.fold import fold
    from lifeos.operations.findings.ledger import read_ledger
    from lifeos.operations.findings.why import entry_json, find_entry, why_line
    from lifeos.settings import load_project

    root = load_project().root
    entry = find_entry(fold(read_ledger(root), read_as_of(as_of, root)), item)
    print(json.dumps({"schema": "lifeos.why/1", **entry_json(entry)}, allow_nan=False) if as_json else why_line(entry))
    return 0


def below(path: Path, root: Path) -> str:
    """Return a file's place below the checkout with ``/``, or an empty text for one that lies elsewhere."""
    absolute = path if path.is_absolute() else root / path
    return absolute.resolve().relative_to(root).as_posix() if absolute.resolve().is_relative_to(root) else ""


def _plan_json(plan: "Promotion", applied: bool) -> dict[str, Any]:
    from lifeos.operations.findings.why import entry_json

    return {
        "schema": "lifeos.promotion/1",
        "applied": applied,
        "as_of": plan.as_of.isoformat(),
        "new_records": len(plan.records),
        "admitted": [entry.id for entry in plan.admitted],
        "entries": [entry_json(entry) for entry in plan.entries.values()],
        "refused": [
            {"file": each.path.name, "problems": [{"line": p.line, "text": p.text} for p in each.problems]}
            for each in plan.refused
        ],
        "changed": [change.file for change in plan.changes],
    }


def _show(plan: "Promotion", applied: bool) -> None:
    for refused in plan.refused:
        print(f"refused: {refused.path.name}")
        for problem in refused.problems:
            print(f"  line {problem.line}: {problem.text}")
    for entry in plan.entries.values():
        print(f"{entry.status:<10} {entry.id}  {entry.key}\n{'':11}{entry.text}\n{'':11}{entry.reason}")
    for change in plan.changes:
        print("\n".join(_difference(change)))
    counts = f"{len(plan.records)} new records, {len(plan.admitted)} items newly active"
    counts += f", {len(plan.changes)} files change"
    if applied:
        print(f"written, as of {plan.as_of}: {counts}")
    elif plan.records or plan.changes or plan.refused:
        print(f"not written, as of {plan.as_of}: {counts}; next: lifeos promote-findings --apply")
    else:
        print(f"nothing to promote, as of {plan.as_of}")


def _difference(change: "Change") -> list[str]:
    import difflib

    before = change.before.decode("utf-8", "replace").splitlines()
    after = change.after.decode("utf-8", "replace").splitlines()
    return list(difflib.unified_diff(before, after, change.file, change.file, lineterm="", n=0))


def _show_entry(entry: "Entry", number: int, count: int) -> None:
    from lifeos.operations.findings.why import why_line

    print(f"\n{number} of {count}: {entry.kind}\n  {why_line(entry)}")
