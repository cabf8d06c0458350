"""``preflight``, ``freshness-check`` and ``context-budget``."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lifeos.cli_options import Json, print_table, utc_now
from lifeos.errors import InputError

if TYPE_CHECKING:
    from lifeos.operations.guard.context_budget import Budget
    from lifeos.operations.guard.freshness import Freshness

AsOf = Annotated[str | None, typer.Option("--as-of", help="Day to judge by; default: HEAD's.", metavar="DATE")]


def preflight(as_of: AsOf = None, as_json: Json = False) -> int:
    """Ask every guardrail: what has to be true before a person, an agent or a cycle begins.

    Exit status: 0 all passed, 1 one failed, 2 one could not be evaluated.
    """
    from evals.verdict import Outcome
    from lifeos.operations.as_of import read_as_of
    from lifeos.operations.guard.preflight import exit_code, guard_findings
    from lifeos.settings import project_root

    root = project_root()
    findings = guard_findings(root, read_as_of(as_of, root))
    code = exit_code(findings)
    if as_json:
        answer = {
            "schema": "lifeos.preflight/1", "verdict": ("passed", "failed", "not_evaluated")[code],
            "checks": [
                {"id": each.id, "severity": "hard" if each.hard else "soft", "verdict": each.verdict.outcome.value,
                 "reason": each.verdict.reason}
                for each in findings
            ],
        }  # fmt: skip
        print(json.dumps(answer, allow_nan=False))
        return code
    words = {Outcome.PASSED: "passed", Outcome.FAILED: "FAILED", Outcome.NOT_EVALUATED: "NOT EVALUATED"}
    table = [
        (each.id, words.get(each.verdict.outcome, "-") + ("" if each.hard else " (soft)"), each.verdict.reason)
        for each in findings
    ]
    print_table(table)
    blocking = sum(each.blocks for each in findings)
    print(f"{blocking} of {len(findings)} guardrails block" if blocking else f"ready: {len(findings)} guardrails asked")
    return code


def freshness_check(
    as_of: AsOf = None,
    verify: Annotated[
        list[str] | None, typer.Option("--verify", help="Pin this document after reading it.", metavar="DOCUMENT")
    ] = None,
    as_json: Json = False,
) -> int:
    """Say which documents no longer agree with the files they are about; with --verify pin one that was read again.

    Exit status: 0 all fresh, 1 one is stale, 2 it could not be told.
    """
    from datetime import date

    from lifeos.operations.as_of import read_as_of
    from lifeos.operations.guard.checkout import Checkout
    from lifeos.operations.guard.freshness import read_freshness, verify_document
    from lifeos.settings import project_root

    root = project_root()
    checkout = Checkout(root)
    if checkout.tracked is None:
        raise InputError("freshness-check: accepted a git checkout, got none; next: git init, git add, git commit")
    for name in verify or []:
        verify_document(checkout, name, date.fromisoformat(as_of or utc_now()[:10]))
    found, problems = read_freshness(Checkout(root) if verify else checkout, read_as_of(as_of, root))
    stale = [each for each in found if each.stale and each.excused is None]
    if as_json:
        answer = {"schema": "lifeos.freshness/1", "documents": [_freshness_json(each) for each in found],
                  "problems": problems, "verdict": "failed" if stale or problems else "passed"}  # fmt: skip
        print(json.dumps(answer, allow_nan=False))
    else:
        print_table([("document", "how", "why"), *(_freshness_row(each) for each in found)])
        print("".join(f"{each}\n" for each in problems), end="")
        if stale:
            name = stale[0].document
            print(f"next: read {name}, correct it, then lifeos freshness-check --verify {name}")
    return 1 if stale or problems else 0


def context_budget(as_json: Json = False) -> int:
    """Say how much an agent reads before its first word, and what to cut first.

    Exit status: 0 within the budget, 1 over it, 2 it could not be told.
    """
    from evals.verdict import Outcome
    from lifeos.operations.guard.checkout import Checkout
    from lifeos.operations.guard.context_budget import TOTAL_BYTES, budget_verdict, measure_budget
    from lifeos.settings import project_root

    checkout = Checkout(project_root())
    verdict, budget = budget_verdict(checkout), measure_budget(checkout)
    code = {Outcome.PASSED: 0, Outcome.FAILED: 1}.get(verdict.outcome, 2)
    if as_json:
        print(json.dumps(_budget_json(budget, verdict.outcome.value, verdict.reason, TOTAL_BYTES), allow_nan=False))
        return code
    rows = [
        (used.name, f"{used.lines}{'' if used.most_lines is None else f' of {used.most_lines}'}",
         f"{used.size}{'' if used.most_bytes is None else f' of {used.most_bytes}'}", f"~{used.tokens}",
         "OVER" if used.over else "")
        for used in budget.files
    ]  # fmt: skip
    total = ("in all", "", f"{budget.total} of {TOTAL_BYTES}", f"~{sum(used.tokens for used in budget.files)}", "")
    print_table([("file", "lines", "bytes", "tokens", ""), *rows, total])
    print("tokens are an estimate: a third of the bytes; biggest sections:")
    print_table([(str(size), name, heading) for name, heading, size in budget.cuts()[:5]] or [("", "", "none")])
    print(verdict.reason)
    return code


def _freshness_json(each: "Freshness") -> dict[str, Any]:
    return {
        "document": each.document, "stale": each.stale, "digest": each.digest,
        "excused_until": None if each.excused is None else each.excused.isoformat(),
    }  # fmt: skip


def _freshness_row(each: "Freshness") -> tuple[str, str, str]:
    if each.stale is None:
        return each.document, "fresh", ""
    return each.document, "STALE" if each.excused is None else f"excused until {each.excused}", each.stale


def _budget_json(budget: "Budget", verdict: str, reason: str, total: int) -> dict[str, Any]:
    return {
        "schema": "lifeos.context_budget/1", "verdict": verdict, "reason": reason, "bytes": budget.total,
        "limit": total, "tokens_estimated": sum(used.tokens for used in budget.files),
        "files": [
            {"file": used.name, "lines": used.lines, "bytes": used.size, "most_lines": used.most_lines,
             "most_bytes": used.most_bytes, "tokens_estimated": used.tokens, "over": used.over}
            for used in budget.files
        ],
        "cuts": [{"file": name, "section": heading, "bytes": size} for name, heading, size in budget.cuts()[:10]],
    }  # fmt: skip
