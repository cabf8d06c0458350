"""``lifeos run-full-cycle``."""

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lifeos.cli_options import Artifacts, History, Json, Persona, artifacts_path, history_path
from lifeos.errors import InputError

if TYPE_CHECKING:
    from lifeos.operations.cycle.state import CycleState, Stage
    from lifeos.operations.cycle.work import Work


def run_full_cycle(
    resume: Annotated[str | None, typer.Option("--resume", help="Go on with a cycle: its id, or latest.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done; write nothing.")] = False,
    stage: Annotated[str | None, typer.Option("--stage", help="Stop after this stage.", metavar="STAGE")] = None,
    no_agent: Annotated[bool, typer.Option("--no-agent", help="Run no agent.")] = False,
    adapter: Annotated[str, typer.Option("--adapter", help="builtin, claude-code or codex.")] = "builtin",
    release: Annotated[bool, typer.Option("--release", help="Train or load, sample and judge too.")] = False,
    max_usd: Annotated[float | None, typer.Option("--max-usd", help="What the agent may cost.", min=0)] = None,
    close_breaker: Annotated[bool, typer.Option("--close-breaker", help="Run the agent although it failed.")] = False,
    as_of: Annotated[str | None, typer.Option("--as-of", help="Day to judge by; default: today.")] = None,
    persona: Persona = None,
    history: History = None,
    artifacts: Artifacts = None,
    as_json: Json = False,
) -> int:
    """Guardrails, agent, validation, promotion, gates, commit, report: one command, each step once.

    Exit status: 0 done, 2 wrong command, 10 guardrails, 20 agent, 21 its limits, 22 invalid briefing, 30 promotion,
    40 gates, 50 commit, 60 another cycle runs, 70 STOP file, 130 interrupted.
    """
    from lifeos.operations.as_of import read_as_of
    from lifeos.operations.cycle.breaker import open_breaker
    from lifeos.operations.cycle.cycle import Cycle
    from lifeos.operations.cycle.memory import Memory
    from lifeos.operations.cycle.state import CycleState, Options, all_states, cycles_folder
    from lifeos.operations.findings.findings_cli import below
    from lifeos.settings import load_project

    project = load_project()
    root, data, rows = project.root, artifacts_path(artifacts), history_path(history).absolute()
    until = _stage(stage)
    day = read_as_of(as_of, root) if as_of is not None else _now().date()
    options = Options(
        adapter=adapter, agent=not no_agent, release=release, max_usd=max_usd, close_breaker=close_breaker
    )  # fmt: skip
    work = _work(root, data, rows, persona, options)
    if dry_run:
        return _dry_run(root, data, rows if below(rows, root) else None, day, options, work, as_json)
    with _one_at_a_time(data) as free:
        if not free:
            return _locked(data, day, options, as_json)
        earlier = all_states(data)
        if resume is not None:
            state = _found(resume, earlier, data)
            options, day = state.options, date.fromisoformat(state.as_of)
            work = _work(root, data, rows, persona, options)
            if state.exit_code == 0 and state.finished("commit"):
                return _finish(state, data, as_json)
        else:
            run = f"cycle-{_now():%Y%m%dt%H%M%S}-{uuid.uuid4().hex[:8]}"
            state = CycleState(
                run=run, as_of=day.isoformat(), created=_created(), base_commit=_head(root), options=options
            )  # fmt: skip
        breaker = None if options.close_breaker else open_breaker([each for each in earlier if each.run != state.run])
        memory = Memory(root, data, rows if below(rows, root) else None, cycles_folder(data) / state.run, day)
        cycle = Cycle(memory, state, work, breaker, _teller(as_json))
        try:
            cycle.go(until)
        finally:
            _write_report(cycle.state, data)
        return _finish(cycle.state, data, as_json)


def _work(root: Path, data: Path, rows: Path, persona: str | None, options: Any) -> "Work":
    from lifeos.operations.cycle.rooms import work_of

    return work_of(root, data, rows, persona, options, _now)


def _stage(name: str | None) -> "Stage":
    from lifeos.operations.cycle.state import STAGES

    for stage in STAGES:
        if name == stage:
            return stage
    if name is None:
        return "commit"
    raise InputError(f"--stage: accepted {', '.join(STAGES)}, got {name!r}; next: name one of them")


