"""``lifeos gate PHASE``: pytest in a process of its own, one verdict, one scorecard row, one exit status."""

import json
import subprocess
import sys
import uuid
from collections.abc import Callable, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from evals.atomic import write_json
from evals.content_hash import hash_json
from evals.scorecard import overall_verdict
from lifeos.child import child_environment
from lifeos.errors import InputError
from lifeos.gate_report import (
    EXIT_INTERNAL,
    EXIT_INTERRUPTED,
    GateResult,
    exit_status,
    gate_results,
    narrowing,
    read_report,
)
from lifeos.inputs import SHARED_OPTIONS, Inputs, declared_needs, read_inputs
from lifeos.manifest import PHASES, default_manifest, load_manifest
from lifeos.progress import Progress, show_new
from lifeos.settings import project_root

SCHEMA = "lifeos.gate/1"
_PYTEST_INTERNAL, _PYTEST_USAGE, _PYTEST_INTERRUPTED = 3, 4, 2
_POLL_SECONDS = 0.2
_INTERRUPT_WAIT_SECONDS = 20


class GateRunError(RuntimeError):
    """The run broke: no verdict can be given.

    Args:
        message: one line.
        exit_code: 3 for an internal error, 130 for an interrupt.
    """

    def __init__(self, message: str, exit_code: int = EXIT_INTERNAL) -> None:
        super().__init__(" ".join(message.split()))
        self.exit_code = exit_code


@dataclass(frozen=True)
class GateRun:
    """A finished run.

    Args:
        phase: which gates.
        verdict: ``approved | rejected | not_evaluated``.
        row: id of the scorecard row, or None when nothing was recorded.
        results: one a gate.
        narrowed: why the run could not approve whatever the gates said.
        exit_code: 0, 1 or 2.
        release: result of the release that was judged, or None.
        resumed: True when the row continues a run that was killed.
    """

    phase: str
    verdict: str
    row: str | None
    results: tuple[GateResult, ...]
    narrowed: tuple[str, ...]
    exit_code: int
    release: dict[str, Any] | None
    resumed: bool

    def to_json(self) -> dict[str, Any]:
        """Return the answer of ``lifeos gate --json``."""
        return {
            "schema": SCHEMA,
            "phase": self.phase,
            "verdict": self.verdict,
            "row": self.row,
            "gates": [result.to_json() for result in self.results],
        }


def run_gate(
    phase: str,
    options: dict[str, Any],
    *,
    now: Callable[[], datetime],
    pytest_args: Sequence[str] = (),
    record: bool = False,
    manifest: Path | None = None,
    gates: Path | None = None,
    engine: str | None = None,
    progress: Progress | None = None,
    show_pytest: bool = False,
    run_id: str | None = None,
    own: Sequence[Path] = (),
) -> GateRun:
    """Run the gates of one phase and record the run.

    Args:
        phase: cheap, predeploy, pod or release.
        options: values of the shared options by name (``lora``, ``images`` ...), None where not given.
        now: clock; gives aware datetimes.
        pytest_args: handed to pytest as they are; whatever narrows the run keeps it from approving.
        record: append a row for phase cheap too; the other phases always append one.
        manifest: list of gates; default the checkout's.
        gates: folder of gates; default the checkout's.
        engine: module that trains and samples instead of the real one; recorded as a simulation.
        progress: called with (stage, done, total) while the release is made.
        show_pytest: let pytest write to standard error instead of a log.
        run_id: of the row, where a caller has one of its own; a row of that run that stands already is not added again.
        own: files that the caller itself changed and that judge nothing: they make the row's checkout no dirtier.

    Raises:
        InputError: unknown phase, an option that names nothing, a manifest or persona that cannot be read.
        GateRunError: pytest crashed or was interrupted.
    """
    if phase not in PHASES:
        raise InputError(f"phase: accepted {', '.join(PHASES)}, got {phase!r}; next: lifeos gate --help")
    started = now()
    inputs = read_inputs(options)
    manifest_path = manifest or default_manifest()
    rows = load_manifest(manifest_path).phase(phase)
    declared = declared_needs(inputs, phase)
    keep = record or phase != "cheap"
    gates_folder = gates or project_root() / "gates"
    with _invocation(inputs, phase, started, run_id) as invocation:
        arguments = _pytest_arguments(phase, inputs, options, manifest_path, gates_folder, engine, invocation.folder)
        exit_code = _run_pytest([*arguments, *pytest_args], invocation.folder, progress, show_pytest)
        report = read_report(invocation.folder / "report.jsonl")
        _refuse_broken(exit_code, report.exit, report.collect_errors, invocation.folder)
        results = gate_results(rows, declared, report)
        narrowed = narrowing(rows, declared, report, phase)
        verdict = overall_verdict([result.to_json() for result in results], narrowed=bool(narrowed))
        release = _release_result(invocation.folder)
        row = None
        if keep:
            from lifeos.record import record_run

            row = record_run(
                inputs,
                phase,
                results,
                release,
                own=own,
                run_id=invocation.run_id,
                resumed=invocation.resumed,
                narrowed=bool(narrowed),
                started=started,
                finished=now(),
            )
        invocation.finished = True
    return GateRun(
        phase, verdict, row, tuple(results), tuple(narrowed), exit_status(verdict), release, invocation.resumed
    )


