"""Every feature of every picture of a shard, changed in every way; a shard that was measured is not measured again."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.skin_battery.degrade import FAULTS, HARMLESS
from benchmarks.skin_battery.plain_skimage import DROPPED
from benchmarks.skin_battery.renders import RENDERED, Shard, read_shard
from evals.images import RgbImage

ROOT = Path(__file__).resolve().parents[2]
FACES = ROOT / "models" / "faces"
BASE = ROOT / "models" / "tiny-base"
CHANGES = {**HARMLESS, **FAULTS}
# The autoencoder takes far longer than the features: what the gate sees is shown on a part.
DRAWN_TESTS = 12
THROUGH_BASE = ("none", "Gaussian .015", "Gaussian .025", "Gaussian .04", "bilateral", "over-sharpened")
SIGNS = ("grain", "specular", "tone_ita", "lattice")
Row = dict[str, float | None]


def measure_all(paths: Sequence[Path], work: Path, *, dropped: int, through_base: int, workers: int) -> list[Path]:
    """Measure what is missing.

    Args:
        paths: shards of ``renders.render_all``, those of one person beside each other.
        work: folder of the results, one JSON a shard.
        dropped: so many of the first shards are measured by the features that were dropped too, which are slow.
        through_base: so many of the first shards go through the base's autoencoder too.
        workers: processes.

    Returns:
        The results' paths in the order of ``paths``.
    """
    work.mkdir(parents=True, exist_ok=True)
    jobs = [
        (path, work / f"{path.stem}.json", number < dropped, number < through_base)
        for number, path in enumerate(paths)
    ]
    missing = [job for job in jobs if not job[1].exists()]
    with ProcessPoolExecutor(workers, initializer=_one_thread) as pool:
        for number, path in enumerate(pool.map(_measure_shard, missing), 1):
            print(f"measured {path.stem} ({number} of {len(missing)})", flush=True)
    return [job[1] for job in jobs]


def features_of(image: RgbImage, points: np.ndarray, *, dropped: bool) -> Row:
    """Return every feature of one picture by name; all None where its skin is unscorable."""
    from evals.metric_families import Picture
    from evals.skin_realism_eval import FEATURE_SIGNS, texture_features
    from evals.skin_region import find_skin
    from evals.skin_signs_eval import FAMILY

    signs = FAMILY.measure(Picture(image, points, None, 24.0)).values
    region = find_skin(image, points)
    names = (*FEATURE_SIGNS, *(DROPPED if dropped else ()))
    if isinstance(region, str):
        return {**dict.fromkeys(names), **dict.fromkeys(SIGNS)}
    row: Row = {**texture_features(region), **{name: signs[name] for name in SIGNS}}
    if dropped:
        row |= {name: measure(region.crop, region.mask, region.distance) for name, measure in DROPPED.items()}
    return row


def _one_thread() -> None:
    # As many processes as cores: threads of their own would wait for each other.
    import cv2
    import torch

    cv2.setNumThreads(1)
    torch.set_num_threads(1)


def _measure_shard(job: tuple[Path, Path, bool, bool]) -> Path:
    path, out, dropped, through_base = job
    shard = read_shard(path)
    content = _direct(shard, dropped)
    if through_base:
        content["through_base"] = _through_base(shard)
    partial = out.with_suffix(f".{os.getpid()}.part")
    partial.write_text(json.dumps(content, allow_nan=False), encoding="utf-8")
    os.replace(partial, out)
    return out


def _direct(shard: Shard, dropped: bool) -> dict[str, Any]:
    references = [found for image in shard.references if (found := _face(image)) is not None]
    tests = [found for image in shard.tests if (found := _face(image)) is not None]
    changed: dict[str, list[Row]] = {
        name: [
            features_of(change(image, distance, number), points, dropped=dropped)
            for number, (image, points, distance) in enumerate(tests)
        ]
        for name, change in CHANGES.items()
    }
    for name in RENDERED:
        faces = (_face(image) for image in shard.rendered[name])
        changed[name] = [features_of(found[0], found[1], dropped=dropped) for found in faces if found is not None]
    return {
        "person": shard.person,
        "tone": shard.tone,
        "pictures": len(shard.references) + len(shard.tests),
        "without_face": len(shard.references) + len(shard.tests) - len(references) - len(tests),
        "references": [features_of(image, points, dropped=dropped) for image, points, _ in references],
        "changed": changed,
    }


def _through_base(shard: Shard) -> dict[str, Any]:
    """The same for pictures that the base's autoencoder gave back after the change: plastic skin that a LoRA drew."""
    tests = [found for image in shard.tests[:DRAWN_TESTS] if (found := _face(image)) is not None]
    changed = {
        name: _drawn([CHANGES[name](image, distance, number) for number, (image, _, distance) in enumerate(tests)])
        for name in THROUGH_BASE
    }
    return {"references": _drawn(shard.references), "changed": changed}


def _drawn(images: Iterable[RgbImage]) -> list[Row]:
    from lifeos.lora.sample import round_trip

    faces = (_face(image) for image in round_trip(list(images), BASE, "tiny_base"))
    return [features_of(found[0], found[1], dropped=False) for found in faces if found is not None]


def _face(image: RgbImage) -> tuple[RgbImage, np.ndarray, float] | None:
    """The picture, five points of its largest face and the distance of its eyes; None without a face."""
    from evals.faces import measure_face
    from evals.faces.align import inter_ocular_distance

    found = measure_face(_backend(), image)
    if not found.faces:
        return None
    points = found.faces[0].points
    return image, points, inter_ocular_distance(points)


@cache
def _backend() -> Any:
    from evals.faces import open_backend

    return open_backend("yunet_sface", FACES)


def photographs() -> Mapping[str, RgbImage]:
    """Portraits in the public domain that packages of the lock bring: of NASA's and of the US Navy's."""
    import matplotlib
    from PIL import Image
    from skimage import data

    hopper = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    return {"Eileen Collins": data.astronaut(), "Grace Hopper": np.asarray(Image.open(hopper).convert("RGB"))}


def photograph_rows() -> dict[str, dict[str, Any]]:
    """Return ``{person: {"distance", "change": {change: {feature: value less that of the photograph itself}}}}``.

    One photograph has no band of its own: what can be shown is which way each feature goes, and how far.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, image in photographs().items():
        face = _face(image)
        assert face is not None
        _, points, distance = face
        plain = features_of(image, points, dropped=False)
        moved = {
            change: {
                feature: round(value - before, 3)
                for feature, value in features_of(apply(image, distance, 0), points, dropped=False).items()
                if value is not None and (before := plain[feature]) is not None
            }
            for change, apply in CHANGES.items()
        }
        found[name] = {"distance": round(distance, 1), "change": moved}
    return found
