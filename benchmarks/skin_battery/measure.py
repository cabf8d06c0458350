"""Renders to numbers: every picture, changed in every way, measured as the judge measures it; a shard at a time.

A shard's numbers are kept beside it, so a killed run goes on. Half of the shards are for calibration (people whom no
result counts), the other half is judged.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmarks.skin_battery.degrade import CLEAN, DEGRADATIONS
from benchmarks.skin_battery.plain_skimage import DROPPED
from benchmarks.skin_battery.renders import CHANGES, Shard, read_shard
from evals.images import RgbImage
from evals.metric_families import Picture
from evals.skin_realism_eval import FEATURE_SIGNS, texture_features
from evals.skin_region import find_skin
from evals.skin_signs_eval import FAMILY

if TYPE_CHECKING:
    from evals.faces import FaceBackend

ROOT = Path(__file__).resolve().parents[2]
KEPT = tuple(FEATURE_SIGNS)
SIGNS = FAMILY.metrics
METRICS = (*KEPT, *SIGNS, *DROPPED)
# As lifeos.measure asks of pictures of 128 pixels: 92 / 512 of the side.
MINIMUM_INTER_OCULAR = 92.0 / 512.0 * 128.0
# Every sixth judged shard: the features of plain scikit-image take most of the time.
DROPPED_EVERY = 6
# What went through the base's autoencoder: as many shards of each half.
AUTOENCODER_SHARDS = 6
AUTOENCODER_CHANGES = (
    CLEAN, "gaussian .01", "gaussian .02", "gaussian .04", "bilateral", "median", "beauty filter",
    "gaussian .02 + grain 4", "beauty filter + grain 4", "grain 4", "sharpened x1", "sharpened x2", "exposure x1/4",
    "exposure x2", "jpeg 75", "resize .75",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Measured:
    """Numbers of pictures.

    Attributes:
        people: i64 ``[n]``.
        tones: n names.
        change: what was done to each, n names of ``DEGRADATIONS`` or ``renders.CHANGES``.
        values: f64 ``[n, len(METRICS)]``, NaN where unmeasured.
        missing: n reasons why skin was not measured; empty where it was.
    """

    people: NDArray[np.int64]
    tones: NDArray[np.str_]
    change: NDArray[np.str_]
    values: NDArray[np.float64]
    missing: NDArray[np.str_]

    def chosen(self, rows: NDArray[np.bool_]) -> "Measured":
        """Return the pictures where ``rows`` bool ``[n]`` is true."""
        return Measured(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def is_calibration(number: int) -> bool:
    """Whether shard ``number`` is for calibration alone."""
    return number % 2 == 0


def measure_all(work: Path, workers: int) -> tuple[Measured, Measured]:
    """Return the numbers of calibration (unchanged pictures) and of judged pictures, measuring what is missing."""
    jobs = list(enumerate(sorted((work / "renders").glob("*.npz"))))
    with ProcessPoolExecutor(workers) as pool:
        for done, name in enumerate(pool.map(_measure_shard, [(work, *job) for job in jobs]), 1):
            print(f"{name} measured ({done} of {len(jobs)})", flush=True)
    halves: list[list[Path]] = [[], []]
    for number, path in jobs:
        halves[0 if is_calibration(number) else 1].append(_target(work, path))
    return _joined(halves[0]), _joined(halves[1])


def measure_through_autoencoder(work: Path, base: Path) -> tuple[Measured, Measured]:
    """Return the same for a few shards whose pictures, changed or not, went through the base's autoencoder."""
    from lifeos.lora.sample import round_trip

    halves: list[list[Path]] = [[], []]
    for number, path in list(enumerate(sorted((work / "renders").glob("*.npz"))))[: 2 * AUTOENCODER_SHARDS]:
        target = _target(work, path, "autoencoder")
        halves[0 if is_calibration(number) else 1].append(target)
        if target.exists():
            continue
        changes = (CLEAN,) if is_calibration(number) else AUTOENCODER_CHANGES
        pictures = list(_pictures(read_shard(path), changes))
        back = round_trip([picture for *_, picture in pictures], base)
        _write(target, [(*known, after) for (*known, _), after in zip(pictures, back, strict=True)], False)
        print(f"{target.name} measured through the autoencoder", flush=True)
    return _joined(halves[0]), _joined(halves[1])


