"""Training images and their captions, read and checked before anything heavy is imported."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evals.content_hash import hash_file, hash_json
from lifeos.errors import InputError

if TYPE_CHECKING:
    from lifeos.lora.recipe import Recipe

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


def image_files(folder: Path) -> list[Path]:
    """Return the images of a folder by name; an absent folder has none."""
    if not folder.is_dir():
        return []
    return sorted((path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES), key=lambda p: p.name)


def pictures_below(folder: Path) -> list[Path]:
    """Return the images of a training folder and of its subfolders, which a recipe may train on (``repeats``)."""
    if not folder.is_dir():
        return []
    inner = sorted((entry for entry in folder.iterdir() if entry.is_dir()), key=lambda entry: entry.name)
    return [*image_files(folder), *(image for each in inner for image in image_files(each))]


@dataclass(frozen=True)
class Example:
    """One training image.

    Args:
        image: path of the picture.
        caption: its text, stripped, on one line.
        image_hash: SHA-256 of the picture file.
        repeats: how often it stands in one pass over the dataset.
        prior: True for a picture of the class, False for one of the persona.
        mask: path of its mask; None where the recipe names no folder of masks.
        mask_hash: SHA-256 of that file.
    """

    image: Path
    caption: str
    image_hash: str
    repeats: int = 1
    prior: bool = False
    mask: Path | None = None
    mask_hash: str | None = None


def read_examples(recipe: "Recipe") -> list[Example]:
    """Read every picture that a recipe trains on: the dataset with its masks, then the pictures of ``prior``.

    Raises:
        InputError: what ``read_dataset`` and ``read_prior`` raise, a mask is absent, or a picture of the class is one
            of the persona's.
    """
    examples = read_dataset(recipe.dataset, recipe.trigger, recipe.repeats)
    if recipe.mask is not None and recipe.mask.folder is not None:
        masks = recipe.mask.folder
        examples = [_with_mask(example, masks / example.image.relative_to(recipe.dataset)) for example in examples]
    if recipe.prior is None:
        return examples
    others = read_prior(recipe.prior.folder, recipe.prior.caption, recipe.trigger)
    own = {example.image_hash: example.image for example in examples}
    for other in others:
        if other.image_hash in own:
            raise InputError(f"{other.image}: accepted a picture of somebody else of the class, got the training image "
                             f"{own[other.image_hash].name}; next: remove {other.image.name} from prior.folder")
    return examples + others


def read_dataset(folder: Path, trigger: str, repeats: int | Mapping[str, int] = 1) -> list[Example]:
    """Read a dataset folder: ``0001.png`` with ``0001.txt`` beside it; pictures are hashed, not decoded.

    Args:
        folder: where pictures (png, jpg, jpeg, webp) and captions lie.
        trigger: the word that every caption holds exactly once, as a word of its own.
        repeats: how often each picture stands in one pass. A number: pictures lie in ``folder`` and its subfolders are
            not read. A table: pictures lie in the subfolders that it names, and nowhere else.

    Returns:
        Examples in the order of their file names, subfolder by subfolder.

    Raises:
        InputError: the folder is absent or holds no picture, two pictures share a caption file, a caption is absent,
            empty, not UTF-8, or does not hold the trigger exactly once, or pictures lie where ``repeats`` names no
            subfolder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: accepted a folder of training images, got none there; next: check dataset")
    if isinstance(repeats, int):
        return [replace(example, repeats=repeats) for example in _read_folder(folder, trigger, "check dataset")]
    holding = [inner for inner in sorted(folder.iterdir()) if inner.is_dir() and image_files(inner)]
    forgotten = [*image_files(folder), *(inner for inner in holding if inner.name not in repeats)]
    if forgotten:
        raise InputError(f"{folder}: accepted pictures in the subfolders of repeats ({', '.join(sorted(repeats))}), "
                         f"got {len(forgotten)} beside them, first {forgotten[0].name}; next: move them or name their "
                         "folder in repeats")
    return [replace(example, repeats=repeats[name]) for name in sorted(repeats)
            for example in _read_folder(folder / name, trigger, f"check repeats, which names {name}")]


def read_prior(folder: Path, caption: str | None, trigger: str) -> list[Example]:
    """Read the pictures of a class, other people than the persona.

    Args:
        folder: where pictures lie; subfolders are not read.
        caption: of every one of them; None: the caption file beside each.
        trigger: the word that no caption may hold.

    Raises:
        InputError: as ``read_dataset``, or a caption holds the trigger.
    """
    examples = []
    for image in _pictures(Path(folder), "check prior.folder"):
        text = _read_caption(image.with_suffix(".txt")) if caption is None else caption
        if trigger_count(text, trigger):
            raise InputError(f"{image}: accepted a caption without the trigger {trigger!r}, got {text!r:.80}; next: "
                             f"edit {image.stem}.txt, or keep the persona's pictures out of prior.folder")
        examples.append(Example(image, text, hash_file(image), prior=True))
    return examples


