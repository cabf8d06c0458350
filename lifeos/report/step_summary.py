"""A release as the short Markdown that a build server shows under a run, and the picture of its worst pairs."""

import io
import re

from lifeos.report.figure import figure
from lifeos.report.page import MISSING, SIGNS, WORDS
from lifeos.report.release_data import ReleaseData

PICTURE = "worst-pairs.jpg"
_PAIRS, _SIDE, _QUALITY = 6, 192, 85
_BLOCKING = ("failed", "not_evaluated")
_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~&@:])")


def step_summary(data: ReleaseData, *, with_images: bool = False) -> str:
    """Return the summary: verdict, what blocked and why, the table of gates, where to mend.

    Args:
        data: of the release.
        with_images: whether it shows ``PICTURE``, which must lie beside it; without, no image leaves the machine.
    """
    from evals.where_to_mend import advice

    row = data.row
    lines = [f"## {WORDS[row['verdict']]}: {escaped(str(row['persona']))}", ""]
    blocking = [gate for gate in row["gates"] if gate["severity"] == "hard" and gate["verdict"] in _BLOCKING]
    lines += [f"- {SIGNS[gate['verdict']]} **{escaped(gate['id'])}**: {escaped(gate['reason'])}" for gate in blocking]
    lines += [f"- where to mend: **{found.stage}**: {escaped(found.evidence)}" for found in advice(row)]
    if with_images and any(pair.candidate.data for pair in data.pairs):
        lines += ["", f"![the worst of {len(data.pairs)}, candidate left]({PICTURE})"]
    lines += ["", "| gate | verdict | value | threshold |", "| --- | --- | --- | --- |"]
    for gate in row["gates"]:
        soft = " (soft)" if gate["severity"] == "soft" else ""
        lines.append(
            f"| {escaped(gate['id'])}{soft} | {SIGNS[gate['verdict']]} {gate['verdict'].replace('_', ' ')} "
            f"| {figure(gate['value'], MISSING)} | {figure(gate['threshold'], MISSING)} |"
        )
    return "\n".join([*lines, "", f"Row {escaped(str(row['id']))}", ""])


def worst_pairs(data: ReleaseData) -> bytes | None:
    """Return a JPEG of the worst pairs, candidate left and champion right; None where no image is there."""
    from PIL import Image

    shown = [pair for pair in data.pairs if pair.candidate.data is not None][:_PAIRS]
    if not shown:
        return None
    columns = 2 if any(pair.champion for pair in shown) else 1
    sheet = Image.new("RGB", (columns * _SIDE * 2 + 8, _SIDE * ((len(shown) + 1) // 2)), "white")
    for number, pair in enumerate(shown):
        for side, image in enumerate((pair.candidate, pair.champion)):
            if image is None or image.data is None:
                continue
            with Image.open(io.BytesIO(image.data)) as picture:
                small = picture.convert("RGB").resize((_SIDE, _SIDE))
            sheet.paste(small, ((number % 2) * (columns * _SIDE + 8) + side * _SIDE, (number // 2) * _SIDE))
    buffer = io.BytesIO()
    sheet.save(buffer, format="JPEG", quality=_QUALITY)
    return buffer.getvalue()


def escaped(text: str) -> str:
    """Return a text that Markdown and HTML show as it is, on one line."""
    return _SPECIAL.sub(_entity, " ".join(text.split()))


def _entity(found: re.Match[str]) -> str:
    # An entity is shown as its character and starts nothing: neither markup, nor a mention, nor a link.
    return f"&#{ord(found[0])};"
