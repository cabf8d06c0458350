"""A scorecard as JUnit XML, the form in which build servers read results."""

from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree


def junit_xml(row: Mapping[str, Any]) -> str:
    """Return one test suite with one case a gate.

    A gate that failed is a failure, one that was not evaluated an error, one that was not applicable is skipped. A soft
    gate that did not pass is skipped too, with its reason: it never changes the verdict.

    Args:
        row: a scorecard.
    """
    suite = ElementTree.Element("testsuite", {
        "name": f"lifeos {row['phase']}", "timestamp": str(row["time"]).removesuffix("Z"),
        "time": f"{float(row['durations'].get('total', 0.0)):.3f}",
    })  # fmt: skip
    counts = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
    for gate in row["gates"]:
        counts["tests"] += 1
        case = ElementTree.SubElement(
            suite, "testcase", {"classname": f"{row['phase']}.{gate['severity']}", "name": gate["id"]}
        )
        if gate["verdict"] == "passed":
            continue
        kind = {"failed": "failure", "not_evaluated": "error"}.get(gate["verdict"], "skipped")
        kind = "skipped" if gate["severity"] == "soft" else kind
        counts[{"failure": "failures", "error": "errors"}.get(kind, "skipped")] += 1
        told = ElementTree.SubElement(case, kind, {"message": _clean(f"{gate['verdict']}: {gate['reason']}")})
        if kind != "skipped":
            told.set("type", gate["verdict"])
    for name, count in counts.items():
        suite.set(name, str(count))
    ElementTree.indent(suite)
    text = ElementTree.tostring(suite, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'


def _clean(text: str) -> str:
    """Text without the control characters that XML cannot hold."""
    return "".join(character if character.isprintable() else " " for character in text)
