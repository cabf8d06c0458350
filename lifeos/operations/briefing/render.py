"""A briefing as text: the inverse of the parser."""

from lifeos.operations.briefing.model import KINDS, SCHEMA, Briefing, Item


def render_briefing(briefing: Briefing) -> str:
    """Return the file's text, with ``\\n`` line ends; ``parse_briefing`` gives the briefing back.

    Nothing is checked here: what the parser refuses is written as it is.
    """
    head = {
        "schema": SCHEMA,
        "id": briefing.id,
        "run_id": briefing.run_id,
        "agent": briefing.agent,
        "contract": briefing.contract,
        "created": briefing.created,
        "base_commit": briefing.base_commit,
        "outcome": briefing.outcome,
        "taint": briefing.taint,
    }
    lines = ["---", *(f"{name}: {_quoted(value)}" for name, value in head.items())]
    lines.append("inputs:" if briefing.inputs else "inputs: []")
    for each in briefing.inputs:
        lines += [f"  - path: {_quoted(each.path)}", f"    sha256: {_quoted(each.sha256)}"]
    lines += ["---", "", "## Summary", "", briefing.summary, ""]
    for kind, (_, heading) in KINDS.items():
        lines += [f"## {heading}", ""]
        items = [item_line(item) for item in briefing.items if item.kind == kind]
        lines += [*items, ""] if items else []
    lines += ["## No-work", ""]
    lines += [briefing.no_work, ""] if briefing.no_work else []
    return "\n".join(lines).rstrip("\n") + "\n"


def item_line(item: Item) -> str:
    """Return an item's line."""
    fields = [f"evidence: {', '.join(map(str, item.evidence))}", f"confidence: {item.confidence}"]
    if item.supersedes:
        fields.append(f"supersedes: {', '.join(item.supersedes)}")
    if item.enforced_by is not None:
        fields.append(f"enforced_by: {item.enforced_by}")
    return f"- [{item.key}] {item.text} ({'; '.join(fields)})"


def _quoted(value: str) -> str:
    # A commit of digits alone, "null" or "yes" would come back as something else.
    return "'" + value.replace("'", "''") + "'"