def _found(name: str, states: "list[CycleState]", data: Path) -> "CycleState":
    from lifeos.operations.cycle.state import cycles_folder

    found = states[-1:] if name == "latest" else [state for state in states if state.run == name]
    if not found:
        raise InputError(f"--resume: accepted a cycle of {cycles_folder(data)}, got {name!r}; next: lifeos status")
    return found[0]


def _head(root: Path) -> str:
    from lifeos.git import git_state

    return str(git_state(root)["git_commit"] or "unknown")


@contextmanager
def _one_at_a_time(data: Path) -> Iterator[bool]:
    from filelock import FileLock, Timeout

    data.mkdir(parents=True, exist_ok=True)
    lock = FileLock(str(data / "cycle.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _locked(data: Path, day: date, options: Any, as_json: bool) -> int:
    from lifeos.operations.cycle.state import CycleState, Exit

    run = f"locked-{_now():%Y%m%dt%H%M%S}-{uuid.uuid4().hex[:8]}"
    state = CycleState(
        run=run, as_of=day.isoformat(), created=_created(), base_commit="unknown", options=options,
        exit_code=int(Exit.LOCKED), reason="another cycle runs in this checkout; next: lifeos status",
    )  # fmt: skip
    _write_report(state, data)
    return _finish(state, data, as_json)


def _dry_run(
    root: Path, data: Path, rows: Path | None, day: date, options: Any, work: "Work", as_json: bool
) -> int:
    from evals.content_hash import hash_bytes
    from evals.history import read
    from lifeos.operations.briefing import render_briefing
    from lifeos.operations.cycle.breaker import open_breaker
    from lifeos.operations.cycle.state import Exit, all_states
    from lifeos.operations.findings.gate_findings import gate_briefings
    from lifeos.operations.findings.promote import plan_promotion
    from lifeos.operations.stop_file import stop_asked

    guard = work.guard(root, day)
    own = [] if rows is None else gate_briefings(read(rows), rows.relative_to(root).as_posix())
    further = [(each, hash_bytes(render_briefing(each).encode("utf-8"))) for each in own]
    plan = plan_promotion(root, data / "briefings", day, further=further)
    breaker = open_breaker(all_states(data)) if options.agent and not options.close_breaker else None
    stopped = stop_asked(root)
    changed = [change.file for change in plan.changes]
    gates = ["cheap", "predeploy", *(["release"] if options.release else [])]
    answer = {
        "schema": "lifeos.cycle_plan/1", "as_of": day.isoformat(), "guard": list(guard.problems), "stop": stopped,
        "breaker": breaker, "agent": options.adapter if options.agent else None,
        "admit": [entry.id for entry in plan.admitted], "change": changed, "gates": gates,
    }  # fmt: skip
    if as_json:
        print(json.dumps(answer, allow_nan=False))
    else:
        print(f"guard: {len(guard.problems)} of {guard.checked} block")
        print("".join(f"  {each}\n" for each in guard.problems), end="")
        print(f"agent: {answer['agent'] or 'none'}" + (f"; circuit breaker open: {breaker}" if breaker else ""))
        print(f"promote: {len(plan.admitted)} items, changing {', '.join(changed) or 'nothing'}")
        print(f"gates: {', '.join(gates)}")
        print("nothing was written")
    return int(Exit.STOP if stopped else Exit.GUARD if guard.problems or breaker else Exit.DONE)


def _teller(as_json: bool) -> Callable[[str, str], None]:
    def tell(stage: str, said: str) -> None:
        if said:
            print(f"{stage:<9} {said}", flush=True)

    return (lambda stage, said: None) if as_json else tell


def _write_report(state: "CycleState", data: Path) -> None:
    from evals.atomic import write_text
    from lifeos.operations.cycle.report import render_report
    from lifeos.operations.cycle.state import REPORT_FILE, cycles_folder

    write_text(cycles_folder(data) / state.run / REPORT_FILE, render_report(state))


def _finish(state: "CycleState", data: Path, as_json: bool) -> int:
    from lifeos.operations.cycle.state import REPORT_FILE, cycles_folder

    report = cycles_folder(data) / state.run / REPORT_FILE
    code = state.exit_code if state.exit_code is not None else 3
    if as_json:
        print(json.dumps({**state.model_dump(by_alias=True, mode="json"), "report": str(report)}, allow_nan=False))
    else:
        print(f"{state.run}: {state.reason}\nreport: {report}")
    return code


def _now() -> datetime:
    return datetime.now(UTC)


def _created() -> str:
    return _now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
