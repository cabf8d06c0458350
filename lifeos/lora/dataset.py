"""Training images and their captions, read and checked before anything heavy is imported."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals.content_hash import hash_file, hash_json
from lifeos.errors import InputError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


def image_files(folder: Path) -> list[Path]:
    """Return the images of a folder by name; an absent folder has none."""
    if not folder.is_dir():
        return []
    return sorted((path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES), key=lambda p: p.name)


@dataclass(frozen=True)
class Example:
    """One training image.

    Args:
        image: path of the picture.
        caption: its text, stripped, on one line.
        image_hash: SHA-256 of the picture file.
    """

    image: Path
    caption: str
    image_hash: str


def read_dataset(folder: Path, trigger: str) -> list[Example]:
    """Read a dataset folder: ``0001.png`` with ``0001.txt`` beside it; pictures are hashed, not decoded.

    Args:
        folder: where pictures (png, jpg, jpeg, webp) and captions lie; subfolders are not read.
        trigger: the word that every caption holds exactly once, as a word of its own.

    Returns:
        Examples in the order of their file names.

    Raises:
        InputError: the folder is absent or holds no picture, two pictures share a caption file, a caption is absent,
            empty, not UTF-8, or does not hold the trigger exactly once.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: accepted a folder of training images, got none there; next: check dataset")
    images = image_files(folder)
    if not images:
        raise InputError(f"{folder}: accepted images ({', '.join(IMAGE_SUFFIXES)}), got none; next: check dataset")
    stems = [image.stem for image in images]
    if len(set(stems)) < len(stems):
        twice = next(stem for stem in stems if stems.count(stem) > 1)
        raise InputError(f"{folder}: accepted one image a caption, got two named {twice}; next: remove one")
    return [Example(image, _read_caption(image.with_suffix(".txt"), trigger), hash_file(image)) for image in images]


def dataset_hash(examples: Sequence[Example]) -> str:
    """Return one SHA-256 over pictures and captions in order; file names do not enter."""
    return hash_json([[example.image_hash, example.caption] for example in examples])


def read_pixels(image: Path, width: int, height: int) -> Any:
    """Decode one picture to ``uint8 [height, width, 3]`` RGB, cut to the middle and resized where the size differs.

    Raises:
        InputError: the file is no readable picture.
    """
    import numpy as np
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(image) as opened:
            picture = ImageOps.exif_transpose(opened).convert("RGB")
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        what = "something else" if isinstance(error, UnidentifiedImageError) else str(error)
        raise InputError(f"{image}: accepted a picture, got {what}; next: replace the file") from error
    if picture.size != (width, height):
        picture = ImageOps.fit(picture, (width, height), Image.Resampling.LANCZOS)
    return np.asarray(picture, dtype=np.uint8)


def _read_caption(path: Path, trigger: str) -> str:
    try:
        caption = " ".join(path.read_text(encoding="utf-8").split())
    except FileNotFoundError as error:
        raise InputError(f"{path}: accepted a caption beside its image, got none; next: write {path.name}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: accepted a UTF-8 caption, got {error}; next: rewrite {path.name}") from error
    if not caption:
        raise InputError(f"{path}: accepted a caption, got an empty file; next: write {path.name}")
    count = len(re.findall(rf"(?<!\w){re.escape(trigger)}(?!\w)", caption))
    if count != 1:
        raise InputError(f"{path}: accepted the trigger {trigger!r} exactly once, got it {count} times; "
                         f"next: edit {path.name}")
    return caption
