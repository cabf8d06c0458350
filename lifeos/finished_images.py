"""Images that were made elsewhere: which files of a folder are judged, and which prompt each belongs to."""

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

from lifeos.errors import InputError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
TABLE = "images.csv"
_NAMED = re.compile(r"^(?P<prompt>.+)_seed(?P<seed>\d+)$")


@dataclass(frozen=True)
class FinishedImage:
    """One image file with the prompt it stands for (statistics are clustered by it) and its seed."""

    path: Path
    prompt: str
    seed: int


def read_images(folder: Path) -> list[FinishedImage]:
    """List the images of a folder (subfolders are not read) in the order of their names.

    ``images.csv`` with the columns ``file,prompt,seed`` says which prompt an image belongs to; without it the name does
    (``B07_seed3.png``); an image that neither names is a prompt of its own.

    Raises:
        InputError: no image there, or the table is unreadable, lacks a column, repeats a file, names one that is not
            there, leaves one out, or holds a seed that is no whole number.
    """
    folder = Path(folder)
    paths = sorted((path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES), key=lambda path: path.name)
    if not paths:
        accepted = ", ".join(SUFFIXES)
        raise InputError(f"--images {folder}: accepted a folder with images ({accepted}), got none; next: check it")
    table = folder / TABLE
    if table.exists():
        return _from_table(table, paths)
    return [_from_name(path) for path in paths]


def _from_name(path: Path) -> FinishedImage:
    match = _NAMED.match(path.stem)
    if match is None:
        return FinishedImage(path, path.name, 0)
    return FinishedImage(path, match["prompt"], int(match["seed"]))


def _from_table(table: Path, paths: list[Path]) -> list[FinishedImage]:
    try:
        rows = list(csv.DictReader(io.StringIO(table.read_text(encoding="utf-8-sig")), strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{table}: accepted a CSV file, got {error}; next: correct it or remove it") from error
    by_name = {path.name: path for path in paths}
    images: dict[str, FinishedImage] = {}
    for number, row in enumerate(rows, 2):
        name, prompt, seed = (row.get(column) for column in ("file", "prompt", "seed"))
        if not name or not prompt or not (seed or "").isdecimal():
            raise InputError(f"{table}: line {number}: accepted file,prompt,seed, got {row}; next: correct that line")
        if name not in by_name or name in images:
            got = "twice" if name in images else "but it is not in the folder"
            raise InputError(f"{table}: line {number}: accepted each image once, got {name} {got}; next: correct it")
        images[name] = FinishedImage(by_name[name], prompt, int(str(seed)))
    absent = sorted(set(by_name) - set(images))
    if absent:
        raise InputError(f"{table}: accepted a line for every image, got none for {absent[0]}; next: add it")
    return [images[path.name] for path in paths]
