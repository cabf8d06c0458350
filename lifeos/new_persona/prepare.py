"""Photographs to pictures that are fit to be trained on and judged against, one at a time; the others with a reason."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifeos.errors import InputError
from lifeos.new_persona.moments import Shot
from lifeos.new_persona.photograph import RAW_SUFFIXES, SUFFIXES, Photograph, UnfitPhotographError, read_photograph
from lifeos.progress import Progress

if TYPE_CHECKING:
    from evals.faces import FaceBackend
    from evals.images import RgbImage
    from lifeos.lora.dataset_lint.finding import Finding
    from lifeos.lora.dataset_lint.image_facts import ImageFacts

Size = tuple[int, int]
# Larger pictures are scaled down to this many times the trained size: at four times, a face whose eyes lie a twentieth
# of the width apart can still be cut out for judging skin without being enlarged.
LARGEST_SCALE = 4
STAGE = "reading photographs"
_QUIET_SUFFIXES = (".ini", ".db")


@dataclass(frozen=True)
class LeftOut:
    """A file that is not taken, and why."""

    name: str
    reason: str


@dataclass(frozen=True, eq=False)
class Prepared:
    """A picture that is fit.

    Args:
        name: of the photograph.
        path: the PNG that was made of it.
        shot: what it is compared with others by.
        changes: what was done to its pixels: words of ``Photograph.changes``, ``cropped``, ``scaled down``.
    """

    name: str
    path: Path
    shot: Shot
    changes: frozenset[str]


@dataclass(frozen=True)
class Looking:
    """How a picture is looked at.

    Args:
        size: width, height that is trained.
        facts: facts of a written PNG (``FactsCache.of``).
        measure: record of a written PNG (``Measurements.of``); None where faces are not looked at.
        backend: opens the face models; called only with ``measure``.
    """

    size: Size
    facts: "Callable[[Path], ImageFacts]"
    measure: Callable[[Path], Mapping[str, Any]] | None
    backend: "Callable[[], FaceBackend]"


def list_photographs(folder: Path) -> tuple[list[Path], list[LeftOut]]:
    """Return the photographs of a folder by name, and what else lies there; hidden files are passed over.

    Raises:
        InputError: the folder cannot be listed.
    """
    try:
        entries = sorted((entry for entry in folder.iterdir() if entry.name[0] != "."), key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(f"{folder}: accepted a folder to list, got {error.strerror}; next: see its rights") from error
    photographs, left_out, others = [], [], Counter[str]()
    for entry in entries:
        suffix = entry.suffix.lower()
        if entry.is_dir():
            left_out.append(LeftOut(f"{entry.name}/", "a folder: move its photographs up, or make a persona of it"))
        elif suffix in SUFFIXES + RAW_SUFFIXES:
            photographs.append(entry)
        elif suffix not in _QUIET_SUFFIXES:
            others[suffix or "no suffix"] += 1
    if others:
        kinds = ", ".join(f"{count} {suffix}" for suffix, count in sorted(others.items()))
        left_out.append(LeftOut(f"{others.total()} other files", f"no photographs by name: {kinds}"))
    return photographs, left_out


def prepare(
    photographs: Sequence[Path], work: Path, looking: Looking, progress: Progress
) -> tuple[list[Prepared], list[LeftOut]]:
    """Make a PNG of each photograph that is fit.

    Upright, opaque, 8-bit sRGB, cut to the trained shape around the face, without metadata. What the dataset lint would
    block is left out here, by the same rules.

    Args:
        photographs: files, read one at a time.
        work: folder that the pictures are written to.
        looking: how they are looked at.
        progress: called with (stage, done, total).

    Raises:
        InputError: the face models cannot be opened.
        OSError: ``work`` cannot be written.
    """
    prepared, left_out = [], []
    for number, path in enumerate(photographs, 1):
        try:
            prepared.append(_prepare(path, work / f"{number:05}.png", looking))
        except UnfitPhotographError as error:
            left_out.append(LeftOut(path.name, str(error)))
        progress(STAGE, number, len(photographs))
    return prepared, left_out


def _prepare(path: Path, target: Path, looking: Looking) -> Prepared:
    import numpy as np

    from evals.atomic import write_bytes
    from lifeos.lora.sample import encode_png

    photograph = read_photograph(path)
    picture, changes = _framed(photograph, looking)
    write_bytes(target, encode_png(picture), durable=False)
    try:
        embedding = _check(target, looking)
    except UnfitPhotographError:
        target.unlink()
        raise
    facts = looking.facts(target)
    shot = Shot(
        photograph.digest, str(facts.pixels), facts.signature_values().astype(np.float16), embedding, photograph.taken,
        photograph.pixels.shape[0] * photograph.pixels.shape[1],
    )  # fmt: skip
    return Prepared(path.name, target, shot, photograph.changes | changes)


def _framed(photograph: Photograph, looking: Looking) -> "tuple[RgbImage, frozenset[str]]":
    """Cut to the trained shape, around the one face where faces are looked at; training would cut to the middle."""
    from evals.faces import measure_face
    from evals.faces.framing import cut, face_middle, largest_box

    height, width = photograph.pixels.shape[:2]
    middle = None
    if looking.measure is not None:
        found = measure_face(looking.backend(), photograph.pixels)
        if len(found.faces) != 1:
            raise UnfitPhotographError(_faces(len(found.faces), found.reason))
        middle = face_middle(found.faces[0].points)
    box = largest_box((width, height), looking.size, middle)
    own = (box[2] - box[0], box[3] - box[1])
    most = (looking.size[0] * LARGEST_SCALE, looking.size[1] * LARGEST_SCALE)
    changes = {"cropped"} if own != (width, height) else set()
    if own[0] > most[0]:
        return cut(photograph.pixels, box, most), frozenset({*changes, "scaled down"})
    return cut(photograph.pixels, box, own), frozenset(changes)


def _check(target: Path, looking: Looking) -> Any:
    """Hold a picture to the rules of the dataset lint; return its face's embedding, f32[d], or None."""
    import numpy as np

    from lifeos.lora.dataset_lint.faces import face_findings
    from lifeos.lora.dataset_lint.images import image_findings
    from lifeos.lora.dataset_lint.rules import SOFT_GATES

    found = image_findings(target, looking.facts(target), [looking.size])
    hard = [finding for finding in found if finding.gate not in SOFT_GATES]
    if hard:
        raise UnfitPhotographError(_reason(hard[0], looking.size))
    if looking.measure is None:
        return None
    record = looking.measure(target)
    faces = face_findings(target, record, [looking.size])
    if faces:
        raise UnfitPhotographError(_reason(faces[0], looking.size))
    return np.asarray(record["embedding"], dtype=np.float32)


def _reason(finding: "Finding", size: Size) -> str:
    trained = f"{size[0]} x {size[1]}"
    if finding.rule == "image_small":
        own = finding.got.split(",")[0]
        return f"{own} in the trained shape, smaller than the trained {trained}: take a larger original"
    if finding.rule == "image_blank":
        return "one colour"
    if finding.rule == "face_small":
        return f"the face is too small at {trained} ({finding.got}): crop it closer"
    if finding.rule in ("face_none", "face_several"):
        return f"{finding.got} in the trained shape: crop it around the face"
    return f"{finding.got}, accepted is {finding.accepted}"


def _faces(count: int, reason: str | None) -> str:
    if count > 1:
        return f"{count} faces: crop it to one"
    return str(reason or "no face found")
