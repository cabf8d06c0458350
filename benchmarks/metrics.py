"""Measuring images as lifeos does it against one image at a time with insightface and plain scikit-image calls.

Both sides have every core, the same pictures and, for faces, the same weights (``benchmarks.insightface_pack``).
``python -m benchmarks.metrics JOB.json`` times all ways in one process, in turn.
"""

import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.interleave import interleaved
from benchmarks.overhead import run_child
from benchmarks.table import Line
from evals.images import RgbImage
from lifeos.errors import InputError
from lifeos.persona import load_persona
from lifeos.processor import available_cores

NAME = "metrics"
FACES_TARGET, SKIN_TARGET = 2.0, 3.0
# Pixels. A head that fills the frame is cut out by the detector in two ways that score alike, and which of them stays
# depends on the threshold of overlap, which both sides have for themselves.
SIDE, HEAD = 512, 320
PATTERNS = "lbp_non_uniform"
# Both sides interpolate crops and decode boxes in their own way; one face of two people lies below .7.
SMALLEST_COSINE = 0.99
# In the feature's own unit, a natural logarithm. Neighbours of enlarged or smoothed skin are equal to the last digit,
# and scikit-image's interpolation between equals is rounded to either side, so a few of its patterns are others: that
# feature is compared as the share of patterns that it is the logarithm of.
LARGEST_DIFFERENCE, LARGEST_SHARE_DIFFERENCE = 1e-3, 0.03
FACES, SKIN = "faces, times as fast as insightface", "skin features, times as fast as plain scikit-image"


def measure_metrics(root: Path, persona: Path, images: int = 1000, rounds: int = 2) -> list[Line]:
    """Return both ratios with their targets, and how fast everything that is measured on an image goes.

    Args:
        root: of this checkout.
        persona: its references and training images, enlarged and put into 512 pixels, each lit otherwise, are
            what is measured.
        images: how many.
        rounds: how often each way is run.
    """
    try:
        if images < 1:
            raise InputError(f"--images: accepted 1 or more, got {images}; next: python -m benchmarks --help")
        loaded = load_persona(persona, root)
        answer = _compare(root, [loaded.references, loaded.dataset], loaded.face_folder, images, rounds)
    except (InputError, subprocess.SubprocessError, OSError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}"
        return [_ratio_not_measured(measure, target, reason) for measure, target in _TARGETS]
    return lines_of(answer)


def lines_of(answer: dict[str, Any]) -> list[Line]:
    """Return the table's lines of a comparison; values that are not equal measure nothing.

    Args:
        answer: ``images``, ``scored`` (of these with skin on both sides), ``cosine`` (smallest between the embeddings
            of one image; None where one side alone saw a face), ``difference`` and ``share_difference`` (largest
            between two values of one feature, and of the share of patterns; None where one side alone has it), and the
            seconds of each round: ``faces``, ``insightface``, ``skin``, ``plain``, ``everything``.
    """
    images, cosine = answer["images"], answer["cosine"]
    difference, share = answer["difference"], answer["share_difference"]
    lines = []
    if cosine is None or not cosine >= SMALLEST_COSINE:
        told = "one side alone saw a face" if cosine is None else f"the embeddings agree to a cosine of {cosine:.3f}"
        lines.append(_ratio_not_measured(FACES, FACES_TARGET, f"{told}, not the same values"))
    else:
        note = f"the same weights, files opened by both; smallest cosine of two embeddings {cosine:.4f}"
        lines += _ratio(answer, "faces", "insightface", FACES, FACES_TARGET, images, note)
    if difference is None or share is None:
        lines.append(_ratio_not_measured(SKIN, SKIN_TARGET, "one side alone has a value, not the same values"))
    elif not (difference <= LARGEST_DIFFERENCE and share <= LARGEST_SHARE_DIFFERENCE):
        told = f"values differ by up to {difference:.2g}, shares of patterns by {share:.2g}"
        lines.append(_ratio_not_measured(SKIN, SKIN_TARGET, f"{told}, not the same values"))
    else:
        note = (f"finding the skin is part of both; values (natural logarithms) differ by up to {difference:.1g}, the "
                f"share of patterns by {share:.1g}")  # fmt: skip
        lines += _ratio(answer, "skin", "plain", SKIN, SKIN_TARGET, answer["scored"], note)
    seconds = statistics.median(answer["everything"])
    told = "files opened, faces, skin, copies, adherence, all metric families; no persona yet"
    lines.append(Line(NAME, "all that is measured on an image", images / seconds, "images/s", note=told))
    return lines


