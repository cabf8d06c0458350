"""Makes the runs that are still missing, in turn, and keeps a record of each; a cut loses at most the run it hits."""

import importlib.util
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from benchmarks.generation_speed.bases import is_whole
from benchmarks.generation_speed.processes import watched
from benchmarks.generation_speed.records import Records, gpu_name
from benchmarks.generation_speed.sampling import difference, write_random_lora
from benchmarks.generation_speed.work import LENGTHS, Length, Work, recipe_values, script_arguments, write_pictures
from lifeos.errors import InputError
from lifeos.lora.recipe import recipe_toml

Part = Literal["train-ours", "train-theirs", "sample", "profile"]
PARTS: tuple[Part, ...] = ("train-ours", "train-theirs", "sample", "profile")
Side = Literal["ours", "theirs"]
TIMEOUT_SECONDS = 3600.0
_MODULES = ("torchvision", "accelerate", "peft", "diffusers", "transformers")


@dataclass(frozen=True)
class Job:
    """One run: its record's name, the part it belongs to, and what tells it from others."""

    name: str
    part: Part
    side: Side
    round: int
    length: Length = "long"
    dtype: str = ""


def jobs(work: Work) -> list[Job]:
    """Return every run of a comparison in order: sides in turn, the order turning round from round to round."""
    found: list[Job] = []
    for number in range(work.rounds):
        sides: tuple[Side, ...] = ("ours", "theirs") if number % 2 == 0 else ("theirs", "ours")
        for length in LENGTHS:
            found += [Job(f"train-{side}-{number}-{length}", "train-ours" if side == "ours" else "train-theirs", side,
                          number, length) for side in sides]  # fmt: skip
        for dtype in work.sampling_dtypes:
            found += [Job(f"sample-{side}-{number}-{dtype}", "sample", side, number, dtype=dtype) for side in sides]
    return [*found, Job("profile-train", "profile", "ours", 0),
            Job("profile-sample", "profile", "ours", 0, dtype=work.sampling_dtypes[0])]  # fmt: skip


def obstacle(work: Work, script: Path | None, part: Part) -> str | None:
    """Return in one line why a part cannot be measured here and what to do about it; None when it can."""
    if work.device == "cuda":
        if gpu_name() is None:
            return "no GPU answers on this machine; next: run the same command on a machine with one"
        import torch

        if not torch.cuda.is_available():
            return f"torch {torch.__version__} sees no GPU; next: install a build of torch for CUDA"
    if part != "train-theirs":
        return None
    if script is None:
        return "no script was named; next: --script FILE, diffusers' examples/dreambooth/train_dreambooth_lora_sdxl.py"
    if not script.is_file():
        return f"{script} is no file; next: --script FILE, diffusers' train_dreambooth_lora_sdxl.py"
    absent = [name for name in _MODULES if importlib.util.find_spec(name) is None]
    if absent:
        return f"the script needs {', '.join(absent)}; next: {sys.executable} -m pip install {' '.join(absent)}"
    return None


def run_missing(
    work: Work, script: Path | None, folder: Path, root: Path, records: Records, parts: Sequence[Part],
    within_seconds: float | None, tell: Any = lambda line: None,
) -> int:  # fmt: skip
    """Make the missing runs of some parts; returns how many are left because time would not have sufficed.

    Args:
        work: what is compared.
        script: diffusers' training script; None for none.
        folder: for the base, pictures and everything that runs write; absolute, as ``script`` is.
        root: of this checkout.
        records: where each run is kept; one that failed is kept too, with its reason.
        parts: which parts.
        within_seconds: no run is begun that would not end by then if it took as long as the longest so far; None for no
            limit.
        tell: called with a line before each run.

    Raises:
        InputError: a run of ours cannot be prepared.
    """
    started, longest = time.monotonic(), 0.0
    missing = [job for job in jobs(work) if job.part in parts and records.read(job.name) is None]
    missing = [job for job in missing if obstacle(work, script, job.part) is None]
    for done, job in enumerate(missing):
        begun = time.monotonic()
        if within_seconds is not None and begun - started + longest > within_seconds:
            return len(missing) - done
        tell(f"run {done + 1} of {len(missing)}: {job.name}")
        place = folder / "runs" / job.name
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        try:
            base = _base(work, folder, root)
            # The base is written once, and no run is expected to take as long.
            begun = time.monotonic()
            record = _run(work, script, base, folder, place, root, records, job)
        except (subprocess.SubprocessError, OSError) as error:
            record = {"failed": f"{type(error).__name__}: {error}"}
        records.write(job.name, record)
        shutil.rmtree(place, ignore_errors=True)
        longest = max(longest, time.monotonic() - begun)
    return 0


