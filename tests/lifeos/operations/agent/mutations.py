"""Every way in which a contract can be weakened, by name; ``python -m`` prints each with what the gate says."""

import re
from pathlib import Path

from lifeos.operations.agent.contract import parse_contract
from lifeos.operations.agent.contract_checks import contract_problems

ROOT = Path(__file__).resolve().parents[4]
NAME = "agents/pistachio-agent-v3.md"
TEXT = (ROOT / NAME).read_bytes().decode("utf-8").replace("\r\n", "\n")


def without(pattern):
    """Delete the one line that matches."""
    changed, count = re.subn(rf"(?m)^.*{pattern}.*\n", "", TEXT, count=1)
    assert count == 1, pattern
    return changed


def instead(old, new):
    """Replace one text."""
    assert old in TEXT, old
    return TEXT.replace(old, new, 1)


def mutations():
    """Return every change by name."""
    stops = re.findall(r"- \{id: (\w+), kind: (\w+), check: (\w+)\}", TEXT)
    outcomes = re.findall(r"(?m)^  (\w+): \{action: (\w+), commit: (\w+), exit: (\d+)\}", TEXT)
    assert len(stops) == 8
    assert len(outcomes) == 12
    found = {}
    for name, kind, check in stops:
        row = f"{{id: {name}, kind: {kind}, check: {check}}}"
        found[f"stop {name} deleted"] = without(re.escape(row))
        other = "limit" if kind != "limit" else "success"
        found[f"stop {name} of another kind"] = instead(row, row.replace(f"kind: {kind}", f"kind: {other}"))
        found[f"stop {name} that nothing checks"] = instead(row, row.replace(f"check: {check}", "check: good_mood"))
        found[f"stop {name} twice"] = instead(row, f"{row}\n  - {row}")
        found[f"stop {name} not in the prose"] = TEXT.replace(f"`{name}`", name)
    for name, action, commit, code in outcomes:
        row = f"  {name}: {{action: {action}, commit: {commit}, exit: {code}}}"
        found[f"failure {name} deleted"] = without(re.escape(row))
        found[f"failure {name} with another exit"] = instead(row, row.replace(f"exit: {code}", "exit: 1"))
        other = "false" if commit == "true" else "true"
        changed = row.replace(f"commit: {commit}", f"commit: {other}")
        found[f"failure {name} with commit {other}"] = instead(row, changed)
        other = "promote" if action != "promote" else "discard"
        found[f"failure {name} with action {other}"] = instead(row, row.replace(action, other))
        found[f"failure {name} not in the prose"] = TEXT.replace(f"`{name}`", name)
    budgets = dict(re.findall(r"(\w+): ([\d.]+)[,}]", re.search(r"budgets: .*", TEXT).group()))
    for name, value in budgets.items():
        cell = f"{name}: {value}"
        found[f"budget {name} deleted"] = re.sub(rf"{cell}(, )?", "", TEXT, count=1).replace(", }", "}")
        for other in ("0" if name != "usd" else "-1", "-5", "1000000", ".inf", ".nan", "unlimited", "true"):
            found[f"budget {name} {other}"] = instead(cell, f"{name}: {other}")
    found |= {
        "more silence than time": instead("idle_s: 300", "idle_s: 3600"),
        "an unknown outcome": instead("failure:\n", "failure:\n  lucky: {action: promote, commit: true, exit: 0}\n"),
        "an unknown key": instead("kill: STOP", "kill: STOP\nmay_push: true"),
        "a key twice": instead("kill: STOP", "kill: STOP\nkill: NEVER"),
        "no kill switch": without("kill: STOP"),
        "another kill switch": instead("kill: STOP", "kill: HALT"),
        "writes to the control plane": instead("writes: [artifacts/briefings]", "writes: [context]"),
        "writes to all data": instead("writes: [artifacts/briefings]", "writes: [artifacts]"),
        "writes above": instead("writes: [artifacts/briefings]", "writes: [artifacts/../context]"),
        "writes anywhere": instead("writes: [artifacts/briefings]", "writes: [/]"),
        "writes a home": instead("writes: [artifacts/briefings]", "writes: [~/x]"),
        "writes nothing": instead("writes: [artifacts/briefings]", "writes: []"),
        "an output outside of writes": instead('path: "artifacts/briefings/{run}.md"', 'path: "artifacts/{run}.md"'),
        "one output for all runs": instead('path: "artifacts/briefings/{run}.md"', 'path: "artifacts/briefings/b.md"'),
        "another schema of output": instead("schema: briefing/1}", "schema: briefing/2}"),
        "another schema": instead("schema: contract/1", "schema: contract/2"),
        "reads what is not there": instead("reads: [CLAUDE.md", "reads: [nowhere.md"),
        "reads above": instead("reads: [CLAUDE.md", "reads: [../secrets"),
        "reads nothing": re.sub(r"(?m)^reads: .*$", "reads: []", TEXT),
        "no self-check": without("self_check:"),
        "another self-check": instead("[lifeos, agent, check", "[lifeos, agent, bless"),
        "no block": TEXT.replace("```yaml contract", "```yaml", 1),
        "two blocks": TEXT + re.search(r"(?s)```yaml contract.*?```\n", TEXT).group(),
        "no example": TEXT.replace("```markdown briefing", "```markdown", 1),
        "an example that does not parse": instead("confidence: measured)", "confidence: certain)"),
        "no name": without("name: pistachio-agent-v3"),
        "no description": without("description:"),
        "no front matter": TEXT.split("---\n", 2)[2],
    }
    return found


def red(text):
    """Return why a contract is refused, or None."""
    try:
        problems = list(contract_problems(parse_contract(text, NAME), ROOT))
    except ValueError as error:
        return str(error)
    return problems[0] if problems else None


if __name__ == "__main__":
    for change, changed in mutations().items():
        print(f"| {change} | {str(red(changed)).replace('|', chr(92) + '|')} |")