def _ratio(
    answer: dict[str, Any], ours: str, theirs: str, measure: str, target: float, images: int, note: str
) -> list[Line]:
    spread = [their / our for our, their in zip(answer[ours], answer[theirs], strict=True)]
    told = f"{len(spread)} rounds in turn of {images} images of {SIDE} pixels, " + " and ".join(
        f"{ratio:.2f}" for ratio in spread
    )
    one, two = statistics.median(answer[ours]), statistics.median(answer[theirs])
    return [
        Line(NAME, measure, two / one, "x", target, at_least=True, note=f"{told}; {note}"),
        Line(NAME, "    lifeos", images / one, "images/s"),
        Line(NAME, f"    {'insightface' if theirs == 'insightface' else 'scikit-image'}", images / two, "images/s"),
    ]


def _ratio_not_measured(measure: str, target: float, reason: str) -> Line:
    return Line(NAME, measure, None, "x", target, at_least=True, reason=reason)


_TARGETS = ((FACES, FACES_TARGET), (SKIN, SKIN_TARGET))


def _compare(root: Path, folders: Sequence[Path], faces: Path, images: int, rounds: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="lifeos benchmark ", ignore_cleanup_errors=True) as name:
        job = {"folders": [str(folder.absolute()) for folder in folders], "faces": str(faces.absolute()),
               "images": images, "rounds": rounds, "folder": name, "threads": available_cores()}  # fmt: skip
        return run_child("benchmarks.metrics", job, Path(name), root)[1]


