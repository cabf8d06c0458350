"""Measuring images as lifeos does it against one image at a time with insightface and plain scikit-image calls.

Both sides have every core, the same pictures and, for faces, the same weights (``benchmarks.insightface_pack``).
``python -m benchmarks.metrics JOB.json`` times both ways of one comparison in one process, in turn.
"""

import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.comparison import Context, Pair, UnmeasuredError, in_turn
from benchmarks.insightface_pack import write_pack
from benchmarks.overhead import run_child
from evals.images import RgbImage
from lifeos.errors import InputError
from lifeos.persona import load_persona

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
FACES, SKIN, EVERYTHING = "faces", "skin", "everything"
IMAGES = 1000


def faces_pair(context: Context, number: int) -> Pair:
    """Time detection and embedding of pictures of 512 pixels, files opened by both.

    Raises:
        UnmeasuredError: the embeddings of one image are not the same.
    """
    return faces_of(_answer(context, number, FACES))


def skin_pair(context: Context, number: int) -> Pair:
    """Time the features of skin realism, finding the skin included, on those pictures that show a face.

    Raises:
        UnmeasuredError: the features are not the same.
    """
    return skin_of(_answer(context, number, SKIN))


def everything_pair(context: Context, number: int) -> Pair:
    """Time all that is measured on a picture against our own faces alone, the least that any judge of likeness does."""
    answer = _answer(context, number, EVERYTHING)
    return Pair(answer["ours"], answer["theirs"], details={"images": answer["images"]})


def faces_of(answer: dict[str, Any]) -> Pair:
    """Return the pair of an answer with ``ours``, ``theirs``, ``images`` and ``cosine``.

    ``cosine`` is the smallest between two embeddings of one image, None where one side alone saw a face.

    Raises:
        UnmeasuredError: the embeddings are not the same.
    """
    cosine = answer["cosine"]
    if cosine is None or not cosine >= SMALLEST_COSINE:
        told = "one side alone saw a face" if cosine is None else f"the embeddings agree to a cosine of {cosine:.3f}"
        raise UnmeasuredError(f"{told}, not the same values")
    return Pair(answer["ours"], answer["theirs"], details={"images": answer["images"], "cosine": cosine})


def skin_of(answer: dict[str, Any]) -> Pair:
    """Return the pair of an answer with ``ours``, ``theirs``, ``images``, ``difference`` and ``share_difference``.

    Those are the largest between two values of one feature, and of the share of patterns; None where one side alone
    has a value.

    Raises:
        UnmeasuredError: the values are not the same.
    """
    difference, share = answer["difference"], answer["share_difference"]
    if difference is None or share is None:
        raise UnmeasuredError("one side alone has a value, not the same values")
    if not (difference <= LARGEST_DIFFERENCE and share <= LARGEST_SHARE_DIFFERENCE):
        told = f"values differ by up to {difference:.2g}, shares of patterns by {share:.2g}"
        raise UnmeasuredError(f"{told}, not the same values")
    details = {"images": answer["images"], "difference": difference, "share_difference": share}
    return Pair(answer["ours"], answer["theirs"], details=details)


def _answer(context: Context, number: int, what: str) -> dict[str, Any]:
    loaded = load_persona(context.persona, context.root)
    folders, pictures = [loaded.references, loaded.dataset], context.folder / "pictures"
    if not pictures.exists():
        write_pictures(folders, context.images or IMAGES, pictures)
    folder = context.folder / str(number)
    folder.mkdir()
    job = {"pictures": str(pictures), "faces": str(loaded.face_folder.absolute()), "what": what, "number": number,
           "folder": str(folder)}  # fmt: skip
    return run_child("benchmarks.metrics", job, folder, context.root)[1]


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
    from evals.faces import measure_face
    from evals.images import read_image
    from lifeos.engine import open_faces
    from lifeos.measure import Measurements
    from lifeos.processor import on_all_cores

    folder, number = Path(job["folder"]), job["number"]
    paths = sorted(Path(job["pictures"]).glob("*.png"))
    backend = open_faces("yunet_sface", Path(job["faces"]))

    def faces() -> tuple[float, list[Any]]:
        started = time.perf_counter()
        found = list(on_all_cores(lambda path: measure_face(backend, read_image(path)), paths))
        return time.perf_counter() - started, found

    def everything() -> float:
        measurements = Measurements(folder / "artifacts", lambda: backend, "benchmark")
        started = time.perf_counter()
        measurements.of_all(paths, lambda *_: None, "benchmark")
        return time.perf_counter() - started

    # The first touch of every kernel belongs to neither.
    measure_face(backend, read_image(paths[0]))
    if job["what"] == EVERYTHING:
        seconds, (their_seconds, _) = in_turn(everything, faces, number)
        return {"ours": seconds, "theirs": their_seconds, "images": len(paths)}
    if job["what"] == SKIN:
        faced = [(path, one.faces[0].points) for path, one in zip(paths, faces()[1], strict=True) if one.faces]
        ours, plain = _skin(faced, number)
        return {"ours": ours[0], "theirs": plain[0], "images": sum(features is not None for features in ours[1]),
                **_largest_differences(ours[1], plain[1])}  # fmt: skip
    theirs = _insightface(write_pack(Path(job["faces"]), folder / "insightface" / "models" / "same_weights"))
    theirs(read_image(paths[0]))

    def one_at_a_time() -> tuple[float, list[Any]]:
        started = time.perf_counter()
        found = [theirs(read_image(path)) for path in paths]
        return time.perf_counter() - started, found

    own, insight = in_turn(faces, one_at_a_time, number)
    return {"ours": own[0], "theirs": insight[0], "images": len(paths),
            "cosine": _smallest_cosine([one.embedding for one in own[1]], insight[1])}  # fmt: skip


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


def _skin(faced: Sequence[tuple[Path, Any]], number: int) -> tuple[tuple[float, list[Any]], tuple[float, list[Any]]]:
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

    return in_turn(lambda: run(texture_features), lambda: run(plain), number)


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
