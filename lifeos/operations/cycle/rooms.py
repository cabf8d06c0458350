"""The real rooms behind a cycle: guardrails, agent, gates."""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from pathlib import Path

from lifeos.operations.cycle.memory import own_files
from lifeos.operations.cycle.state import Options
from lifeos.operations.cycle.work import AgentEnd, GateEnd, GuardEnd, Work


def work_of(
    root: Path, artifacts: Path, history: Path, persona: str | None, options: Options, now: Callable[[], datetime]
) -> Work:
    """Return what a cycle of this checkout calls.

    Args:
        root: the checkout.
        artifacts: data folder.
        history: file of rows.
        persona: folder, or None for the project's.
        options: of the cycle.
        now: clock.

    Raises:
        InputError: there is no such adapter.
    """
    from lifeos.operations.agent.adapters import adapter_named

    adapter = adapter_named(options.adapter)

    def guard(place: Path, day: date) -> GuardEnd:
        from lifeos.operations.guard.preflight import guard_findings

        found = guard_findings(place, day)
        return GuardEnd(len(found), tuple(f"{each.id}: {each.verdict.reason}" for each in found if each.blocks))

    def agent(run: str, day: date, max_usd: float | None) -> AgentEnd:
        from lifeos.operations.agent.agent_run import run_agent
        from lifeos.operations.agent.contract import load_contract

        result = run_agent(
            root, load_contract(root), adapter, run=run, as_of=day, now=now, artifacts=artifacts, history=history,
            max_usd=max_usd,
        )  # fmt: skip
        briefing = None if result.briefing is None else Path(result.briefing)
        place = Path(result.transcript)
        shown = place.relative_to(root).as_posix() if place.is_relative_to(root) else place.name
        return AgentEnd(
            result.outcome, result.reason, briefing, result.sha256, result.usd, result.exit_code, shown
        )  # fmt: skip

    def gate(phase: str, run: str) -> GateEnd:
        return run_phase(phase, run, artifacts, history, persona, now, own=own_files(root))

    return Work(guard, agent, adapter.free, gate, now)


def run_phase(
    phase: str, run: str, artifacts: Path, history: Path, persona: str | None, now: Callable[[], datetime],
    own: Sequence[Path] = (),
) -> GateEnd:  # fmt: skip
    """Run the gates of a phase, or take the row that this run has in the history already.

    Args:
        phase, run: which, and the id of its row.
        artifacts, history, persona: as for a cycle.
        now: clock.
        own: files whose changes make the row no dirtier.

    Raises:
        InputError: as ``lifeos.runner.run_gate``.
        GateRunError: likewise.
    """
    from evals.history import read
    from lifeos.runner import run_gate

    there = [row for row in read(history) if row.get("run_id") == run]
    if there:
        row = there[-1]
        return GateEnd(row["verdict"], str(row["id"]), _blocking(row["gates"]))
    options = {"history": str(history), "artifacts": str(artifacts), "persona": persona}
    done = run_gate(phase, options, now=now, run_id=run, own=own)
    gates = [result.to_json() for result in done.results]
    return GateEnd(done.verdict, done.row, _blocking(gates))  # type: ignore[arg-type]


def _blocking(gates: list[dict[str, object]]) -> tuple[str, ...]:
    return tuple(
        str(gate["id"]) for gate in gates
        if gate["severity"] == "hard" and gate["verdict"] in ("failed", "not_evaluated")
    )  # fmt: skip
