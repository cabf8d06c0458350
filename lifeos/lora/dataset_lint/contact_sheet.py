"""The contact sheet: every picture small, with its caption and its findings, in one HTML file that needs no other."""

import base64
import contextlib
import io
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from lifeos.lora.dataset_lint.finding import Finding, printable
from lifeos.lora.dataset_lint.lint import DatasetLint
from lifeos.lora.dataset_lint.rules import GATES, SOFT_GATES
from lifeos.progress import Progress, silent

STAGE = "drawing thumbnails"
TEMPLATE = Path(__file__).with_name("contact_sheet.html.j2")
_SIDE, _SMALL_SIDE, _MANY = 200, 112, 1000
_QUALITY = 80


@dataclass(frozen=True)
class Card:
    """One picture of the sheet; texts are printable, not yet HTML.

    Args:
        name: of the file.
        thumbnail: data address of a JPEG, empty where the picture cannot be drawn.
        caption: empty where there is none.
        findings: of the picture and its caption.
        state: ``blocked``, ``advice`` or ``clean``.
        notes: further lines.
    """

    name: str
    thumbnail: str
    caption: str
    findings: tuple[Finding, ...]
    state: str
    notes: tuple[str, ...] = ()


def write_contact_sheet(
    lint: DatasetLint,
    out: Path,
    progress: Progress = silent,
    notes: Mapping[Path, Sequence[str]] = MappingProxyType({}),
) -> None:
    """Write the sheet, one picture at a time; ``out`` is whole or as it was before.

    Names and captions are data: the template escapes them. ``notes`` are further lines below a caption, by image.

    Raises:
        OSError: the folder of ``out`` cannot be written.
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["printable"] = printable
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    images = (lint.dataset.images, lint.references.images)
    side = _SMALL_SIDE if sum(map(len, images)) > _MANY else _SIDE
    shown = {path for group in images for path in group}
    chunks = template.generate(
        title=lint.persona.name,
        verdict=lint.outcome.value,
        gates=[(gate, "soft" if gate in SOFT_GATES else "hard", lint.verdict(gate), len(lint.of_gate(gate)))
               for gate in GATES],
        loose=[finding for finding in lint.findings if not _owners(finding, shown)],
        sections=[("Training images", len(images[0]), _cards(lint, images[0], side, progress, notes)),
                  ("References", len(images[1]), _cards(lint, images[1], side, progress, notes))],
        side=side,
    )  # fmt: skip
    _write_whole(out.absolute(), chunks)


def _cards(
    lint: DatasetLint, images: tuple[Path, ...], side: int, progress: Progress, notes: Mapping[Path, Sequence[str]]
) -> Iterator[Card]:
    by_file: dict[Path, list[Finding]] = {}
    for finding in lint.findings:
        by_file.setdefault(finding.file, []).append(finding)
    for number, path in enumerate(images, 1):
        found = (*by_file.get(path, ()), *by_file.get(path.with_suffix(".txt"), ()))
        blocked = any(finding.gate not in SOFT_GATES for finding in found)
        caption = lint.captions.get(path)
        yield Card(
            name=printable(path.name),
            # A decompression bomb is not unpacked here either.
            thumbnail="" if any(f.rule == "image_unreadable" for f in found) else _thumbnail(path, side),
            caption="" if caption is None else printable(caption.text),
            findings=found,
            state="blocked" if blocked else "advice" if found else "clean",
            notes=tuple(printable(line) for line in notes.get(path, ())),
        )
        progress(STAGE, number, len(images))


def _owners(finding: Finding, images: set[Path]) -> bool:
    """Whether a card shows this finding: its file is an image, or the caption of one."""
    from lifeos.lora.dataset import IMAGE_SUFFIXES

    return finding.file in images or (
        finding.file.suffix == ".txt" and any(finding.file.with_suffix(suffix) in images for suffix in IMAGE_SUFFIXES)
    )


def _thumbnail(path: Path, side: int) -> str:
    from PIL import Image, ImageOps

    from lifeos.lora.srgb import opaque_srgb

    try:
        with warnings.catch_warnings(), Image.open(path) as image:
            warnings.simplefilter("ignore")
            # JPEGs are decoded at a fraction of their size.
            image.draft(None, (2 * side, 2 * side))
            small = opaque_srgb(ImageOps.exif_transpose(image))[0]
            small.thumbnail((side, side))
            encoded = io.BytesIO()
            small.save(encoded, "JPEG", quality=_QUALITY)
    # A file that changed since it was looked at: an empty frame says so.
    except Exception:
        return ""
    return "data:image/jpeg;base64," + base64.b64encode(encoded.getvalue()).decode("ascii")


def _write_whole(out: Path, chunks: Iterator[str]) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=out.parent, prefix=".contact-sheet-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.writelines(chunks)
        os.chmod(temporary, 0o644)
        os.replace(temporary, out)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