def write_pictures(folders: Sequence[Path], images: int, into: Path) -> list[Path]:
    """Write ``images`` different pictures of 512 pixels, heads of ``folders`` in them, and return their paths.

    Raises:
        InputError: the folders hold no picture.
    """
    import cv2

    from evals.images import read_image
    from lifeos.lora.dataset import image_files

    sources = [path for folder in folders for path in image_files(folder)]
    if not sources:
        raise InputError(f"{folders[0]}: accepted a folder with pictures, got none; next: --persona FOLDER")
    into.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(images):
        head = cv2.resize(read_image(sources[number % len(sources)]), (HEAD, HEAD), interpolation=cv2.INTER_CUBIC)
        rim = (SIDE - HEAD) // 2
        picture = cv2.copyMakeBorder(head, rim, rim, rim, rim, cv2.BORDER_REPLICATE)
        # Another light a turn: no two pictures are one, and what is remembered by content helps nobody.
        light = 1.0 - 0.01 * (number // len(sources))
        lit = np.clip(np.round(picture.astype(np.float32) * light), 0, 255).astype(np.uint8)
        paths.append(into / f"{number:05}.png")
        cv2.imwrite(str(paths[-1]), lit[:, :, ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])
    return paths


def _main(job: dict[str, Any]) -> dict[str, Any]:
    from benchmarks.insightface_pack import write_pack
    from evals.faces import measure_face
    from evals.images import read_image
    from lifeos.engine import open_faces
    from lifeos.measure import Measurements
    from lifeos.processor import on_all_cores

    folder = Path(job["folder"])
    paths = write_pictures([Path(name) for name in job["folders"]], job["images"], folder / "pictures")
    backend = open_faces("yunet_sface", Path(job["faces"]))
    theirs = _insightface(write_pack(Path(job["faces"]), folder / "insightface" / "models" / "same_weights"))

    def faces(number: int) -> tuple[float, list[Any]]:
        started = time.perf_counter()
        found = list(on_all_cores(lambda path: measure_face(backend, read_image(path)), paths))
        return time.perf_counter() - started, found

    def one_at_a_time(number: int) -> tuple[float, list[Any]]:
        started = time.perf_counter()
        found = [theirs(read_image(path)) for path in paths]
        return time.perf_counter() - started, found

    def everything(number: int) -> float:
        measurements = Measurements(folder / f"artifacts-{number}", lambda: backend, "benchmark")
        started = time.perf_counter()
        measurements.of_all(paths, lambda *_: None, "benchmark")
        return time.perf_counter() - started

    # The first touch of every kernel belongs to neither.
    for read in (lambda image: measure_face(backend, image), theirs):
        read(read_image(paths[0]))
    ours, insight = interleaved(faces, one_at_a_time, job["rounds"])
    faced = [(path, one.faces[0].points) for path, one in zip(paths, ours[0][1], strict=True) if one.faces]
    mine, plain = _skin(faced, job["rounds"])
    return {
        "images": len(paths),
        "scored": sum(features is not None for features in mine[0][1]),
        "cosine": _smallest_cosine([one.embedding for one in ours[0][1]], insight[0][1]),
        **_largest_differences(mine[0][1], plain[0][1]),
        "faces": [seconds for seconds, _ in ours],
        "insightface": [seconds for seconds, _ in insight],
        "skin": [seconds for seconds, _ in mine],
        "plain": [seconds for seconds, _ in plain],
        "everything": [everything(number) for number in range(job["rounds"])],
    }


def _insightface(pack: Path) -> Callable[[RgbImage], Any]:
    """Return the way insightface's documentation shows: one ``FaceAnalysis``, ``prepare``, ``get`` an image."""
    from insightface.app import FaceAnalysis

    app = FaceAnalysis(name=pack.name, root=str(pack.parents[1]), providers=["CPUExecutionProvider"])
    app.prepare(ctx_id=0, det_size=(640, 640))

    def read(image: RgbImage) -> Any:
        found = app.get(image[:, :, ::-1])
        if not found:
            return None
        return max(found, key=lambda face: float(np.prod(face.bbox[2:] - face.bbox[:2]))).normed_embedding

    return read


def _skin(faced: Sequence[tuple[Path, Any]], rounds: int) -> tuple[list[Any], list[Any]]:
    from benchmarks.skin_battery.plain_skimage import KEPT
    from evals.images import read_image
    from evals.skin_realism_eval import texture_features
    from evals.skin_region import SkinRegion, find_skin

    def plain(region: SkinRegion) -> dict[str, float | None]:
        return {name: feature(region.crop, region.mask, region.distance) for name, feature in KEPT.items()}

    def run(features: Callable[[SkinRegion], dict[str, float | None]]) -> tuple[float, list[Any]]:
        seconds, found = 0.0, []
        for path, points in faced:
            image = read_image(path)
            started = time.perf_counter()
            region = find_skin(image, points)
            found.append(None if isinstance(region, str) else features(region))
            seconds += time.perf_counter() - started
        return seconds, found

    return interleaved(lambda _: run(texture_features), lambda _: run(plain), rounds)


def _smallest_cosine(ours: Sequence[Any], theirs: Sequence[Any]) -> float | None:
    pairs = [(one, two) for one, two in zip(ours, theirs, strict=True) if one is not None or two is not None]
    if not pairs or any(one is None or two is None for one, two in pairs):
        return None
    return min(float(np.dot(one, two)) for one, two in pairs)


def _largest_differences(ours: Sequence[Any], theirs: Sequence[Any]) -> dict[str, float | None]:
    values: list[float] = []
    shares: list[float] = []
    for one, two in zip(ours, theirs, strict=True):
        for name in one or {}:
            if (one[name] is None) != (two[name] is None):
                return {"difference": None, "share_difference": None}
            if one[name] is None:
                continue
            if name == PATTERNS:
                shares.append(abs(math.exp(one[name]) - math.exp(two[name])))
            else:
                values.append(abs(one[name] - two[name]))
    return {"difference": max(values, default=None), "share_difference": max(shares, default=None)}


if __name__ == "__main__":
    print(json.dumps(_main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))))
