"""Is a known failure in what was given: asked of the check that reports it already, or of the entry's own detector."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module

from evals.known_failures import Captured, Entry, detected_ids
from evals.verdict import Outcome, Verdict, failed, not_evaluated, passed
from lifeos.errors import InputError
from lifeos.known_failures.given import Given
from lifeos.lora.dataset_lint.finding import printable
from lifeos.settings import project_root

Detector = Callable[..., str | None]
MESSAGE = "message"
"""Rule of an entry that looks at a training log: its own signatures are what is looked for."""


@dataclass(frozen=True)
class Looked:
    """What was found under one rule, in one line, or None; ``blind`` says why it could not be looked at wholly."""

    found: str | None
    blind: str | None = None


@cache
def detectors() -> Mapping[str, Detector]:
    """Return every detector by entry id: the marked functions of each ``detectors/*.py`` below ``lifeos``.

    They import what they look at, and nothing heavy.

    Raises:
        ValueError: two functions detect one entry, or one asks for something that ``Given`` has not.
    """
    root, found = project_root(), dict[str, Detector]()
    for path in sorted((root / "lifeos").rglob("detectors/*.py")):
        name = ".".join(path.relative_to(root).with_suffix("").parts)
        for entry, function in detected_ids(import_module(name)).items():
            if entry in found:
                raise ValueError(f"{name}: {entry} is detected by {found[entry].__module__} already")
            unknown = [each for each in inspect.signature(function).parameters if not hasattr(Given, each)]
            if unknown:
                raise ValueError(f"{name}.{function.__name__}: nothing gives {unknown[0]}")
            found[entry] = function
    return found


def detect(entry: Entry, given: Given) -> Looked:
    """Look for one known failure.

    Raises:
        InputError: what it looks at cannot be read, or nothing detects it.
    """
    if entry.looks_at is None:
        raise InputError(f"{entry.id}: accepted an entry that something detects, got none ({entry.not_live_because}); "
                         "next: lifeos known-failures list")  # fmt: skip
    if entry.rule is not None:
        return _RULES[entry.looks_at](entry, given)
    function = detectors().get(entry.id)
    if function is None:
        raise InputError(f"{entry.id}: accepted a function marked detects({entry.id!r}) in a detectors folder of "
                         "lifeos, got none; next: write it, or name the rule that reports it")  # fmt: skip
    return Looked(function(**{name: getattr(given, name) for name in inspect.signature(function).parameters}))


def entry_verdict(entry: Entry, given: Given) -> Verdict:
    """Return the verdict over one entry: failed where it is there, not evaluated where that cannot be told."""
    try:
        looked = detect(entry, given)
    except InputError as error:
        return not_evaluated(f"{error} (known failure {entry.id} was not looked for)")
    if looked.found is not None:
        return failed(f"{looked.found}; {entry.told}")
    if looked.blind is not None:
        return not_evaluated(f"{looked.blind} (known failure {entry.id} was not looked for)")
    return passed(f"not there: {entry.symptom}")


def _requirements(entry: Entry, given: Given) -> Looked:
    report = given.requirements
    for finding in report.findings:
        if finding.id == entry.rule:
            return Looked(": ".join(filter(None, [", ".join(finding.packages), finding.reason])))
    blocked = report.verdict.outcome is Outcome.NOT_EVALUATED
    return Looked(None, report.verdict.reason if blocked else None)


def _recipe(entry: Entry, given: Given) -> Looked:
    try:
        given.recipe  # noqa: B018 - reading is the check
    except InputError as error:
        return Looked(str(error)) if f"known failure {entry.rule}" in str(error) else Looked(None, str(error))
    return Looked(None)


def _dataset(entry: Entry, given: Given) -> Looked:
    lint = given.lint
    for finding in lint.findings:
        if finding.rule == entry.rule:
            return Looked(finding.line)
    unknown = {str(gate): reason for gate, reason in lint.unknown.items()}
    return Looked(None, unknown.get(str(entry.gate)))


def _weights(entry: Entry, given: Given) -> Looked:
    return _of_verdicts(entry, given.weights.verdicts)


def _samples(entry: Entry, given: Given) -> Looked:
    """A gate of the policy, or ``captured``: the image of the same prompt and seed shows the same again."""
    if entry.captured is not None:
        return _captured(entry.captured, given)
    return _of_verdicts(entry, given.samples.verdicts)


def _captured(captured: Captured, given: Given) -> Looked:
    from evals.known_failures.incident import SHOWS, shows_again

    samples = given.samples
    for row in samples.rows:
        if (row["prompt"], row["seed"]) == (captured.prompt, captured.seed):
            again = shows_again(captured, row["metrics"], samples.picture(row))
            what = f"prompt {captured.prompt} seed {captured.seed}: {SHOWS[captured.shows]}, as it was captured"
            return Looked(printable(what) if again else None)
    # A plan without that prompt and seed cannot repeat it; without any image nothing was looked at.
    return Looked(None, None if samples.rows else "no image was measured")


def _machine(entry: Entry, given: Given) -> Looked:
    """The rule is the gate itself, or what stands in brackets in its reason: the row of ``notices.toml``."""
    from lifeos.pods.probe.gates import pod_gate

    verdict = pod_gate(str(entry.gate), given.inputs, given.machine)
    if verdict.outcome is Outcome.NOT_EVALUATED:
        return Looked(None, verdict.reason)
    named = entry.rule == entry.gate or f"[{entry.rule}]" in verdict.reason
    return Looked(verdict.reason if verdict.outcome is Outcome.FAILED and named else None)


def _of_verdicts(entry: Entry, verdicts: Mapping[str, Verdict]) -> Looked:
    verdict = verdicts.get(str(entry.rule))
    if verdict is None:
        return Looked(None, f"nothing was judged by {entry.rule}")
    if verdict.outcome is Outcome.FAILED:
        return Looked(verdict.reason)
    return Looked(None, verdict.reason if verdict.blocks else None)


def _pod(entry: Entry, given: Given) -> Looked:
    from lifeos.pods.consistency import pod_verdict

    return _of_verdicts(entry, {"pod_known": pod_verdict(lambda: given.pod)})


def _training_log(entry: Entry, given: Given) -> Looked:
    """The one rule is ``message``: what the entry says that this failure writes stands in the log."""
    from evals.known_failures import explain

    if entry.rule != MESSAGE:
        raise InputError(f"{entry.id}: rule: accepted {MESSAGE!r} for a training log, got {entry.rule!r}; next: edit "
                         f"{entry.id}.toml")  # fmt: skip
    log = given.log
    with log.path.open("rb") as stream:
        matches = explain(stream, [entry])
    if not matches:
        return Looked(None)
    number, line = matches[0].lines[0]
    return Looked(f"{log.path.name}: line {number}: {printable(line.strip())[:200]}")


_RULES: dict[str, Callable[[Entry, Given], Looked]] = {
    "requirements": _requirements,
    "pod": _pod,
    "recipe": _recipe,
    "dataset": _dataset,
    "weights": _weights,
    "training_log": _training_log,
    "samples": _samples,
    "machine": _machine,
}
