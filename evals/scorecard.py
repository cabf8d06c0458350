"""The record of one invocation: one JSON object that says what was judged, by what, and what came out."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from evals.content_hash import canonical_json, hash_json
from evals.errors import InputError
from evals.verdict import Outcome, Verdict

SCHEMA = "lifeos.scorecard/1"
PHASES = ("cheap", "predeploy", "pod", "release")
HASHES = ("lora", "base", "plan", "references", "policy", "calibration")
SEVERITIES = ("hard", "soft")

APPROVED = "approved"
REJECTED = "rejected"
NOT_EVALUATED = "not_evaluated"

_ID_DIGITS = 8


def gate_row(gate: str, severity: str, verdict: Verdict) -> dict[str, Any]:
    """Return one gate as ``lifeos gate --json`` shows it: id and severity before the fields of the verdict.

    Raises:
        InputError: ``severity`` is neither ``"hard"`` nor ``"soft"``.
    """
    if severity not in SEVERITIES:
        raise InputError(f"gate {gate}: severity: accepted hard or soft, got {severity!r}; next: edit the manifest")
    return {"id": gate, "severity": severity, **verdict.to_json()}


def overall_verdict(gates: Sequence[Mapping[str, Any]], *, narrowed: bool = False) -> str:
    """Return ``"approved"``, ``"rejected"`` or ``"not_evaluated"`` for the gate rows of one run.

    Any hard gate failed: rejected. Else any hard gate not evaluated, no hard gate passed at all (an empty run proves
    nothing), or a narrowed run: not evaluated. Soft gates never change it.

    Args:
        gates: rows of ``gate_row``, one for each *expected* gate, those that never ran as not evaluated.
        narrowed: True if the run was told to leave gates out.

    Raises:
        ValueError: a verdict is none of ``Outcome``.
        KeyError: a row has no severity or verdict.
    """
    hard = [Outcome(row["verdict"]) for row in gates if row["severity"] != "soft"]
    if Outcome.FAILED in hard:
        return REJECTED
    if narrowed or Outcome.NOT_EVALUATED in hard or Outcome.PASSED not in hard:
        return NOT_EVALUATED
    return APPROVED


def build_scorecard(
    *,
    time: str,
    phase: str,
    run_id: str,
    persona: str | None,
    git_commit: str | None,
    git_dirty: bool | None,
    git_changed: Sequence[str],
    hashes: Mapping[str, str | None],
    gates: Sequence[Mapping[str, Any]],
    metrics: Mapping[str, Mapping[str, Any]],
    champion: Mapping[str, Any] | None,
    face_backend: Mapping[str, Any] | None,
    environment: Mapping[str, Any],
    durations: Mapping[str, float],
    cost: float | None,
    reused: bool,
    narrowed: bool = False,
    release: str | None = None,
    selection: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the scorecard of one finished invocation, without the hashes that the history adds.

    Keys: ``schema, id, run_id, time, phase, persona, verdict, narrowed, git {commit, dirty, changed}, hashes {lora,
    base, plan, references, policy, calibration}, gates, metrics, champion, release, selection, face_backend,
    environment, durations, cost, reused``; the history adds ``previous`` and ``hash``.

    Args:
        time: UTC, ISO 8601 to the second, e.g. ``"2026-11-23T20:29:00Z"``.
        phase: one of ``PHASES``.
        run_id: of the run; a resumed run keeps it, though each finished invocation has its own row id.
        persona: name, or None where no persona was declared.
        git_commit: 40 hexadecimal digits, or None outside a checkout.
        git_dirty: whether tracked files differ from the commit, the history, champion and artifacts aside.
        git_changed: the paths that do.
        hashes: SHA-256 by each name of ``HASHES``; None where the thing was not part of the run.
        gates: rows of ``gate_row``, one for each gate of the phase.
        metrics: the table of ``evals.judge.statistics``.
        champion: what the candidate was compared with (at least its LoRA hash), and the decision against it; or None.
        face_backend: name, weights and licence of what judged the faces, or None.
        environment: versions, GPU.
        durations: seconds by step.
        cost: in US dollars; None where unknown.
        reused: True when nothing was trained or sampled.
        narrowed: True if the run was told to leave gates out; such a run is never approved.
        release: name of the folder below ``runs/`` that holds image rows and result, or None.
        selection: among how many candidates this one was chosen last, and by what, with what chose it before under
            ``earlier`` (not in rows of older versions); None where it was not chosen.

    Raises:
        InputError: ``time``, ``phase`` or a gate row is malformed, a gate comes twice, ``hashes`` has other names than
            ``HASHES``, or any number is NaN or infinite.
    """
    stamp = compact_time(time)
    if phase not in PHASES:
        raise _refused("phase", "one of " + ", ".join(PHASES), repr(phase))
    if set(hashes) != set(HASHES):
        raise _refused("hashes", "exactly " + ", ".join(HASHES), ", ".join(sorted(hashes)))
    ids = [row.get("id") for row in gates]
    if len(set(ids)) != len(ids):
        raise _refused("gates", "each gate once", ", ".join(map(str, ids)))
    try:
        verdict = overall_verdict(gates, narrowed=narrowed)
    except (KeyError, ValueError) as error:
        raise _refused("gates", "rows with a severity and a verdict", str(error)) from error
    content: dict[str, Any] = {
        "schema": SCHEMA,
        "run_id": run_id,
        "time": time,
        "phase": phase,
        "persona": persona,
        "verdict": verdict,
        "narrowed": narrowed,
        "git": {"commit": git_commit, "dirty": git_dirty, "changed": sorted(git_changed)},
        "hashes": dict(hashes),
        "gates": [dict(row) for row in gates],
        "metrics": {name: dict(row) for name, row in metrics.items()},
        "champion": None if champion is None else dict(champion),
        "release": release,
        "selection": None if selection is None else dict(selection),
        "face_backend": None if face_backend is None else dict(face_backend),
        "environment": dict(environment),
        "durations": dict(durations),
        "cost": cost,
        "reused": reused,
    }
    try:
        canonical_json(content)
    except (ValueError, TypeError) as error:
        raise _refused("content", "JSON types with finite numbers", str(error)) from error
    return {"id": row_id(stamp, content), **content}


def row_id(stamp: str, content: Mapping[str, Any]) -> str:
    """Return a short id that sorts by time: compact UTC time and eight digits of the content's hash.

    Args:
        stamp: e.g. ``"20261123T202900Z"``.
        content: the row without its id.
    """
    return f"{stamp}-{hash_json(dict(content))[:_ID_DIGITS]}"


def compact_time(time: str) -> str:
    """Return an ISO 8601 UTC time such as ``"2026-11-23T20:29:00Z"`` as ``"20261123T202900Z"``.

    Raises:
        InputError: ``time`` is not of that form.
    """
    try:
        return datetime.strptime(time, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).strftime("%Y%m%dT%H%M%SZ")
    except (TypeError, ValueError) as error:
        raise _refused("time", "UTC as YYYY-MM-DDTHH:MM:SSZ", repr(time)) from error


def _refused(key: str, accepted: str, got: str) -> InputError:
    return InputError(f"scorecard: {key}: accepted {accepted}, got {got}; next: correct what built the scorecard")
