"""The cycle: one stage after another, each written down before and after, each safe to enter again."""

from collections.abc import Callable
from datetime import UTC, date
from pathlib import Path
from typing import Any

from evals.content_hash import hash_bytes
from lifeos.errors import InputError
from lifeos.operations.briefing import BriefingError, parse_briefing
from lifeos.operations.cycle.commit import CommitError, commit_edits
from lifeos.operations.cycle.memory import Memory, count_words
from lifeos.operations.cycle.state import STAGES, CycleState, Exit, Stage, StageState, add_event, save_state
from lifeos.operations.cycle.work import GateEnd, Work
from lifeos.operations.stop_file import STOP_FILE, stop_asked

# Agent ends that let the cycle go on.
_GOES_ON = ("ok", "no_work", "partial")


class CycleEndedError(Exception):
    """A stage that ends the cycle.

    Args:
        code: exit status.
        reason: one sentence.
    """

    def __init__(self, code: Exit, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class Cycle:
    """One run of the cycle, or its continuation.

    Args:
        memory: where it promotes.
        state: as it was created or loaded.
        work: the rooms it calls.
        breaker: why no agent may be run, or None.
        told: called with (stage, what is going on) for the terminal.
    """

    def __init__(
        self,
        memory: Memory,
        state: CycleState,
        work: Work,
        breaker: str | None = None,
        told: Callable[[str, str], None] = lambda stage, said: None,
    ) -> None:
        self.memory, self.state, self._work, self._breaker, self._told = memory, state, work, breaker, told

    def go(self, until: Stage = "commit") -> CycleState:
        """Run the stages that are not done yet, up to and with ``until``; return the state, which is also on disk.

        What ends the cycle is in the state, as exit code and reason; only an error of this program is raised.
        """
        self.state = self.state.model_copy(update={"exit_code": None, "reason": ""})
        self._save("resumed" if self.state.stages else "started", {})
        try:
            self._recheck()
            for stage in STAGES[: STAGES.index(until) + 1]:
                if stop_asked(self.memory.root):
                    raise CycleEndedError(Exit.STOP, f"the file {STOP_FILE} is there; next: remove it, then --resume")
                # The guardrails are asked again: since the cycle stopped, somebody may have changed what they guard.
                if stage == "guard" or not self.state.finished(stage):
                    self._told(stage, "")
                    getattr(self, f"_{stage}")()
        except CycleEndedError as end:
            return self._end(end.code, end.reason)
        except InputError as error:
            return self._end(Exit.USAGE, str(error))
        except KeyboardInterrupt:
            return self._end(Exit.INTERRUPT, f"interrupted; next: lifeos run-full-cycle --resume {self.state.run}")
        code, reason = self._verdict() if until == "commit" else (Exit.DONE, f"stopped after stage {until}, as asked")
        return self._end(code, reason)

    def _recheck(self) -> None:
        """Hold what earlier stages left against what is there now; whatever changed is done again."""
        promoted = self.state.stages.get("promote")
        if promoted is not None and promoted.status == "done" and promoted.outputs != self.memory.outputs():
            again = ("promote", "eval", "commit")
            kept = {stage: each for stage, each in self.state.stages.items() if stage not in again}
            self.state = self.state.model_copy(update={"stages": kept})
            self._save("promote again", {"why": "blocks or ledger changed since"})

    def _guard(self) -> None:
        end = self._work.guard(self.memory.root, self._day)
        if end.problems:
            said = f"{len(end.problems)} of {end.checked} guardrails block: {end.problems[0]}"
            raise self._failed("guard", Exit.GUARD, said, {"problems": list(end.problems)})
        if self._breaker is not None and self.state.options.agent:
            said = f"circuit breaker: {self._breaker}; next: look at the reports, then --close-breaker or --no-agent"
            raise self._failed("guard", Exit.GUARD, said, {})
        self._done("guard", f"{end.checked} guardrails passed")

    def _run(self) -> None:
        if not self.state.options.agent:
            self._put("run", StageState(status="skipped", said="no agent was asked for"))
            return
        cut_off = "run" in self.state.stages
        if cut_off and not self._work.repeatable and not self._has_ended():
            # It was paid for and may have been at its last line; nobody pays for it twice.
            raise self._failed("run", Exit.AGENT, "the agent was cut off and is not run again; next: a new cycle", {})
        self._put("run", StageState(status="started"))
        end = self._work.agent(self.state.run, self._day, self.state.options.max_usd)
        detail = {"outcome": end.outcome, "usd": end.usd, "transcript": end.transcript, "reason": end.reason}
        said = f"{end.outcome}: {end.reason}"
        if end.outcome not in _GOES_ON:
            raise self._failed("run", Exit(end.exit_code), said, detail)
        outputs = {} if end.briefing is None else {end.briefing.as_posix(): str(end.sha256)}
        self._put("run", StageState(status="done", said=said, detail=detail, outputs=outputs))

    def _has_ended(self) -> bool:
        return (self.memory.artifacts / "agent-runs" / self.state.run / "result.json").exists()

    def _validate(self) -> None:
        outputs = self.state.stages["run"].outputs
        if not outputs:
            self._put("validate", StageState(status="skipped", said="no briefing came"))
            return
        for name, sha256 in outputs.items():
            path = Path(name)
            try:
                data = path.read_bytes()
            except OSError as error:
                raise self._failed("validate", Exit.INVALID, f"{path.name}: gone: {error.strerror}", {}) from error
            if hash_bytes(data) != sha256:
                raise self._failed("validate", Exit.INVALID, f"{path.name}: changed since the agent's run", {})
            try:
                briefing = parse_briefing(data, path.name)
            except BriefingError as error:
                raise self._failed("validate", Exit.INVALID, str(error), {}) from error
            self._done("validate", f"{path.name}: {len(briefing.items)} items")

    def _promote(self) -> None:
        self._put("promote", StageState(status="started"))
        self._put("promote", self._promotion(self._promoted()))

    def _promotion(self, facts: dict[str, Any]) -> StageState:
        return StageState(status="done", said=count_words(facts), detail=facts, outputs=self.memory.outputs())

    def _promoted(self) -> dict[str, Any]:
        try:
            return self.memory.promote()
        except InputError as error:
            raise self._failed("promote", Exit.PROMOTION, str(error), {}) from error

    def _eval(self) -> None:
        ends: dict[str, dict[str, Any]] = {}
        self._put("eval", StageState(status="started"))
        self._cheap(ends)
        for phase in ("predeploy", "release") if self.state.options.release else ("predeploy",):
            self._told("eval", phase)
            ends[phase] = _facts(self._work.gate(phase, f"{self.state.run}-{phase}"))
            self._put("eval", StageState(status="started", detail={"gates": ends}))
        # What these gates rejected is a finding of this cycle, and goes through the cheap gates as any other.
        facts = self._promoted()
        if facts["changed"]:
            self._put("promote", self._promotion(facts))
            self._cheap(ends)
        said = ", ".join(f"{phase} {end['verdict']}" for phase, end in ends.items())
        self._put("eval", StageState(status="done", said=said, detail={"gates": ends}))

    def _cheap(self, ends: dict[str, dict[str, Any]]) -> None:
        self._told("eval", "cheap")
        end = self._work.gate("cheap", f"{self.state.run}-cheap")
        ends["cheap"] = _facts(end)
        if end.verdict != "approved":
            restored = self.memory.restore()
            said = f"cheap gates {end.verdict}: {', '.join(end.blocking) or 'no gate'}; the memory is as before"
            raise self._failed("eval", Exit.EVAL, said, {"gates": ends, "restored": restored})

    def _commit(self) -> None:
        promoted = count_words(self.state.detail("promote"))
        message = f"Record cycle {self.state.run}: {promoted}\n\n{self.state.stages['eval'].said}"
        self._put("commit", StageState(status="started"))
        try:
            commit = commit_edits(self.memory.root, self.memory.edits(), message, self.state.run)
        except (CommitError, InputError) as error:
            raise self._failed("commit", Exit.COMMIT, str(error), {}) from error
        if commit is None:
            self._put("commit", StageState(status="skipped", said="nothing to commit"))
        else:
            self._put("commit", StageState(status="done", said=commit[:12], detail={"commit": commit}))

    def _verdict(self) -> tuple[Exit, str]:
        gates = self.state.detail("eval").get("gates", {})
        unclear = [phase for phase, end in gates.items() if end["verdict"] == "not_evaluated"]
        if unclear:
            blocking = ", ".join(gates[unclear[0]]["blocking"]) or "no gate"
            return Exit.EVAL, f"phase {unclear[0]} was not evaluated: {blocking}; next: lifeos gate {unclear[0]}"
        rejected = [phase for phase, end in gates.items() if end["verdict"] == "rejected"]
        if rejected:
            return Exit.DONE, f"done; {rejected[0]} rejected: {', '.join(gates[rejected[0]]['blocking'])}"
        return Exit.DONE, "done"

    @property
    def _day(self) -> date:
        return date.fromisoformat(self.state.as_of)

    def _done(self, stage: Stage, said: str) -> None:
        self._put(stage, StageState(status="done", said=said))

    def _failed(self, stage: Stage, code: Exit, reason: str, detail: dict[str, Any]) -> CycleEndedError:
        self._put(stage, StageState(status="failed", said=reason, detail=detail))
        return CycleEndedError(code, reason)

    def _put(self, stage: Stage, state: StageState) -> None:
        self.state = self.state.with_stage(stage, state)
        self._save(f"{stage} {state.status}", {"said": state.said})
        if state.status != "started":
            self._told(stage, f"{state.status}: {state.said}")

    def _end(self, code: Exit, reason: str) -> CycleState:
        self.state = self.state.model_copy(update={"exit_code": int(code), "reason": reason})
        self._save("ended", {"exit_code": int(code), "reason": reason})
        return self.state

    def _save(self, event: str, facts: dict[str, Any]) -> None:
        time = self._work.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        add_event(self.memory.folder, time, event, facts)
        save_state(self.memory.folder, self.state)


def _facts(end: GateEnd) -> dict[str, Any]:
    return {"verdict": end.verdict, "row": end.row, "blocking": list(end.blocking)}