def _base(work: Work, folder: Path, root: Path) -> Path:
    """Return the base, written by a process of its own: what draws it on a GPU keeps memory there until it ends."""
    base = folder / f"base-{work.size}"
    if not is_whole(base):
        folder.mkdir(parents=True, exist_ok=True)
        watched([sys.executable, "-m", "benchmarks.generation_speed.bases", work.size, str(base)], root, work.threads,
                folder / "base.txt", TIMEOUT_SECONDS)  # fmt: skip
    return base


def _run(
    work: Work, script: Path | None, base: Path, folder: Path, place: Path, root: Path, records: Records, job: Job
) -> dict[str, Any]:
    log, answer = place / "log.txt", place / "answer.json"
    if job.part == "train-theirs":
        _, pictures = write_pictures(work, folder / f"pictures-{work.size}")
        arguments = script_arguments(work, base, pictures, place / "out", job.length)
        command = [sys.executable, str(script), *arguments]
        return watched(command, place, work.threads, log, TIMEOUT_SECONDS).to_json()
    if not job.dtype:
        captioned, _ = write_pictures(work, folder / f"pictures-{work.size}")
        recipe = place / "recipe.toml"
        recipe.write_text(recipe_toml(recipe_values(work, base, captioned, job.length)),
                          encoding="utf-8")  # fmt: skip
        command = [sys.executable, "-m", "lifeos", "retrain-lora", str(recipe), "-o", str(place / "lora.safetensors"),
                   "--artifacts", str(place / "artifacts")]  # fmt: skip
        if job.part == "profile":
            command = _child("profile", place, {"recipe": str(recipe), "folder": str(place)})
        record = watched(command, root, work.threads, log, TIMEOUT_SECONDS).to_json()
        return {**record, **(_read(answer) if job.part == "profile" else {})}
    profiled = job.part == "profile"
    lora = folder / f"lora-{work.size}.safetensors"
    if not lora.is_file():
        write_random_lora(base, work.rank, lora)
    values = {"work": work.to_json(), "side": job.side, "dtype": job.dtype, "base": str(base), "lora": str(lora),
              "folder": str(place), "profile": profiled}  # fmt: skip
    record = watched(_child("sampling", place, values), root, work.threads, log, TIMEOUT_SECONDS).to_json()
    compared = {} if profiled else _compared(place / "pixels.npy", records.folder / f"pixels-{job.dtype}", job)
    return {**record, **_read(answer), **compared}


def _compared(pixels: Path, folder: Path, job: Job) -> dict[str, Any]:
    """Keep a side's pixels; returns how far they are from the other side's of this round where those are there."""
    import numpy as np

    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(pixels, folder / f"{job.side}-{job.round}.npy")
    other = folder / f"{'theirs' if job.side == 'ours' else 'ours'}-{job.round}.npy"
    return {"difference": difference(np.load(pixels), np.load(other))} if other.is_file() else {}


def _child(module: str, place: Path, values: dict[str, Any]) -> list[str]:
    path = place / "job.json"
    path.write_text(json.dumps(values), encoding="utf-8")
    return [sys.executable, "-m", f"benchmarks.generation_speed.{module}", str(path)]


def _read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8")))


def chosen_parts(name: str) -> tuple[Part, ...]:
    """Return the parts that a word of the command line stands for.

    Raises:
        InputError: it stands for none.
    """
    words: dict[str, tuple[Part, ...]] = {"all": PARTS, "table": (), "train": ("train-ours", "train-theirs"),
                                          **{part: (part,) for part in PARTS}}  # fmt: skip
    if name not in words:
        raise InputError(f"--part: accepted {', '.join(words)}, got {name!r}; "
                         "next: python -m benchmarks.generation_speed --help")  # fmt: skip
    return words[name]


def recorded(work: Work, records: Records) -> Iterator[tuple[Job, dict[str, Any]]]:
    """Yield every run that is recorded, in order."""
    for job in jobs(work):
        if (record := records.read(job.name)) is not None:
            yield job, record
