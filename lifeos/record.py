"""One finished run to one scorecard row in the history."""

import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evals import history
from evals.history_index import entries
from evals.scorecard import HASHES, build_scorecard
from lifeos.errors import InputError
from lifeos.gate_report import GateResult
from lifeos.git import git_state
from lifeos.inputs import Inputs
from lifeos.release_inputs import package_versions
from lifeos.selection import selection_of


def record_run(
    inputs: Inputs,
    phase: str,
    results: Sequence[GateResult],
    release: Mapping[str, Any] | None,
    *,
    run_id: str,
    resumed: bool,
    narrowed: bool,
    started: datetime,
    finished: datetime,
    own: Sequence[Path] = (),
) -> str:
    """Append the row of a run and return its id; a resumed run whose row stands there already is not recorded twice.

    Args:
        inputs: the declared inputs; their history is appended to.
        phase: which gates ran.
        results: one a gate.
        release: result of the release that was judged, None in other phases or when it broke.
        run_id: of the run; kept by a resumed one.
        resumed: True when a killed run with these inputs was found.
        narrowed: True if the run was told to leave gates out.
        started, finished: aware times of this invocation.
        own: files besides history and data folder whose changes make no checkout dirty.

    Raises:
        InputError: the history is corrupt or stays locked.
    """
    if resumed:
        known = entries(inputs.history, run_id=run_id)
        if known:
            return str(known[0].facts["id"])
    persona = _persona_name(inputs)
    scorecard = build_scorecard(
        time=finished.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        phase=phase,
        run_id=run_id,
        persona=persona,
        **git_state(inputs.project.root, (inputs.history, inputs.artifacts, *own)),
        hashes=_hashes(release),
        gates=[result.to_json() for result in results],
        metrics=(release or {}).get("metrics", {}),
        champion=_champion(release),
        release=(release or {}).get("folder"),
        selection=selection_of(inputs.history, _hashes(release)["lora"], persona),
        face_backend=(release or {}).get("backend"),
        environment=_environment(inputs, release),
        durations={"total": (finished - started).total_seconds(), **_durations(release, run_id)},
        cost=None,
        reused=_reused(release, run_id),
        narrowed=narrowed,
    )
    return str(history.append(inputs.history, scorecard)["id"])


def _persona_name(inputs: Inputs) -> str | None:
    from lifeos.persona import load_persona

    try:
        return load_persona(inputs.persona, inputs.project.root).name
    except InputError:
        return None


def _hashes(release: Mapping[str, Any] | None) -> dict[str, str | None]:
    known = (release or {}).get("hashes", {})
    return {name: known.get(name) for name in HASHES}


def _champion(release: Mapping[str, Any] | None) -> dict[str, Any] | None:
    lora = (release or {}).get("hashes", {}).get("champion")
    return None if lora is None else {"lora": lora, "decision": (release or {}).get("decision")}


def _environment(inputs: Inputs, release: Mapping[str, Any] | None) -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "gpu": _gpu(),
        "packages": package_versions(),
        # What was judged: a recipe, a LoRA file, finished images (never to be promoted) or a simulation (likewise).
        "source": (release or {}).get("source"),
        "pod": inputs.pod or None,
    }


def _gpu() -> str | None:
    from lifeos.pods.probe.nvml import gpu_names

    names = gpu_names()
    return names[0] if names else None


def _durations(release: Mapping[str, Any] | None, run_id: str) -> dict[str, float]:
    # What an earlier run took is no duration of this one.
    return {} if _reused(release, run_id) else dict((release or {}).get("durations", {}))


def _reused(release: Mapping[str, Any] | None, run_id: str) -> bool:
    if release is None:
        return False
    made = release["made"]
    return release["run"] != run_id or not (made["trained"] or made["images"])
