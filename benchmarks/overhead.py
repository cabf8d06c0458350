"""What runner and judging add to bare sampling and embedding of the same images, whole commands against each other."""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gate_command import TIMEOUT_SECONDS, GateCommand, run_gate_command
from benchmarks.interleave import interleaved
from benchmarks.readiness import missing_parts
from benchmarks.table import Line
from lifeos.child import child_environment
from lifeos.errors import InputError
from lifeos.lora.sample import BATCH_SIZE, missing_images, sample_plan
from lifeos.lora.store import ImageStore
from lifeos.persona import Persona, load_persona
from lifeos.processor import available_cores
from lifeos.release_inputs import release_plan
from lifeos.settings import load_project

TARGET_PERCENT = 10.0
NAME = "overhead"
_MEASURE = "runner and judging over bare sampling and embedding"
# Pictures of the same prompt and noise differ by rounding only; pictures of different noise by far more than this.
SAME_IMAGES_LEVELS = 16.0


@dataclass(frozen=True)
class Comparison:
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


def measure_overhead(root: Path, persona: Path, lora: Path | None, rounds: int = 2) -> list[Line]:
    """Compare ``lifeos gate release --lora FILE`` with a bare pipeline that renders and embeds the same images.

    Args:
        root: of this checkout.
        persona: persona folder.
        lora: LoRA file; None trains the persona's recipe into the checkout's artifacts when it is not there yet
            (not timed).
        rounds: how often each way is run, the order turning round from one to the next.
    """
    missing = missing_parts(persona, root)
    if missing is not None:
        return [_not_measured(missing)]
    try:
        file = lora or trained_lora(load_persona(persona, root))
    except InputError as error:
        return [_not_measured(f"there is no LoRA: {error}")]
    try:
        return lines_of(compare(root, persona, file, rounds))
    except (InputError, subprocess.SubprocessError, OSError, ValueError) as error:
        return [_not_measured(f"{type(error).__name__}: {error}")]


def compare(root: Path, persona: Path, lora: Path, rounds: int) -> list[Comparison]:
    """Run both ways ``rounds`` times in turn.

    Raises:
        subprocess.SubprocessError: the bare process failed or ran too long.
        InputError, OSError, ValueError: persona, LoRA or base cannot be read.
    """
    loaded = load_persona(persona, root)
    plan = release_plan(loaded)
    with tempfile.TemporaryDirectory(prefix="lifeos benchmark ", ignore_cleanup_errors=True) as name:
        folder, threads = Path(name), available_cores()

        def ours(number: int) -> GateCommand:
            command = [sys.executable, "-m", "lifeos", "gate", "release", "--persona", str(persona.absolute()),
                       "--lora", str(lora.absolute())]  # fmt: skip
            return run_gate_command(command, root, child_environment(), history_file=folder / "history.jsonl",
                                    artifacts=folder / f"artifacts-{number}")  # fmt: skip

        def bare(number: int) -> tuple[float, dict[str, float]]:
            job = {"plan": plan.to_json(), "base": str(loaded.base.absolute()), "lora": str(lora.absolute()),
                   "threads": threads, "batch_size": BATCH_SIZE, "face_backend": loaded.face_backend,
                   "face_folder": str(loaded.face_folder.absolute()),
                   "pixels": str(folder / f"{number}.npy")}  # fmt: skip
            seconds, answer = run_child("benchmarks.bare_diffusers", job, folder, root)
            return seconds - answer["saving"], answer

        by_gate, by_hand = interleaved(ours, bare, rounds)
        result = []
        for number, (gate, (seconds, answer)) in enumerate(zip(by_gate, by_hand, strict=True)):
            store = ImageStore(folder / f"artifacts-{number}" / "samples")
            difference = None
            if not missing_images(plan, loaded.base, lora, store):
                difference = _difference(sample_plan(plan, loaded.base, lora, store).images, folder / f"{number}.npy")
            result.append(Comparison(gate, seconds, answer, difference))
    return result


def lines_of(rounds: list[Comparison]) -> list[Line]:
    """Return the lines of the comparisons; a round that judged nothing, or other images, measures nothing."""
    for each in rounds:
        if each.ours.problem is not None:
            return [_not_measured(each.ours.problem)]
        if each.difference is None:
            return [_not_measured(f"verdict {each.ours.verdict} before every image was sampled")]
        if each.difference > SAME_IMAGES_LEVELS:
            return [_not_measured(f"the images differ by {each.difference:.1f} of 255 levels: not the same images")]
    ours = statistics.median(each.ours.seconds for each in rounds)
    bare = statistics.median(each.bare_seconds for each in rounds)
    spread = [f"{100.0 * (each.ours.seconds / each.bare_seconds - 1.0):+.1f}" for each in rounds]
    # lifeos' own sampler may win back what its runner costs; this line does not let it.
    beside = [each.ours.seconds - (each.ours.duration("sample") or 0.0) - (each.ours.duration("faces") or 0.0)
              for each in rounds]  # fmt: skip
    sampling = statistics.median(each.bare["sampling"] for each in rounds)
    return [
        Line(NAME, _MEASURE, 100.0 * (ours / bare - 1.0), "%", TARGET_PERCENT, note=(
            f"{len(rounds)} rounds in turn, {' and '.join(spread)} %; batches of {BATCH_SIZE} both ways, images differ "
            f"by {max(each.difference or 0.0 for each in rounds):.2f} of 255 levels on average; "
            f"verdict {rounds[0].ours.verdict}")),
        Line(NAME, "  lifeos gate release --lora FILE", ours, "s", note="a process from start to end"),
        Line(NAME, "  bare pipeline and embedding", bare, "s", note=(
            f"a process from start to end; {sampling:.1f} s of it load and sample")),
        Line(NAME, "  of lifeos, beside sampling and faces", 100.0 * statistics.median(beside) / bare, "%", note=(
            "start-up, weights, metrics, verdicts, the repeated images and the record, as a share of the bare time")),
    ]  # fmt: skip


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


def _not_measured(reason: str) -> Line:
    return Line(NAME, _MEASURE, None, "%", TARGET_PERCENT, reason=reason)