def measure_picture(image: RgbImage, with_dropped: bool) -> tuple[dict[str, float | None], str]:
    """Return what is measured on the face that is found in a picture, and why skin was not.

    No face found, a face turned away or too small, or skin that is hidden: None for everything but the lattice, never a
    number from a guessed place.
    """
    from evals.faces import find_faces

    faces = find_faces(backend(), image)
    points = faces[0].points if faces else None
    picture = Picture(image, points, None if faces else "no face found", MINIMUM_INTER_OCULAR)
    values = dict(FAMILY.measure(picture).values)
    if points is None:
        return values, "no face found"
    region = find_skin(image, points, minimum_inter_ocular=MINIMUM_INTER_OCULAR)
    if isinstance(region, str):
        return values, region
    values |= texture_features(region)
    if with_dropped:
        values |= {name: plain(region.crop, region.mask, region.distance) for name, plain in DROPPED.items()}
    return values, ""


@cache
def backend() -> "FaceBackend":
    """Open the shipped face models, once a process."""
    from evals.faces import open_backend

    return open_backend("yunet_sface", ROOT / "models" / "faces")


def _measure_shard(job: tuple[Path, int, Path]) -> str:
    import cv2

    work, number, path = job
    target = _target(work, path)
    if not target.exists():
        cv2.setNumThreads(1)
        target.parent.mkdir(parents=True, exist_ok=True)
        calibration = is_calibration(number)
        pictures = _pictures(read_shard(path), (CLEAN,) if calibration else tuple(DEGRADATIONS))
        _write(target, pictures, not calibration and number // 2 % DROPPED_EVERY == 0)
    return target.name


def _pictures(shard: Shard, changes: Sequence[str]) -> Iterable[tuple[int, str, str, RgbImage]]:
    """Person, tone, change and picture; lengths of changes follow the face of the unchanged picture."""
    from evals.faces import find_faces
    from evals.faces.align import inter_ocular_distance

    for person, tone, picture in zip(shard.people, shard.tones, shard.pictures, strict=True):
        faces = find_faces(backend(), picture)
        # Without a face there is no length to change by, and nothing to measure: the row stands as missing.
        distance = inter_ocular_distance(faces[0].points) if faces else 40.0
        for name in changes:
            yield int(person), tone, name, DEGRADATIONS[name].apply(picture, distance, int(person))
    if len(changes) > 1:
        for name in CHANGES:
            for tone, picture in zip(shard.tones, shard.changed[name], strict=False):
                yield int(shard.people[0]), tone, name, picture


def _target(work: Path, path: Path, kind: str = "measured") -> Path:
    return work / kind / path.name


def _write(target: Path, pictures: Iterable[tuple[int, str, str, RgbImage]], with_dropped: bool) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    people, tones, changes, rows, missing = [], [], [], [], []
    for person, tone, name, picture in pictures:
        values, reason = measure_picture(picture, with_dropped)
        people.append(person)
        tones.append(tone)
        changes.append(name)
        rows.append([_number(values, metric) for metric in METRICS])
        missing.append(reason)
    partial = target.with_suffix(f".{os.getpid()}.part")
    with partial.open("wb") as file:
        np.savez_compressed(
            file, people=people, tones=tones, change=changes, values=np.array(rows, np.float64), missing=missing
        )
    os.replace(partial, target)


def _number(values: Mapping[str, float | None], metric: str) -> float:
    value = values.get(metric)
    return float("nan") if value is None else float(value)


def _joined(paths: Sequence[Path]) -> Measured:
    parts: dict[str, list[NDArray[np.generic]]] = {name: [] for name in Measured.__dataclass_fields__}
    for path in paths:
        with np.load(path, allow_pickle=False) as data:
            for name, arrays in parts.items():
                arrays.append(data[name])
    return Measured(**{name: np.concatenate(arrays) for name, arrays in parts.items()})  # type: ignore[arg-type]
