"""Sampling that happens once for equal inputs, whoever asks and however often, in the one child process."""

import sys
from pathlib import Path
from typing import Any

from evals.content_hash import hash_json
from lifeos.child import child_main, obtain
from lifeos.lora.sample import SampleResult, planned_images, sample_plan
from lifeos.lora.sample_plan import SamplePlan
from lifeos.lora.store import ImageStore
from lifeos.progress import Progress, progress_writer, silent


def sample_once(
    plan: SamplePlan, base: Path, lora: Path | None, artifacts: Path, progress: Progress = silent, *,
    batch_size: int | None = None, threads: int = 0,
) -> SampleResult:  # fmt: skip
    """Render a plan in the one child process that has all cores, into ``artifacts/samples``; others wait for it.

    Arguments as for ``sample_plan``.

    Raises:
        InputError: what ``sample_plan`` raises, or how the child ended without a result.
    """
    artifacts = Path(artifacts).resolve()
    store = ImageStore(artifacts / "samples")
    asked = planned_images(plan, base, lora, store)
    request = {
        "artifacts": str(artifacts), "plan": plan.to_json(), "base": str(Path(base).resolve()),
        "lora": None if lora is None else str(Path(lora).resolve()), "batch_size": batch_size, "threads": threads,
    }  # fmt: skip

    def known() -> dict[str, Any] | None:
        return None if asked.lacking(store) else {"made": 0, "seconds": 0.0}

    identity = hash_json([plan.content_hash, asked.base_hash, asked.lora_hash])
    folder = artifacts / "runs" / f"samples-{identity[:32]}"
    answer = obtain(folder, "lifeos.lora.sample_once", request, None, known=known, progress=progress)
    return asked.result(answer["made"], answer["seconds"])


def walk(request: dict[str, Any], _: Path) -> dict[str, Any]:
    """Render in this process what ``sample_once`` asks for; says how many it ``made`` and in how many ``seconds``.

    Raises:
        InputError: what ``sample_plan`` raises.
    """
    result = sample_plan(
        SamplePlan.from_json(request["plan"]), Path(request["base"]),
        None if request["lora"] is None else Path(request["lora"]), ImageStore(Path(request["artifacts"]) / "samples"),
        progress_writer(request["progress"]), batch_size=request["batch_size"], threads=request["threads"],
    )  # fmt: skip
    return {"made": result.made, "seconds": result.sampling_seconds}


if __name__ == "__main__":
    sys.exit(child_main(sys.argv[1:], walk))