def dataset_hash(examples: Sequence[Example]) -> str:
    """Return one SHA-256 over pictures, captions, masks and repeats in order; file names do not enter."""
    return hash_json([_hashed(example) for example in examples])


def read_picture(image: Path) -> Any:
    """Decode one picture upright and return a PIL image in RGB.

    Raises:
        InputError: the file is no readable picture.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(image) as opened:
            return ImageOps.exif_transpose(opened).convert("RGB")
    except (OSError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        what = "something else" if isinstance(error, UnidentifiedImageError) else str(error)
        raise InputError(f"{image}: accepted a picture, got {what}; next: replace the file") from error


def read_size(image: Path) -> tuple[int, int]:
    """Return (width, height) of a picture as it stands upright, from its head alone.

    Raises:
        InputError: the file is no readable picture.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(image) as opened:
            width, height = opened.size
            # https://exiftool.org/TagNames/EXIF.html: orientations 5 to 8 lie on their side.
            return (height, width) if opened.getexif().get(0x0112, 1) in (5, 6, 7, 8) else (width, height)
    except (OSError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise InputError(f"{image}: accepted a picture, got {error}; next: replace the file") from error


def fit_picture(picture: Any, width: int, height: int) -> Any:
    """Return a PIL image cut to the middle and resized to ``width`` x ``height`` where its size differs."""
    from PIL import Image, ImageOps

    if picture.size == (width, height):
        return picture
    return ImageOps.fit(picture, (width, height), Image.Resampling.LANCZOS)


def read_pixels(image: Path, width: int, height: int) -> Any:
    """Decode one picture to ``uint8 [height, width, 3]`` RGB, cut to the middle and resized where the size differs.

    Raises:
        InputError: the file is no readable picture.
    """
    import numpy as np

    return np.asarray(fit_picture(read_picture(image), width, height), dtype=np.uint8)


def trigger_count(text: str, trigger: str) -> int:
    """Return how often the trigger stands in a text as a word of its own."""
    # An accent may be a letter's own or a sign behind it; tokenizers bring both to the first form.
    text, word = unicodedata.normalize("NFC", text), unicodedata.normalize("NFC", trigger)
    return len(re.findall(rf"(?<!\w){re.escape(word)}(?!\w)", text))


def _read_folder(folder: Path, trigger: str, check: str) -> list[Example]:
    examples = []
    for image in _pictures(folder, check):
        path = image.with_suffix(".txt")
        caption = _read_caption(path)
        count = trigger_count(caption, trigger)
        if count != 1:
            raise InputError(f"{path}: accepted the trigger {trigger!r} exactly once, got it {count} times; "
                             f"next: edit {path.name}")
        examples.append(Example(image, caption, hash_file(image)))
    return examples


def _pictures(folder: Path, check: str) -> list[Path]:
    images = image_files(folder)
    if not images:
        raise InputError(f"{folder}: accepted images ({', '.join(IMAGE_SUFFIXES)}), got none; next: {check}")
    stems = [image.stem for image in images]
    if len(set(stems)) < len(stems):
        twice = next(stem for stem in stems if stems.count(stem) > 1)
        raise InputError(f"{folder}: accepted one image a caption, got two named {twice}; next: remove one")
    return images


def _with_mask(example: Example, beside: Path) -> Example:
    mask = beside.with_suffix(".png")
    if not mask.is_file():
        raise InputError(f"{mask}: accepted a mask for {example.image.name}, got none; next: draw it, or drop "
                         "mask.folder to have faces detected")
    return replace(example, mask=mask, mask_hash=hash_file(mask))


def _hashed(example: Example) -> list[Any]:
    # What came later enters only where it stands away from its default: LoRAs from before it keep their hash.
    said: dict[str, Any] = {}
    if example.repeats != 1:
        said["repeats"] = example.repeats
    if example.prior:
        said["prior"] = True
    if example.mask_hash is not None:
        said["mask"] = example.mask_hash
    return [example.image_hash, example.caption, *([said] if said else [])]


def _read_caption(path: Path) -> str:
    try:
        caption = " ".join(path.read_text(encoding="utf-8").split())
    except FileNotFoundError as error:
        raise InputError(f"{path}: accepted a caption beside its image, got none; next: write {path.name}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: accepted a UTF-8 caption, got {error}; next: rewrite {path.name}") from error
    if not caption:
        raise InputError(f"{path}: accepted a caption, got an empty file; next: write {path.name}")
    return caption
