"""A cycle as Markdown; a pure function of its state."""

from collections.abc import Mapping
from typing import Any

from lifeos.operations.briefing.item_text import inert
from lifeos.operations.cycle.state import STAGES, CycleState

_WORDS = {None: "did not come to its end", 0: "done", 10: "stopped by the guardrails", 20: "stopped by the agent's run",
          21: "stopped at a limit of the agent", 22: "stopped by an invalid briefing", 30: "stopped by promotion",
          40: "stopped by the gates", 50: "stopped at the commit", 60: "another cycle holds the lock",
          70: "stopped by a person", 130: "interrupted"}  # fmt: skip


def render_report(state: CycleState) -> str:
    """Return the report of a cycle; what agents and files said means nothing to Markdown there."""
    agent = state.options.adapter if state.options.agent else "none"
    lines = [
        f"# Cycle {state.run}",
        "",
        f"**{_WORDS.get(state.exit_code, 'ended')}** (exit {state.exit_code}): {inert(_one_line(state.reason))}",
        "",
        f"As of {state.as_of}, on {state.base_commit[:12]}, agent {agent}.",
        "",
        "| stage | how | what |",
        "| --- | --- | --- |",
    ]
    for stage in STAGES:
        each = state.stages.get(stage)
        status, said = ("not reached", "") if each is None else (each.status, each.said)
        lines.append(f"| {stage} | {status} | {inert(_one_line(said))} |")
    promote = state.detail("promote")
    lines += _items("Admitted to memory", promote.get("admitted", []))
    lines += _items("Waiting for a person (`lifeos review`)", promote.get("waiting", []))
    if promote.get("refused"):
        lines += ["", "## Refused briefings", "", *(f"- {inert(name)}" for name in promote["refused"])]
    gates = state.detail("eval").get("gates", {})
    if gates:
        lines += ["", "## Gates", ""]
        lines += [_gate(phase, end) for phase, end in gates.items()]
    run = state.detail("run")
    if run:
        cost = "unknown" if run.get("usd") is None else f"{run['usd']:.2f} USD"
        lines += ["", f"Agent: {run.get('outcome')}, cost {cost}, transcript in {inert(str(run.get('transcript')))}."]
    if state.exit_code not in (0, None) and not state.finished("commit"):
        resumed = f"`lifeos run-full-cycle --resume {state.run}` once the reason is gone."
        lines += ["", f"Next: {resumed if state.resumable else 'a new cycle, `lifeos run-full-cycle`.'}"]
    return "\n".join(lines) + "\n"


def _items(title: str, items: list[Mapping[str, Any]]) -> list[str]:
    if not items:
        return []
    return ["", f"## {title}", "", *(f"- {each['id']} {inert(each['key'])}: {inert(each['text'])}" for each in items)]


def _gate(phase: str, end: Mapping[str, Any]) -> str:
    row = f", row {end['row']}" if end["row"] else ""
    blocking = f": {inert(', '.join(end['blocking']))}" if end["blocking"] else ""
    return f"- {phase}: {end['verdict']}{row}{blocking}"


def _one_line(text: str) -> str:
    return " ".join(text.split())
