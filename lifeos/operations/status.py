"""Where things stand: ten facts and the next command."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from lifeos.errors import InputError
from lifeos.settings import Project

PHASES = ("predeploy", "pod", "release")


@dataclass(frozen=True)
class Status:
    """What is known of a checkout.

    Args:
        commit: 12 digits of HEAD, or ``"unknown"``; ``changed`` counts files that differ from it, None where unknown.
        guard: blocking guardrails, each with its reason.
        cycle: run, exit code and reason of the latest cycle, and whether it can be resumed; or None.
        phases: latest row of each phase: verdict, id, time, or None where it never ran.
        champion: LoRA and row that it stands on, ``"none"``, or what is wrong with it.
        memory: number of active findings, tasks and rules, of items that wait and of those in conflict.
        unread: briefings that the ledger does not know.
        next: command to type, and why.
    """

    commit: str
    changed: int | None
    guard: tuple[str, ...]
    cycle: Mapping[str, Any] | None
    phases: Mapping[str, Mapping[str, Any] | None]
    champion: str
    memory: Mapping[str, int]
    unread: int
    next: tuple[str, str]

    def to_json(self) -> dict[str, Any]:
        """Return the answer of ``lifeos status --json``."""
        return {
            "schema": "lifeos.status/1", "commit": self.commit, "changed": self.changed, "guard": list(self.guard),
            "cycle": self.cycle, "phases": dict(self.phases), "champion": self.champion, "memory": dict(self.memory),
            "unread_briefings": self.unread, "next": {"command": self.next[0], "why": self.next[1]},
        }  # fmt: skip


def read_status(project: Project, artifacts: Path, history: Path, as_of: date) -> Status:
    """Read what a checkout says of itself; what cannot be read is said in its place.

    Args:
        project: root and settings.
        artifacts: data folder.
        history: file of rows.
        as_of: day by which documents and items age.
    """
    from lifeos.git import git_state
    from lifeos.operations.cycle.state import all_states
    from lifeos.operations.guard.preflight import guard_findings

    root = project.root
    guard = tuple(f"{each.id}: {each.verdict.reason}" for each in guard_findings(root, as_of) if each.blocks)
    git = git_state(root, (history, artifacts))
    states = all_states(artifacts)
    shown = {"run", "exit_code", "reason", "created"}
    cycle = {**states[-1].model_dump(include=shown), "resumable": states[-1].resumable} if states else None
    rows = _rows(history)
    newest = {row["phase"]: _short(row) for row in rows if row.get("phase") in PHASES}
    phases = {phase: newest.get(phase) for phase in PHASES}
    memory, unread = _memory(root, artifacts, as_of)
    champion, lora = _champion(project)
    latest = next((row for row in reversed(rows) if row.get("phase") == "release"), None)
    return Status(
        str(git["git_commit"] or "unknown")[:12], None if git["git_dirty"] is None else len(git["git_changed"]), guard,
        cycle, phases, champion, memory, unread,
        _next(guard, cycle, memory, unread, newest.get("predeploy"), latest, lora),
    )  # fmt: skip


def status_lines(status: Status) -> list[str]:
    """Return at most ten lines for a person."""
    changed = "" if not status.changed else f", {status.changed} files changed"
    guard = "ready" if not status.guard else f"{len(status.guard)} block: {status.guard[0]}"
    lines = [f"checkout    {status.commit}{changed}", f"guardrails  {guard}"]
    if status.cycle is None:
        lines.append("cycle       none yet")
    else:
        lines.append(f"cycle       {status.cycle['run']}: {status.cycle['reason'] or 'did not come to its end'}")
    for phase, row in status.phases.items():
        said = "never ran" if row is None else f"{row['verdict'].replace('_', ' ')}, row {row['row']}"
        lines.append(f"{phase:<11} {said}")
    has = status.memory
    lines.append(f"champion    {status.champion}")
    lines.append(
        f"memory      {has['finding']} findings, {has['task']} tasks, {has['rule']} rules; {has['waiting']} wait for a "
        f"person, {has['conflict']} in conflict, {status.unread} briefings unread"
    )
    return [*lines, f"next        {status.next[0]}  ({status.next[1]})"]


def _rows(history: Path) -> list[Mapping[str, Any]]:
    from evals.history import read

    try:
        return list(read(history))
    except InputError:
        # The guardrail history_chain says what is wrong with it.
        return []


def _short(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"verdict": row["verdict"], "row": row["id"], "time": row["time"]}


def _memory(root: Path, artifacts: Path, as_of: date) -> tuple[dict[str, int], int]:
    from evals.content_hash import hash_file
    from lifeos.operations.findings.fold import fold
    from lifeos.operations.findings.ledger import read_ledger

    counts = dict.fromkeys(("finding", "task", "rule", "waiting", "conflict"), 0)
    try:
        ledger = read_ledger(root)
    except InputError:
        return counts, 0
    for entry in fold(ledger, as_of).values():
        name = entry.kind if entry.status == "active" else entry.status
        counts[name] = counts.get(name, 0) + 1
    known = {record.briefing_sha256 for record in ledger.items}
    files = [path for path in (artifacts / "briefings").glob("*.md") if path.is_file() and not path.is_symlink()]
    # A briefing of nothing but echoes stays unread for ever; one of no work has nothing to read.
    unread = [path for path in files if hash_file(path) not in known and not _brings_nothing(path, ledger)]
    return counts, len(unread)


def _brings_nothing(path: Path, ledger: Any) -> bool:
    from lifeos.operations.briefing import BriefingError, item_id, parse_briefing

    try:
        briefing = parse_briefing(path.read_bytes(), path.name)
    except (BriefingError, OSError):
        return False
    known = {(record.id, frozenset(record.evidence)) for record in ledger.items}
    brought = [(item_id(item.kind, item.key, item.text), frozenset(map(str, item.evidence))) for item in briefing.items]
    return set(brought) <= known


def _champion(project: Project) -> tuple[str, str | None]:
    from lifeos.champion import CHAMPION_FILE, read_champion

    path = project.path("persona") / CHAMPION_FILE
    if not path.exists():
        return "none", None
    try:
        champion = read_champion(path)
    except InputError as error:
        return str(error), None
    how = "" if champion.approved else " (not approved)"
    return f"LoRA {champion.lora[:12]}, row {champion.row}{how}", champion.lora


def _next(
    guard: tuple[str, ...], cycle: Mapping[str, Any] | None, memory: Mapping[str, int], unread: int,
    predeploy: Mapping[str, Any] | None, latest: Mapping[str, Any] | None, champion: str | None,
) -> tuple[str, str]:  # fmt: skip
    if guard:
        return "lifeos preflight", "guardrails block"
    if cycle is not None and cycle["resumable"] and cycle["exit_code"] not in (0, 10, 60):
        return f"lifeos run-full-cycle --resume {cycle['run']}", "the latest cycle did not come to its end"
    if memory["waiting"] or memory["conflict"]:
        return "lifeos review", "items wait for a person"
    if unread:
        return "lifeos promote-findings", "briefings are unread"
    if predeploy is not None and predeploy["verdict"] != "approved":
        return "lifeos gate predeploy", f"its latest run was {predeploy['verdict'].replace('_', ' ')}"
    if latest is None:
        return "lifeos gate release", "no release was judged yet"
    if latest["verdict"] == "rejected":
        return "lifeos where-to-mend", "the latest release was rejected"
    if latest["verdict"] == "not_evaluated":
        return "lifeos gate release", "the latest release was not evaluated"
    if (latest.get("hashes") or {}).get("lora") not in (None, champion):
        return f"lifeos promote-lora {latest['id']}", "the latest release was approved and is not the champion"
    return "lifeos run-full-cycle", "nothing is open"
