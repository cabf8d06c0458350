"""What ``lifeos validate-pod-deps`` prints: the dependency gate with its findings and the corrective command."""

import json
from pathlib import Path

from evals.verdict import Outcome
from lifeos.errors import InputError
from lifeos.pods.dependencies import DependencyReport, judge_dependencies, write_lock
from lifeos.pods.set_checks import DISK_TOO_SMALL, HASH_MISMATCH
from lifeos.pods.spec import list_pods, load_pod
from lifeos.settings import Project

_SCHEMA = "lifeos.validate_pod_deps/1"
_EXIT = {Outcome.PASSED: 0, Outcome.FAILED: 1, Outcome.NOT_EVALUATED: 2}
_WORDS = {Outcome.PASSED: "PASSED", Outcome.FAILED: "FAILED", Outcome.NOT_EVALUATED: "NOT EVALUATED"}


def run_validation(
    project: Project,
    requirements: Path | None,
    pod: str | None,
    *,
    as_json: bool = False,
    fix: bool = False,
    offline: bool = False,
) -> int:
    """Judge, print, and with ``fix`` write the corrected set beside the file.

    Args:
        project: where the settings' own requirements and pod come from.
        requirements: the file; None for the settings'.
        pod: a name below ``pods/`` or a file; None for the settings'.
        as_json: print one JSON object and nothing else.
        fix: write ``<input stem>.<pod>.lock``; the command then installs that file.
        offline: ask no network.

    Returns:
        0 passed, 1 failed, 2 not evaluated.

    Raises:
        InputError: no pod is named, or pod or requirements cannot be read, or the lock cannot be written.
    """
    path = project.path("requirements") if requirements is None else Path(requirements).absolute()
    name = pod or project.settings.pod
    if not name:
        known = ", ".join(found.name for found in list_pods(project.root))
        raise InputError(f"--pod: accepted one of {known}, got none; next: lifeos validate-pod-deps --pod NAME")
    report = judge_dependencies(
        path, load_pod(name, project.root), cache=project.path("artifacts") / "pods", offline=offline
    )
    if report.fix is not None and fix:
        report = report.with_fix(write_lock(report.fix, path, report.pod))
    if as_json:
        print(json.dumps(to_json(report), allow_nan=False))
    else:
        _show(report, path)
    return _EXIT[report.verdict.outcome]


def to_json(report: DependencyReport) -> dict[str, object]:
    """Return the object of ``--json``: ``schema, pod, verdict, findings, fix``; ``lock`` is null unless written."""
    fix = report.fix
    return {
        "schema": _SCHEMA,
        "pod": report.pod,
        "verdict": report.verdict.outcome.value,
        "findings": [finding.to_json() for finding in report.findings],
        "fix": None if fix is None else {"command": fix.command, "lock": None if fix.lock is None else str(fix.lock)},
    }


def _next_step(report: DependencyReport) -> str:
    found = {finding.id for finding in report.findings}
    if HASH_MISMATCH in found:
        return "find out where the other file comes from before you take its hash"
    return "a pod with more disk_gib" if DISK_TOO_SMALL in found else "leave out a package that the findings name"


def _show(report: DependencyReport, path: Path) -> None:
    print(f"{_WORDS[report.verdict.outcome]} on {report.pod}: {report.verdict.reason}")
    for finding in report.findings:
        print(f"  {finding.id}: {', '.join(finding.packages) or path.name}")
        print(f"    {finding.reason}")
        print(f"    {finding.source}")
    if report.fix is None:
        if report.verdict.outcome is Outcome.FAILED:
            print(f"no change of versions was found that passes; next: {_next_step(report)}")
        return
    print("smallest change that passes:" if report.fix.changes else "the same versions, pinned:")
    for package, before, after in report.fix.changes:
        print(f"  {package}: {before} -> {after}")
    print(report.fix.command)
