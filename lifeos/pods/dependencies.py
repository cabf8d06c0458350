"""Would this set of packages work on that pod? Resolved for the pod by uv, then held against what uv cannot know."""

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from evals.content_hash import hash_file
from evals.verdict import Outcome, Verdict, failed, not_evaluated, passed
from lifeos.errors import InputError
from lifeos.pods.asked_set import AskedSet, read_asked
from lifeos.pods.closure import without_orphans
from lifeos.pods.corrections import Asked, Change, Correction, CorrectionSearch
from lifeos.pods.metadata_origins import Found, Origin, Origins
from lifeos.pods.rule_checks import DependencyFinding, Machine, Violation, broken_rules, broken_skews
from lifeos.pods.rule_tables import Rules, load_rules
from lifeos.pods.set_checks import (
    HASH_MISMATCH,
    Weight,
    disk_violations,
    hash_violations,
    missing_wheels,
    weigh,
)
from lifeos.pods.snapshot import Snapshot, load_snapshot
from lifeos.pods.spec import Pod
from lifeos.pods.uv_resolver import Conflict, Pinned, Solved, Target, Unavailable

_SOURCE = "rules"
_UNASKED = "required by another"


@dataclass(frozen=True)
class DependencyFix:
    """The corrective command, the lock it stands for, and what it changes: ``(package, asked, given)``."""

    command: str
    lock_text: str
    changes: tuple[tuple[str, str, str], ...]
    lock: Path | None = None


@dataclass(frozen=True)
class DependencyReport:
    """What was found.

    ``packages`` is the resolution that was judged (empty where there was none), ``origin`` where its metadata came
    from, ``weight`` what the pod fetches and keeps.
    """

    pod: str
    verdict: Verdict
    origin: str
    findings: tuple[DependencyFinding, ...] = ()
    fix: DependencyFix | None = None
    packages: dict[str, Pinned] = field(default_factory=dict)
    weight: Weight | None = None

    def with_fix(self, fix: DependencyFix | None) -> "DependencyReport":
        """Return the report with another fix."""
        return replace(self, fix=fix)


def judge_dependencies(
    requirements: Path,
    pod: Pod,
    *,
    cache: Path,
    offline: bool = False,
    search: bool = True,
    snapshot: Snapshot | None = None,
    rules: Rules | None = None,
) -> DependencyReport:
    """Judge a requirements file for a pod; nothing is installed and the file is not written.

    A file of exact pins that is closed under what its packages require is judged as it stands, from the committed
    snapshot where that knows every pin: no network is needed. Anything else is resolved, over the index unless
    ``offline``. Without an answer, and away from the index for a set that leaves versions open, the verdict is
    ``not_evaluated``.

    Args:
        requirements: a pip requirements file.
        pod: the kind of pod.
        cache: folder for the snapshot's wheels and uv's cache over them.
        offline: ask no network.
        search: look for the smallest correction of a broken set.
        snapshot: other metadata than the committed.
        rules: other tables than the shipped.

    Raises:
        InputError: the file cannot be read or holds what cannot be judged (a URL, a local path, another file), or the
            pod's processor is none that the tables speak of.
    """
    if not pod.platform.startswith("x86_64-"):
        # Tables, snapshot and markers speak of x86-64: they would answer, and wrongly.
        raise InputError(
            f"pod {pod.name}: accepted an x86-64 platform, got {pod.platform}; next: lifeos gate pod on the pod itself"
        )
    asked = read_asked(requirements, pod.python)
    rules, snapshot = rules or load_rules(), snapshot or load_snapshot()
    origins = Origins(Target(pod.platform, pod.python), asked, snapshot, rules, cache)
    return _Judge(asked, pod, rules, snapshot, origins).report(origins.ask(offline), search)


def write_lock(fix: DependencyFix, requirements: Path, pod: str) -> DependencyFix:
    """Write ``<input stem>.<pod>.lock`` beside the requirements and return the fix whose command installs it.

    Raises:
        InputError: the folder cannot be written.
    """
    from evals.atomic import write_bytes

    path = requirements.with_name(f"{requirements.stem}.{pod}.lock")
    try:
        write_bytes(path, f"{_made_from(requirements)}\n{fix.lock_text}".encode())
    except OSError as error:
        raise InputError(f"{path}: accepted a folder to write in, got {error.strerror}; next: copy the file") from error
    return replace(fix, command=f"uv pip install --no-deps -r {_shown(path)}", lock=path)


