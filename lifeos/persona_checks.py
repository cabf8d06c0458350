"""Is a persona folder fit to be trained and judged: images open, captions fit, one face each, references held out."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from evals.content_hash import hash_bytes
from evals.verdict import Verdict, failed, not_evaluated, passed
from lifeos.errors import InputError

if TYPE_CHECKING:
    from lifeos.persona import Persona

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
FaceCount = Callable[[Path], int]


def persona_verdict(persona: "Persona", count_faces: FaceCount) -> Verdict:
    """Judge a persona folder as a whole.

    Args:
        persona: the loaded persona.
        count_faces: gives the number of faces in an image file.

    Returns:
        Failed with the first finding and the number of all; not evaluated where there is nothing to look at.
    """
    training, references = image_files(persona.dataset), image_files(persona.references)
    for name, files in (("dataset", training), ("references", references)):
        if not files:
            return not_evaluated(f"{persona.folder / name} holds no image")
    pixels, findings = read_pixels([*training, *references])
    findings += caption_findings(persona.dataset, persona.trigger)
    findings += disjoint_findings(training, references, pixels)
    findings += face_findings([path for path in [*training, *references] if path in pixels], count_faces)
    if findings:
        rest = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
        return failed(f"{findings[0]}{rest}", value=len(findings), threshold=0)
    return passed(f"{len(training)} training images and {len(references)} references are sane", value=0, threshold=0)


def image_files(folder: Path) -> list[Path]:
    """Return the images of a folder by name; an absent folder has none."""
    if not folder.is_dir():
        return []
    return sorted((path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES), key=lambda p: p.name)


def read_pixels(paths: Sequence[Path]) -> tuple[dict[Path, str], list[str]]:
    """Open every image; returns the SHA-256 of its pixels (u8 RGB and size) by path, and what cannot be opened."""
    from evals.images import read_image

    hashes, findings = {}, []
    for path in paths:
        try:
            image = read_image(path)
            hashes[path] = hash_bytes(repr(image.shape).encode("ascii") + image.tobytes())
        except InputError as error:
            findings.append(str(error))
    return hashes, findings


def caption_findings(dataset: Path, trigger: str) -> list[str]:
    """Return what is wrong with the captions: one absent or empty, or the trigger not in it exactly once."""
    from lifeos.lora.dataset import read_dataset

    try:
        read_dataset(dataset, trigger)
    except InputError as error:
        return [str(error)]
    return []


def disjoint_findings(training: Sequence[Path], references: Sequence[Path], pixels: Mapping[Path, str]) -> list[str]:
    """Return references whose pixels are those of a training image, whatever the files are called."""
    trained = {pixels[path]: path for path in training if path in pixels}
    return [
        f"references/{path.name} is the training image {trained[pixels[path]].name}: it is not held out"
        for path in references
        if pixels.get(path) in trained
    ]


def face_findings(paths: Sequence[Path], count_faces: FaceCount) -> list[str]:
    """Return images that show no face or more than one."""
    counts = [(path, count_faces(path)) for path in paths]
    return [f"{path.parent.name}/{path.name} shows {count} faces, not one" for path, count in counts if count != 1]