@dataclass
class _Invocation:
    folder: Path
    run_id: str
    resumed: bool
    finished: bool = False


@contextmanager
def _invocation(inputs: Inputs, phase: str, started: datetime, given: str | None) -> Any:
    """Give this command a folder for its report, and the run id of a killed run with the same inputs if there is one.

    The open run is a file that goes away once the row stands in the history; a lock keeps two commands with the same
    inputs from sharing a run id.
    """
    from filelock import FileLock

    folder = inputs.artifacts / "invocations"
    folder.mkdir(parents=True, exist_ok=True)
    named = {name: str(getattr(inputs, name.replace("-", "_"))) for name, _ in SHARED_OPTIONS}
    identity = hash_json([phase, named, *([] if given is None else [given])])[:32]
    open_run = folder / f"{identity}.json"
    attempt = folder / uuid.uuid4().hex
    with FileLock(str(folder / f"{identity}.lock"), poll_interval=0.1):
        # A caller's own run may have left its row, and its file here, or neither.
        run_id = given or _open_run_id(open_run)
        invocation = _Invocation(attempt, run_id or f"{started:%Y%m%dT%H%M%S}-{attempt.name[:8]}", run_id is not None)
        if run_id is None:
            write_json(open_run, {"run": invocation.run_id, "started": started.isoformat()})
        write_json(attempt / "run.json", {"run": invocation.run_id})
        yield invocation
        if invocation.finished:
            open_run.unlink(missing_ok=True)
            _remove_folder(attempt)


def _open_run_id(path: Path) -> str | None:
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["run"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _remove_folder(folder: Path) -> None:
    # On Windows a scanner may hold a file for a moment; a left-over report harms nobody.
    with suppress(OSError):
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()


def _pytest_arguments(
    phase: str, inputs: Inputs, options: dict[str, Any], manifest: Path, gates: Path, engine: str | None, folder: Path
) -> list[str]:
    root = project_root()
    arguments = [sys.executable, "-m", "lifeos.gate_process", "-c", str(root / "pytest.ini"), str(gates), "-m", phase]
    arguments += [
        "-p",
        "lifeos.plugin",
        f"--rootdir={root}",
        f"--artifacts={inputs.artifacts}",
        f"--manifest={manifest}",
    ]
    arguments += [f"--invocation={folder}", "-q", "--no-header"]
    arguments += [f"--{name}={options[name]}" for name, _ in SHARED_OPTIONS if options.get(name) not in (None, "")]
    return arguments + ([f"--release-engine={engine}"] if engine else [])


def _run_pytest(arguments: list[str], folder: Path, progress: Progress | None, show: bool) -> int:
    with (folder / "pytest.log").open("wb") as log:
        # The pipe is what ties pytest's life to ours: it ends when we do.
        child = subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE,
            env=child_environment(),
            stdout=None if show else log,
            stderr=None if show else subprocess.STDOUT,
        )
        shown = 0
        try:
            while True:
                try:
                    return child.wait(timeout=_POLL_SECONDS if progress is not None else None)
                except subprocess.TimeoutExpired:
                    shown = shown if progress is None else show_new(folder / "progress.jsonl", shown, progress)
        except KeyboardInterrupt:
            # Ctrl-C reached pytest too; give it a moment to end by itself.
            with suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
                child.wait(timeout=_INTERRUPT_WAIT_SECONDS)
            raise GateRunError("interrupted; the same command goes on from here", exit_code=EXIT_INTERRUPTED) from None
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
            if child.stdin is not None:
                child.stdin.close()


def _refuse_broken(exit_code: int, reported_exit: int | None, collect_errors: list[str], folder: Path) -> None:
    log = folder / "pytest.log"
    if reported_exit is None and exit_code == _PYTEST_USAGE:
        raise InputError(f"pytest: {_last_line(log, 'ERROR: ')}; next: correct what stands after --")
    if collect_errors:
        raise GateRunError(f"a gate file cannot be loaded: {collect_errors[0]}; next: read {log}")
    if reported_exit is None or exit_code == _PYTEST_INTERNAL:
        raise GateRunError(f"pytest ended with status {exit_code} and no report: it crashed; next: read {log}")
    if exit_code == _PYTEST_INTERRUPTED:
        raise GateRunError("pytest was interrupted; the same command goes on from here", exit_code=EXIT_INTERRUPTED)


def _last_line(log: Path, prefix: str) -> str:
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    marked = [line.removeprefix(prefix) for line in lines if line.startswith(prefix)]
    return (marked or lines or ["it refused its arguments"])[0]


def _release_result(folder: Path) -> dict[str, Any] | None:
    from lifeos.child import read_result

    pointer = folder / "release.json"
    if not pointer.exists():
        return None
    folder = Path(json.loads(pointer.read_text(encoding="utf-8"))["folder"])
    result = read_result(folder)
    return None if result is None else {**result, "folder": folder.name}