def judged_file(requirements: Path, pod: str) -> Path:
    """Return the lock that was written for this pod from exactly this file, else the file itself."""
    lock = requirements.with_name(f"{requirements.stem}.{pod}.lock")
    try:
        with lock.open(encoding="utf-8") as file:
            return lock if file.readline().rstrip("\n") == _made_from(requirements) else requirements
    except (OSError, UnicodeDecodeError):
        return requirements


def dependencies_verdict(requirements: Path, pod: Callable[[], Pod], cache: Path) -> Verdict:
    """Judge the requirements, or the lock that ``--fix`` made of them for this pod; what cannot be read blocks."""
    try:
        rented = pod()
        path = judged_file(requirements, rented.name)
        report = judge_dependencies(path, rented, cache=cache, search=False)
    except InputError as error:
        return not_evaluated(str(error))
    verdict = report.verdict
    command = f"lifeos validate-pod-deps --requirements {_shown(requirements)} --pod {rented.name} --fix"
    next_step = f"; next: {command}" if verdict.outcome is Outcome.FAILED else ""
    return replace(verdict, reason=f"{path.name}: {verdict.reason}{next_step}")


def _shown(path: Path) -> str:
    # A command may run on the pod, where the checkout lies elsewhere; and rows of the history travel.
    here = Path.cwd()
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))


def _made_from(requirements: Path) -> str:
    return f"# Made from {requirements.name}, SHA-256 {hash_file(requirements)}."


