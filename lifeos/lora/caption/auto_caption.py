"""A folder of pictures to captions: measured or asked of a model, composed by the rules, written beside them."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from evals.atomic import write_json
from evals.content_hash import hash_bytes
from lifeos.errors import InputError
from lifeos.lora.caption.rules import CaptionRules, Composed, Removed
from lifeos.lora.caption.sidecars import Sidecar, Status, plan_sidecars, write_sidecar
from lifeos.lora.dataset_lint.captions import read_captions
from lifeos.lora.dataset_lint.folder import DatasetFolder
from lifeos.progress import Progress, silent

if TYPE_CHECKING:
    from evals.expression_reader import ExpressionReader
    from evals.images import RgbImage
    from lifeos.lora.caption.attributes import Attributes

MEASURING, ASKING, WRITING = "measuring pictures", "asking the model", "writing captions"


@dataclass(frozen=True)
class Draft:
    """What a backend gave for one picture.

    Args:
        raw: its text, before any rule.
        missing: why an attribute was not measured, by kind.
        faceless: why nothing of the face was measured, else empty.
    """

    raw: str
    missing: Mapping[str, str] = field(default_factory=dict)
    faceless: str = ""


@dataclass(frozen=True)
class Drafts:
    """What a backend gave for a folder.

    Args:
        made: by picture.
        refused: why there is none, by picture.
        constant: what every picture shows and no caption says, by kind.
    """

    made: dict[Path, Draft]
    refused: dict[Path, str]
    constant: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """One picture in the review.

    Args:
        image: the picture.
        status: what became of its caption file; ``to write`` in a dry run.
        caption: the text written, to write or kept; None where there is none to show.
        raw: of the backend.
        missing: why an attribute was not measured, by kind.
        removed: parts that are no caption, and why.
        reason: why it was refused, or why nothing of the face was measured.
    """

    image: Path
    status: Status
    caption: str | None
    raw: str = ""
    missing: Mapping[str, str] = field(default_factory=dict)
    removed: tuple[Removed, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class AutoCaption:
    """The whole folder: a row a picture, and what every picture shows."""

    rows: list[Row]
    constant: dict[str, str]

    @property
    def complete(self) -> bool:
        """Whether no picture was refused or left without a look at its face."""
        return not any(row.reason for row in self.rows)


class TextCaptioner(Protocol):
    """A model that answers in words."""

    def identity(self) -> str:
        """Return a hash of everything that its text depends on besides the picture."""
        ...

    def describe(self, image: "RgbImage") -> str:
        """Return its text for one picture uint8 RGB ``[h, w, 3]``."""
        ...


Backend = Callable[[Sequence[Sidecar], Progress], Drafts]


def auto_caption(
    folder: Path, rules: CaptionRules, backend: Backend, *, force: bool, write: bool, progress: Progress = silent
) -> AutoCaption:
    """Caption the pictures of a folder; what a caption leaves out is decided over the folder, so all are made first.

    Args:
        folder: pictures; captions lie beside them.
        rules: of the persona.
        backend: gives a text for each picture.
        force: replace captions that are there.
        write: False shows what would be written.
        progress: called with (stage, done, total).

    Raises:
        InputError: as ``plan_sidecars``, or the backend cannot be opened; nothing is written then.
    """
    planned = plan_sidecars(folder, force=force)
    drafts = backend([sidecar for sidecar in planned if sidecar.status != "refused"], progress)
    there = [sidecar.image for sidecar in planned if sidecar.status == "kept"]
    kept, _ = read_captions(DatasetFolder(folder, images=tuple(there)))
    others = [caption.text for image, caption in kept.items() if image not in drafts.made]
    composed = dict(
        zip(
            drafts.made,
            rules.without_constants([rules.compose(draft.raw) for draft in drafts.made.values()], others),
            strict=True,
        )
    )
    rows = []
    for number, sidecar in enumerate(planned, 1):
        image = sidecar.image
        row = _row(sidecar, drafts, composed.get(image))
        if row.status == "kept":
            row = replace(row, caption=kept[image].text if image in kept else None)
        elif row.status == "to write" and write and row.caption is not None:
            status, reason = write_sidecar(sidecar, row.caption, force=force)
            row = replace(row, status=status, reason=reason if status == "refused" else row.reason)
        rows.append(row)
        progress(WRITING, number, len(planned))
    return AutoCaption(rows, drafts.constant)


def measured_backend(
    record_of: Callable[[Path], Mapping[str, Any]], reader: "ExpressionReader | None", *, rendered: bool
) -> Backend:
    """Return the backend that needs no model but the judge's face models.

    Args:
        record_of: gives the record of an image (``lifeos.measure.Measurements.of``).
        reader: of expressions.
        rendered: as ``measure_attributes``.
    """

    def backend(sidecars: Sequence[Sidecar], progress: Progress) -> Drafts:
        from lifeos.lora.caption.measured import phrases_of_folder

        made: dict[Path, Attributes] = {}
        faceless: dict[Path, str] = {}
        refused: dict[Path, str] = {}
        for number, sidecar in enumerate(sidecars, 1):
            pixels = _pixels(sidecar.image, refused)
            if pixels is not None:
                record = record_of(sidecar.image)
                reason = _faceless(record)
                made[sidecar.image] = _measured(pixels, record, reason, reader, rendered=rendered)
                faceless[sidecar.image] = reason
            progress(MEASURING, number, len(sidecars))
        found = phrases_of_folder(list(made.values()))
        drafts = {
            image: Draft(", ".join(phrases), attributes.missing, faceless[image])
            for (image, attributes), phrases in zip(made.items(), found.phrases, strict=True)
        }
        return Drafts(drafts, refused, found.constant)

    return backend


def text_backend(captioner: TextCaptioner, artifacts: Path) -> Backend:
    """Return the backend that asks a model; its text for a picture is remembered below ``artifacts/captions``.

    A picture whose caption is kept is not asked about. Where it was before (a run that was killed while it wrote), its
    text counts again for what every picture says.
    """

    def backend(sidecars: Sequence[Sidecar], progress: Progress) -> Drafts:
        made: dict[Path, Draft] = {}
        refused: dict[Path, str] = {}
        if all(sidecar.status == "kept" for sidecar in sidecars):
            return Drafts(made, refused)
        memory = artifacts / "captions" / captioner.identity()[:32]
        for number, sidecar in enumerate(sidecars, 1):
            image = sidecar.image
            pixels = _pixels(image, refused)
            if pixels is not None:
                known = _memory_of(memory, pixels)
                text = _remembered(known)
                try:
                    if text is None and sidecar.status == "to write":
                        text = captioner.describe(pixels)
                        write_json(known, {"text": text})
                # What torch raises where memory ends: the next picture may be smaller.
                except RuntimeError as error:
                    refused[image] = f"the model gave up: {' '.join(str(error).split())[:120]}"
                if text is not None:
                    made[image] = Draft(text)
            progress(ASKING, number, len(sidecars))
        return Drafts(made, refused)

    return backend


def _row(sidecar: Sidecar, drafts: Drafts, composed: Composed | None) -> Row:
    image = sidecar.image
    if reason := sidecar.reason or drafts.refused.get(image, ""):
        status: Status = "kept" if sidecar.status == "kept" else "refused"
        return Row(image, status, None, reason=reason)
    if composed is None:
        return Row(image, sidecar.status, None)
    draft = drafts.made[image]
    return Row(image, sidecar.status, composed.text, draft.raw, draft.missing, composed.removed, draft.faceless)


def _pixels(image: Path, refused: dict[Path, str]) -> "RgbImage | None":
    from evals.images import read_image

    try:
        return read_image(image)
    except InputError as error:
        why = str(error).split(": ", 1)[-1].split("; next:", 1)[0]
        # Pillow names the place in memory, which differs from run to run.
        refused[image] = re.sub(r" <_io\.BytesIO[^>]*>", "", why)
        return None


def _faceless(record: Mapping[str, Any]) -> str:
    count = int(record["faces"])
    if count == 1:
        return ""
    return f"{count} faces: whose is meant is not known" if count else str(record.get("reason") or "no face found")


def _measured(
    pixels: "RgbImage",
    record: Mapping[str, Any],
    faceless: str,
    reader: "ExpressionReader | None",
    *,
    rendered: bool,
) -> "Attributes":
    import numpy as np

    from lifeos.lora.caption.attributes import measure_attributes

    if faceless:
        return measure_attributes(pixels, None, None, faceless, rendered=rendered)
    points = np.asarray(record["points"][0], dtype=np.float32)
    return measure_attributes(pixels, points, record["boxes"][0], None, reader, rendered=rendered)


def _memory_of(memory: Path, pixels: "RgbImage") -> Path:
    digest = hash_bytes(repr(pixels.shape).encode("ascii") + pixels.tobytes())
    return memory / digest[:2] / f"{digest}.json"


def _remembered(known: Path) -> str | None:
    try:
        return str(json.loads(known.read_text(encoding="utf-8"))["text"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
