"""From the report that pytest left to one verdict a gate: nothing that did not happen counts as passed."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from evals.scorecard import APPROVED, NOT_EVALUATED, REJECTED, gate_row
from evals.verdict import Outcome, Verdict, not_applicable, not_evaluated
from lifeos.manifest import GateRow, missing_needs

EXIT_APPROVED, EXIT_REJECTED, EXIT_NOT_EVALUATED, EXIT_INTERNAL, EXIT_INTERRUPTED = 0, 1, 2, 3, 130
# Of several verdicts of one gate the worst holds.
_SEVERITY = (Outcome.NOT_APPLICABLE, Outcome.PASSED, Outcome.NOT_EVALUATED, Outcome.FAILED)

_FOR_USERS = re.compile(r"^(?:[A-Za-z_]+\.)*InputError: ")


@dataclass
class PytestReport:
    """What pytest did: gate events by id, gate files that could not be read, narrowing options, its exit status.

    ``exit`` is None when pytest never came to its end.
    """

    gates: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    collect_errors: list[str] = field(default_factory=list)
    narrowed: list[str] = field(default_factory=list)
    marker: str | None = None
    exit: int | None = None


@dataclass(frozen=True)
class GateResult:
    """One row of the answer."""

    id: str
    severity: str
    verdict: Verdict

    def to_json(self) -> dict[str, Any]:
        """Return the row as ``lifeos gate --json`` and the scorecard hold it."""
        return gate_row(self.id, self.severity, self.verdict)


def read_report(path: Path) -> PytestReport:
    """Read a report; a torn last line (pytest was killed) is left out, a missing file is an empty report."""
    report = PytestReport()
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if event["event"] == "started":
            report.narrowed, report.marker = list(event["narrowed"]), event["marker"]
        elif event["event"] == "gate":
            report.gates.setdefault(event["gate"], []).append(event)
        elif event["event"] == "collect_error":
            report.collect_errors.append(f"{event['node']}: {event['message']}")
        elif event["event"] == "finished":
            report.exit = int(event["exit"])
    return report


def gate_results(rows: Sequence[GateRow], declared: frozenset[str], report: PytestReport) -> list[GateResult]:
    """Return one result for each gate of the phase, and one for each gate that ran without being listed.

    Args:
        rows: the manifest's gates of the phase.
        declared: what the run declared.
        report: what pytest did.
    """
    results = []
    for row in rows:
        missing = missing_needs(row, declared)
        if missing:
            verdict = not_applicable(f"no {' and no '.join(missing)} was declared")
        else:
            verdict = _verdict(report.gates.get(row.id, []))
        results.append(GateResult(row.id, row.severity, verdict))
    for unknown in sorted(set(report.gates) - {row.id for row in rows}):
        reason = "the gate ran but gates/manifest.toml does not list it for this phase"
        results.append(GateResult(unknown, "hard", not_evaluated(reason)))
    return results


def exit_status(verdict: str) -> int:
    """Return the exit status of an overall verdict."""
    return {APPROVED: EXIT_APPROVED, REJECTED: EXIT_REJECTED, NOT_EVALUATED: EXIT_NOT_EVALUATED}[verdict]


def narrowing(rows: Sequence[GateRow], declared: frozenset[str], report: PytestReport, phase: str) -> list[str]:
    """Return what kept pytest from running every expected gate of the phase: options and gates that are missing."""
    reasons = list(report.narrowed)
    if report.marker is not None and report.marker != phase:
        reasons.append(f"-m {report.marker}")
    # A known failure that was looked for is a part of its gate, not the gate.
    ran = {gate for gate, events in report.gates.items() if any(not event.get("known_failure") for event in events)}
    absent = [row.id for row in rows if not missing_needs(row, declared) and row.id not in ran]
    return reasons + [f"{gate} did not run" for gate in absent]


def _verdict(events: Sequence[dict[str, Any]]) -> Verdict:
    if not events:
        return not_evaluated("the gate did not run: deselected or missing")
    by_node: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        by_node.setdefault(event["node"], []).append(event)
    own: list[Verdict] = []
    parts: list[Verdict] = []
    for node_events in by_node.values():
        (parts if node_events[0].get("known_failure") else own).append(_verdict_of_node(node_events))
    missing = not_evaluated("the gate did not run: deselected or missing")
    verdict = max(own, key=lambda each: _SEVERITY.index(each.outcome), default=missing)
    if not parts:
        return verdict
    worst = max(parts, key=lambda each: _SEVERITY.index(each.outcome))
    if worst.outcome is Outcome.FAILED and verdict.outcome is Outcome.FAILED:
        # The gate's own figures, and what is known about such a failure.
        return replace(verdict, reason=f"{verdict.reason}; {worst.reason}")
    return max(verdict, worst, key=lambda each: _SEVERITY.index(each.outcome))


def _verdict_of_node(events: Sequence[dict[str, Any]]) -> Verdict:
    texts = [event["verdict"] for event in events if event["verdict"]]
    verdict = Verdict.from_json(json.loads(texts[-1])) if texts else None
    first_failure = next((event["message"] for event in events if event["outcome"] == "failed"), None)
    if verdict is None:
        skipped = next((event for event in events if event["outcome"] == "skipped"), None)
        if first_failure is not None:
            said = _one_line(first_failure)
            # An error that is written for users is the reason, whichever fixture raised it.
            broke = "" if _FOR_USERS.match(said) else "the gate broke: "
            return not_evaluated(broke + _FOR_USERS.sub("", said))
        if skipped is not None:
            kind = "xfailed" if skipped["xfail"] else "skipped"
            return not_evaluated(f"the gate was {kind}: {_one_line(skipped['message'])}")
        return not_evaluated("the gate asserted no verdict")
    if verdict.outcome is Outcome.NOT_APPLICABLE:
        # What applies is decided by what was declared, before the run; a gate cannot excuse itself.
        return not_evaluated(f"the gate called itself not applicable: {verdict.reason}")
    if verdict.blocks:
        return verdict
    if any(event["outcome"] == "skipped" for event in events):
        return not_evaluated("the gate was skipped or xfailed after its verdict")
    if first_failure is not None:
        return not_evaluated(f"the gate broke after its verdict: {_one_line(first_failure)}")
    if not any(event["when"] == "teardown" for event in events):
        return not_evaluated("the gate did not come to its end")
    return verdict


def _one_line(message: str) -> str:
    return " ".join(message.split())[:300] or "no message"