@dataclass(frozen=True)
class _Judge:
    asked: AskedSet
    pod: Pod
    rules: Rules
    snapshot: Snapshot
    origins: Origins

    @cached_property
    def _missing(self) -> dict[str, DependencyFinding]:
        return missing_wheels(self.asked, self.rules, self.snapshot, self.pod)

    def report(self, found: Found, search: bool) -> DependencyReport:
        answer = found.answer
        report = self._judged(found, answer) if isinstance(answer, Solved) else self._unresolved(found)
        # A fix over the place that knew too little would be no more than a guess, unless it is known what is amiss.
        unknown = isinstance(found.answer, Unavailable) and not report.findings
        # Another file under the same name is for a person to look at; advice that drops the hash would let it in.
        unknown = unknown or HASH_MISMATCH in [finding.id for finding in report.findings]
        if report.verdict.outcome is Outcome.PASSED or unknown or not search:
            return report
        return report.with_fix(self._fix(found))

    def _unresolved(self, found: Found) -> DependencyReport:
        findings = list(self._missing.values())
        if not findings and isinstance(found.answer, Conflict):
            names = found.answer.names
            packages = tuple(f"{one.name}{one.specifier}" for one in self.asked.asked if one.name in names)
            where = f"uv's resolution over {found.origin.name}"
            findings = [DependencyFinding("resolver-conflict", packages, found.answer.reason, where)]
        # Two pins that fail together do so whatever else a resolver would have added.
        pins = {one.name: Pinned(one.name, one.pinned, "", None) for one in self.asked.asked if one.pinned is not None}
        findings += [violation.finding for violation in broken_skews(pins, self.rules)]
        if findings:
            return DependencyReport(self.pod.name, _failed(findings), found.origin.name, tuple(findings))
        reason = found.answer.reason if isinstance(found.answer, Unavailable) else "no answer"
        verdict = not_evaluated(f"{reason}; next: run it where the package index can be reached, without --offline")
        return DependencyReport(self.pod.name, verdict, found.origin.name)

    def _judged(self, found: Found, solved: Solved) -> DependencyReport:
        violations = self._broken(solved.packages)
        violations += hash_violations(solved.packages, self.asked, self.snapshot, self.pod)
        findings = tuple(violation.finding for violation in violations)
        weight = weigh(solved.packages, self.snapshot, self.rules)
        floating = [one.name for one in self.asked.asked if one.pinned is None]
        certain = [violation.finding for violation in violations if violation.certain]
        skipped = [one.name for one in self.asked.asked if one.name not in solved.packages]
        if skipped:
            # An answer about nothing, or about less than was asked, is none.
            verdict = not_evaluated(f"uv's answer leaves out {', '.join(skipped)}; next: report it with the file")
        elif certain:
            verdict = _failed(certain)
        elif findings:
            verdict = not_evaluated(f"{', '.join(findings[0].packages)}: {findings[0].reason}")
        elif floating and not found.origin.is_current:
            verdict = not_evaluated(
                f"not pinned: {', '.join(floating)}; only an index says what a pod would get today; next: run it "
                "without --offline, or take the pins below"
            )
        else:
            how = "as they stand, installed with --no-deps" if found.is_lock else "as uv resolves them"
            count = len(solved.packages)
            reason = f"{count} package{'' if count == 1 else 's'} {how}, by {found.origin.name}: {weight}"
            verdict = passed(reason, value=0, threshold=0, threshold_source=_SOURCE)
        return DependencyReport(
            self.pod.name, verdict, found.origin.name, findings, packages=solved.packages, weight=weight
        )

    def _broken(self, packages: Mapping[str, Pinned]) -> list[Violation]:
        capability = (self.pod.gpu.capability[0], self.pod.gpu.capability[1])
        machine = Machine(self.pod.name, self.pod.gpu.name, capability, self.pod.driver)
        weight = weigh(packages, self.snapshot, self.rules)
        return broken_rules(packages, machine, self.rules) + disk_violations(weight, self.pod)

    def _fix(self, found: Found) -> DependencyFix | None:
        search = CorrectionSearch(
            self.asked.asked, found.origin.resolver.resolve, self._broken, self.rules.may_be_dropped
        )
        # No index can serve a version that has no wheel: the search begins without that condition.
        hopeless = frozenset() if isinstance(found.answer, Solved) else frozenset(self._missing)
        start = Change(set_aside=hopeless, left_out=found.left_out)
        correction = search.run(start)
        wanted = {one.name for one in self.asked.asked}
        if correction is None or not wanted - correction.change.left_out <= set(correction.packages):
            return None
        packages = correction.packages
        if found.is_lock and isinstance(found.answer, Solved):
            packages = without_orphans(found.answer.packages, packages, self.snapshot, self.pod.python)
        if not self._passes(found.origin, packages):
            return None
        pins = [str(packages[name]) for name in sorted(packages)]
        where = f"{self.pod.gpu.name}, Python {self.pod.python}, {self.pod.platform}"
        lines = [
            f"# For pod {self.pod.name} ({where}); resolved over {found.origin.name}.",
            "# Install with --no-deps: the list is whole, and a resolver would add what overwrites parts of it.",
            *self.asked.options,
            *self._lock_lines(packages),
        ]
        options = [shlex.quote(part) for part in self.asked.options_as_arguments]
        command = " ".join(["uv pip install --no-deps", *options, *pins])
        text = "".join(f"{line}\n" for line in lines)
        return DependencyFix(command, text, self._changes(correction, packages, found.left_out))

    def _lock_lines(self, packages: Mapping[str, Pinned]) -> list[str]:
        """Return the pins, with hashes where the file had some and every package's are known."""
        known = {name: sorted(self.snapshot.hashes(packages[name])) for name in sorted(packages)}
        if not all(known.values()) or not any(one.hashes for one in self.asked.asked):
            return [str(packages[name]) for name in known]
        return [
            " ".join([str(packages[name]), *(f"--hash=sha256:{one}" for one in hashes)])
            for name, hashes in known.items()
        ]

    def _passes(self, origin: Origin, packages: Mapping[str, Pinned]) -> bool:
        """Whether the pins, read as a file of their own, pass this gate: advice is judged like what is asked."""
        pins = [Asked(name, frozenset(), f"=={pinned.version}") for name, pinned in packages.items()]
        lock = self.origins.as_lock(origin, pins)
        return lock is not None and isinstance(lock.answer, Solved) and not self._broken(lock.answer.packages)

    def _changes(
        self, correction: Correction, packages: Mapping[str, Pinned], known: frozenset[str]
    ) -> tuple[tuple[str, str, str], ...]:
        change = correction.change
        moved = {limit.package for limit in change.limits} | change.set_aside
        rows = []
        for one in self.asked.asked:
            before = one.specifier or "any version"
            given = packages.get(one.name)
            extras = sorted(extra for name, extra in change.extras if name == one.name)
            if given is None:
                rows.append((one.name, before, "left out"))
            elif extras:
                rows.append((one.name, before, f"{given.version} with [{','.join(extras)}]"))
            elif one.name in moved and one.pinned != given.version:
                rows.append((one.name, before, str(given.version)))
        asked = {one.name for one in self.asked.asked}
        held = sorted({limit.package for limit in change.limits} & set(packages) - asked)
        rows += [(name, _UNASKED, str(packages[name].version)) for name in held]
        rows += [(name, _UNASKED, "left out") for name in sorted(change.left_out - asked - known)]
        return tuple(rows)


def _failed(findings: list[DependencyFinding]) -> Verdict:
    first = findings[0]
    rest = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
    reason = f"{', '.join(first.packages) or first.id}: {first.reason}{rest}"
    return failed(reason, value=len(findings), threshold=0, threshold_source=_SOURCE)
