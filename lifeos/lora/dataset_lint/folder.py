"""What lies in a dataset folder, by name alone: pictures, captions, and what training would pass over."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from lifeos.errors import InputError
from lifeos.lora.dataset import IMAGE_SUFFIXES
from lifeos.lora.dataset_lint.finding import Finding

PICTURES_NOT_READ = (
    ".heic",
    ".heif",
    ".avif",
    ".gif",
    ".bmp",
    ".tif",
    ".tiff",
    ".jfif",
    ".jxl",
    ".jp2",
    ".raw",
    ".dng",
)


@dataclass(frozen=True)
class DatasetFolder:
    """The files of one folder, sorted by name.

    Args:
        path: the folder.
        images: what training reads.
        captions: text files.
        ignored: pictures of a kind that training passes over.
        subfolders: folders that hold such pictures or images.
    """

    path: Path
    images: tuple[Path, ...] = ()
    captions: tuple[Path, ...] = ()
    ignored: tuple[Path, ...] = ()
    subfolders: tuple[Path, ...] = ()


def read_folder(path: Path, trained: Collection[str] = ()) -> DatasetFolder:
    """List a folder; an absent one is empty.

    Args:
        path: the folder.
        trained: subfolders that training reads, by name; their files count as the folder's own.

    Raises:
        InputError: the folder cannot be listed.
    """
    whole = _list_folder(path)
    if not trained:
        return whole
    inner = [_list_folder(path / name) for name in sorted(trained)]
    return replace(
        whole,
        images=sum((each.images for each in inner), whole.images),
        captions=sum((each.captions for each in inner), whole.captions),
        ignored=sum((each.ignored for each in inner), whole.ignored),
        subfolders=tuple(folder for folder in whole.subfolders if folder.name not in trained),
    )


def _list_folder(path: Path) -> DatasetFolder:
    if not path.is_dir():
        return DatasetFolder(path)
    try:
        entries = sorted(path.iterdir(), key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(f"{path}: accepted a folder to list, got {error.strerror}; next: check its rights") from error
    shown = [entry for entry in entries if not entry.name.startswith(".")]
    folders = {entry for entry in shown if entry.is_dir()}

    def ending(suffixes: tuple[str, ...]) -> tuple[Path, ...]:
        return tuple(file for file in shown if file.suffix.lower() in suffixes and file not in folders)

    return DatasetFolder(
        path,
        # As training lists them: a hidden file (macOS leaves ._0001.png) or a folder of that name stops it.
        images=tuple(entry for entry in entries if entry.suffix.lower() in IMAGE_SUFFIXES),
        captions=ending((".txt",)),
        ignored=ending(PICTURES_NOT_READ),
        subfolders=tuple(folder for folder in sorted(folders) if _holds_pictures(folder)),
    )


def folder_findings(folder: DatasetFolder, of_references: bool = False) -> list[Finding]:
    """Return the pictures that training or judging would pass over."""
    name = folder.path.name
    found = [
        Finding("image_ignored", file, f"a {file.suffix.lower()} file", f"export it as {file.stem}.png instead",
                of_references=of_references)
        for file in folder.ignored
    ]  # fmt: skip
    if not of_references:
        found += [
            Finding(
                "folder_ignored", inner, "pictures in a subfolder", f"move them up into {name}/, or the folder away"
            )
            for inner in folder.subfolders
        ]
    return found


def _holds_pictures(folder: Path) -> bool:
    try:
        return any(entry.suffix.lower() in IMAGE_SUFFIXES + PICTURES_NOT_READ for entry in folder.iterdir())
    except OSError:
        return False
