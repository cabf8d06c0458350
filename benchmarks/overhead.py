"""What runner and judging add to bare sampling and embedding of the same images, whole commands against each other."""

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.comparison import Context, Pair, UnmeasuredError, in_turn
from benchmarks.gate_command import TIMEOUT_SECONDS, GateCommand, run_gate_command
from benchmarks.readiness import missing_parts
from lifeos.child import child_environment
from lifeos.lora.sample import BATCH_SIZE, missing_images, sample_plan
from lifeos.lora.store import ImageStore
from lifeos.persona import Persona, load_persona
from lifeos.processor import available_cores
from lifeos.release_inputs import release_plan
from lifeos.settings import load_project

# Pictures of the same prompt and noise differ by rounding only; pictures of different noise by far more than this.
SAME_IMAGES_LEVELS = 16.0


@dataclass(frozen=True)
class Round:
    """Both ways of one round.

    Args:
        ours: the gate command.
        bare_seconds: wall time of the bare process, saving of its pixels left out.
        bare: what it reported: seconds by step, and the number of faces.
        difference: mean absolute difference of the images in levels of 255; None when ours are not all there.
    """

    ours: GateCommand
    bare_seconds: float
    bare: dict[str, float]
    difference: float | None


def overhead_pair(context: Context, number: int) -> Pair:
    """Time ``lifeos gate release --lora FILE`` and a bare pipeline that renders and embeds the same images.

    The LoRA is the caller's, else the persona's recipe is trained into the checkout's artifacts first when it is not
    there yet (not timed).

    Raises:
        UnmeasuredError: persona or base are missing, no verdict was reached, or the images are not the same.
        subprocess.SubprocessError: the bare process failed or ran too long.
        InputError, OSError, ValueError: persona, LoRA or base cannot be read.
    """
    root, persona, folder = context.root, context.persona, context.folder
    missing = missing_parts(persona, root)
    if missing is not None:
        raise UnmeasuredError(missing)
    loaded = load_persona(persona, root)
    lora = context.lora or trained_lora(loaded)
    plan = release_plan(loaded)

    def ours() -> GateCommand:
        command = [sys.executable, "-m", "lifeos", "gate", "release", "--persona", str(persona.absolute()),
                   "--lora", str(lora.absolute())]  # fmt: skip
        return run_gate_command(command, root, child_environment(), history_file=folder / "history.jsonl",
                                artifacts=folder / f"artifacts-{number}")  # fmt: skip

    def bare() -> tuple[float, dict[str, float]]:
        job = {"plan": plan.to_json(), "base": str(loaded.base.absolute()), "lora": str(lora.absolute()),
               "threads": available_cores(), "batch_size": BATCH_SIZE, "face_backend": loaded.face_backend,
               "face_folder": str(loaded.face_folder.absolute()),
               "pixels": str(folder / f"{number}.npy")}  # fmt: skip
        seconds, answer = run_child("benchmarks.bare_diffusers", job, folder, root)
        return seconds - answer["saving"], answer

    gate, (seconds, answer) = in_turn(ours, bare, number)
    store, difference = ImageStore(folder / f"artifacts-{number}" / "samples"), None
    if not missing_images(plan, loaded.base, lora, store):
        difference = _difference(sample_plan(plan, loaded.base, lora, store).images, folder / f"{number}.npy")
    return pair_of(Round(gate, seconds, answer, difference))


def pair_of(one: Round) -> Pair:
    """Return the pair of a round; one that judged nothing, or other images, measures nothing.

    ``details`` hold ``beside``: our seconds beside sampling and faces, so that a quicker sampler hides nothing.

    Raises:
        UnmeasuredError: why it measures nothing.
    """
    if one.ours.problem is not None:
        raise UnmeasuredError(one.ours.problem)
    if one.difference is None:
        raise UnmeasuredError(f"verdict {one.ours.verdict} before every image was sampled")
    if one.difference > SAME_IMAGES_LEVELS:
        raise UnmeasuredError(f"the images differ by {one.difference:.1f} of 255 levels: not the same images")
    beside = one.ours.seconds - (one.ours.duration("sample") or 0.0) - (one.ours.duration("faces") or 0.0)
    details = {"beside": beside, "bare_sampling": one.bare["sampling"], "difference": one.difference}
    return Pair(one.ours.seconds, one.bare_seconds, details=details)


def run_child(module: str, job: dict[str, Any], folder: Path, root: Path) -> tuple[float, dict[str, Any]]:
    """Run ``python -m module JOB.json`` and return its wall seconds and the JSON it printed last.

    Raises:
        subprocess.SubprocessError: it failed or ran too long.
        ValueError: it printed no JSON.
    """
    path = folder / "job.json"
    path.write_text(json.dumps(job), encoding="utf-8")
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", module, str(path)], cwd=root, env=child_environment(),
                          capture_output=True, check=False, timeout=TIMEOUT_SECONDS)  # fmt: skip
    seconds = time.perf_counter() - started
    if done.returncode != 0:
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["no message"]
        raise subprocess.SubprocessError(f"{module} ended with status {done.returncode}: {last[0][:300]}")
    return seconds, dict(json.loads(done.stdout.decode("utf-8").strip().splitlines()[-1]))


def trained_lora(persona: Persona) -> Path:
    """Return the LoRA of the persona's recipe from the checkout's artifacts, trained first if need be.

    Raises:
        InputError: the recipe cannot be trained.
    """
    from lifeos.lora.recipe import load_recipe
    from lifeos.lora.train_once import train_once
    from lifeos.report.progress_bars import show_progress

    with show_progress() as progress:
        return train_once(load_recipe(persona.recipe), load_project().path("artifacts"), progress).path


def _difference(images: Any, pixels: Path) -> float:
    from evals.images import read_image

    ours = np.stack([read_image(image.path) for image in images]).astype(np.int16)
    return float(np.abs(ours - np.load(pixels).astype(np.int16)).mean())

