"""A checkout with control files, and rooms that a test decides: what a cycle sees when nothing else runs."""

import subprocess
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from evals.history import append, read
from lifeos.operations.briefing import Briefing, Evidence, Item, render_briefing
from lifeos.operations.cycle.cycle import Cycle
from lifeos.operations.cycle.memory import Memory
from lifeos.operations.cycle.state import CycleState, Options, cycles_folder, load_state
from lifeos.operations.cycle.work import AgentEnd, GateEnd, GuardEnd, Work
from lifeos.operations.findings.blocks import PLACES, empty_block

TODAY = date(2026, 11, 27)
NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
RUN = "cycle-1"
KEPT = [*(place.file for place in PLACES.values()), "context/ledger/items.jsonl", "history.jsonl"]


def git(root, *arguments):
    command = ["git", "-c", "user.name=A Person", "-c", "user.email=a@example.org", *arguments]
    done = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    return done.stdout


def checkout(root):
    """Make a repository with control files, a history of one row and a file of the user."""
    for place in PLACES.values():
        file = root / place.file
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(f"# {place.name}\n\nKept.\n\n{empty_block(place.name)}\nKept too.\n".encode())
    (root / "notes.txt").write_text("mine\n", encoding="utf-8")
    (root / ".gitignore").write_text("artifacts/\n*.lock\n", encoding="utf-8")
    append(root / "history.jsonl", {"id": "20260101T000000Z-0", "time": "2026-01-01T00:00:00Z", "verdict": "approved"})
    git(root, "init", "-q", "-b", "main")
    git(root, "config", "user.name", "A Person")
    git(root, "config", "user.email", "a@example.org")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "Begin")
    return root


@dataclass
class World:
    """The rooms around a cycle; a test changes what they answer."""

    root: Path
    problems: tuple = ()
    outcome: str = "ok"
    exit_code: int = 20
    repeatable: bool = True
    verdicts: dict = field(default_factory=lambda: dict.fromkeys(("cheap", "predeploy", "release"), "approved"))
    items: tuple = (("finding", "a.f", "The tail fails"), ("task", "a.t", "Train longer"))
    calls: list = field(default_factory=list)
    clock: int = 0

    def guard(self, root, day):
        self.calls.append("guard")
        return GuardEnd(3, tuple(self.problems))

    def agent(self, run, day, max_usd):
        """Write the briefing of a run, once; the row in the history is its evidence."""
        self.calls.append("agent")
        if self.outcome not in ("ok", "no_work", "partial"):
            return AgentEnd(self.outcome, "it did not go well", None, None, 0.5, self.exit_code, "artifacts/agent-runs")
        proof = Evidence("history.jsonl", read(self.root / "history.jsonl")[0]["hash"][:8])
        items = tuple(Item(kind, key, text, (proof,), "measured") for kind, key, text in self.items)
        briefing = Briefing(
            run, run, "builtin", "agents/a.md", "2026-11-27T12:00:00Z", "unknown",
            self.outcome if items else "no_work", (), "internal", "Read.", items, "" if items else "Nothing new.",
        )  # fmt: skip
        data = render_briefing(briefing).encode()
        path = self.root / "artifacts" / "briefings" / f"{run}.md"
        from evals.atomic import write_bytes
        from evals.content_hash import hash_bytes

        write_bytes(path, data)
        return AgentEnd(self.outcome, "a briefing came", path, hash_bytes(data), 0.0, 0, "artifacts/agent-runs")

    def gate(self, phase, run):
        """Give the verdict of a phase; all but cheap record one row a run."""
        self.calls.append(phase)
        verdict = self.verdicts[phase]
        blocking = () if verdict == "approved" else (f"{phase}_gate",)
        if phase == "cheap":
            return GateEnd(verdict, None, blocking)
        path = self.root / "history.jsonl"
        rows = [row for row in read(path) if row.get("run_id") == run]
        if not rows:
            gates = [{"id": name, "severity": "hard", "verdict": "failed"} for name in blocking]
            row = {"id": f"20261127T120000Z-{phase}", "run_id": run, "time": "2026-11-27T12:00:00Z", "phase": phase,
                   "persona": "pistachio", "verdict": verdict, "gates": gates, "git_commit": None}  # fmt: skip
            rows = [append(path, row)]
        return GateEnd(verdict, rows[0]["id"], blocking)

    def now(self):
        self.clock += 1
        return NOON + timedelta(seconds=self.clock)

    def memory(self, run=RUN):
        artifacts = self.root / "artifacts"
        return Memory(self.root, artifacts, self.root / "history.jsonl", cycles_folder(artifacts) / run, TODAY)

    def cycle(self, run=RUN, breaker=None, **options):
        memory = self.memory(run)
        if (memory.folder / "state.json").exists():
            state = load_state(memory.folder)
        else:
            state = CycleState(run=run, as_of="2026-11-27", created="2026-11-27T12:00:00Z", base_commit="0" * 40,
                               options=Options(**options))  # fmt: skip
        work = Work(self.guard, self.agent, self.repeatable, self.gate, self.now)
        return Cycle(memory, state, work, breaker)

    def go(self, run=RUN, until="commit", breaker=None, **options):
        return self.cycle(run, breaker, **options).go(until)


def kept(root):
    """Return the bytes of everything that a cycle may write, in the work tree and in HEAD."""
    there = {name: (root / name).read_bytes() if (root / name).exists() else None for name in KEPT}
    tracked = git(root, "ls-tree", "-r", "HEAD")
    return there, tracked
