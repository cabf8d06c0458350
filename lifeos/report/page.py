"""The report: one HTML page of one release that needs no other file and no network."""

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evals.atomic import write_text
from lifeos.report.charts import distribution, history
from lifeos.report.figure import figure
from lifeos.report.release_data import Pair, ReleaseData, Shown

TEMPLATE = Path(__file__).with_name("page.html.j2")
WORDS = {"approved": "APPROVED", "rejected": "REJECTED", "not_evaluated": "NOT EVALUATED"}
SIGNS = {"passed": "✓", "failed": "✗", "not_evaluated": "?", "not_applicable": "–"}
MISSING = "–"
_LARGEST_SIDE, _QUALITY = 512, 88
_PATCHES = 6
_METRICS = ("likeness", "skin_z", "grain", "lattice", "specular", "tone_ita")
_HISTORY = ("likeness", "skin_z", "adherence", "copy_image", "face_count", "grain", "lattice", "self_similarity")


def write_page(data: ReleaseData, path: Path) -> None:
    """Write the page, whole or not at all."""
    write_text(path, page(data))


def page(data: ReleaseData) -> str:
    """Return the page; equal data gives equal bytes. Every text of the data is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    from evals.where_to_mend import advice
    from lifeos.reviews import REASONS

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        loader=FileSystemLoader(TEMPLATE.parent),
    )  # fmt: skip
    environment.filters["figure"] = lambda value: figure(value, MISSING)
    template = environment.get_template(TEMPLATE.name)
    row = data.row
    return template.render(
        row=row,
        word=WORDS[row["verdict"]],
        signs=SIGNS,
        hard=[gate for gate in row["gates"] if gate["severity"] == "hard"],
        blocked=[gate["id"] for gate in row["gates"] if gate["severity"] == "hard" and _blocks(gate)],
        advice=advice(row),
        decision=(row.get("champion") or {}).get("decision"),
        pairs=[_pair(pair, data.names) for pair in data.pairs],
        prompts=sorted({pair.candidate.prompt for pair in data.pairs}),
        has_champion=any(pair.champion is not None for pair in data.pairs),
        missing=data.missing,
        reviewable=bool(data.pairs) and data.names == ("candidate", "champion"),
        reasons=REASONS,
        distributions=_distributions(data),
        patches=_patches(data.pairs),
        histories=[drawn for name in _HISTORY if (drawn := history(name, data.history)) is not None],
        past=data.history,
        shown_metrics=_METRICS,
    )


def _blocks(gate: Mapping[str, Any]) -> bool:
    return gate["verdict"] in ("failed", "not_evaluated")


def _pair(pair: Pair, names: tuple[str, str]) -> dict[str, Any]:
    return {
        "prompt": pair.candidate.prompt, "seed": pair.candidate.seed, "text": pair.candidate.text,
        "likeness": pair.likeness, "difference": pair.difference,
        "skin": pair.candidate.metrics.get("skin_z"),
        "sides": [
            {"name": name, "shown": shown, "address": address(shown.data), "boxes": _boxes(shown)}
            for name, shown in zip(names, (pair.candidate, pair.champion), strict=True) if shown is not None
        ],
    }  # fmt: skip


def address(data: bytes | None) -> str:
    """Return an image as a data address, as it is where small, else a JPEG; empty where none can be read."""
    if data is None:
        return ""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as image:
            kind = (image.format or "").lower()
            if max(image.size) <= _LARGEST_SIDE and kind in ("png", "jpeg", "webp"):
                return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
            small = image.convert("RGB")
            small.thumbnail((_LARGEST_SIDE, _LARGEST_SIDE))
    except (OSError, ValueError, SyntaxError):
        return ""
    buffer = io.BytesIO()
    small.save(buffer, format="JPEG", quality=_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def _boxes(shown: Shown) -> list[dict[str, float]]:
    """Face boxes in per cent of the picture, cut at its border."""
    if shown.size is None:
        return []
    width, height = shown.size
    boxes = []
    for left, top, right, bottom in shown.faces:
        x0, x1 = (min(max(x / width, 0.0), 1.0) * 100 for x in (left, right))
        y0, y1 = (min(max(y / height, 0.0), 1.0) * 100 for y in (top, bottom))
        boxes.append({"left": x0, "top": y0, "width": x1 - x0, "height": y1 - y0})
    return boxes


def _distributions(data: ReleaseData) -> list[str]:
    gates = {gate["id"]: gate for gate in data.row["gates"]}
    limits: dict[str, list[tuple[float, str]]] = {name: [] for name in _METRICS}
    tau = gates.get("likeness", {})
    if tau.get("threshold") is not None:
        limits["likeness"].append((float(tau["threshold"]), f"threshold ({tau['threshold_source']})"))
    drawn = []
    for name in _METRICS:
        own = _values(name, [pair.candidate for pair in data.pairs])
        other = _values(name, [pair.champion for pair in data.pairs if pair.champion is not None])
        if own:
            drawn.append(distribution(name, own, other, limits[name], data.names))
    return drawn


def _values(name: str, images: Sequence[Shown]) -> list[float]:
    return [float(value) for image in images if (value := image.metrics.get(name)) is not None]


def _patches(pairs: Sequence[Pair]) -> list[dict[str, Any]]:
    """Cheeks of the images whose skin lies farthest from the references, then of those nearest to them."""
    scored = [pair.candidate for pair in pairs if pair.candidate.metrics.get("skin_z") is not None]
    scored.sort(key=lambda shown: -abs(shown.metrics["skin_z"] or 0.0))
    patches = []
    for words, images in (("farthest from the references", scored[:_PATCHES]),
                          ("nearest to them", scored[_PATCHES:][-_PATCHES:])):  # fmt: skip
        for shown in images:
            found = _patch(shown)
            if found:
                patches.append({"words": words, "shown": shown, "address": found})
    return patches


def _patch(shown: Shown) -> str:
    """The larger cheek of the first face at native pixels, magnified without smoothing."""
    if shown.data is None or not shown.points:
        return ""
    import numpy as np
    from PIL import Image

    from evals.skin_region import cheek_boxes

    try:
        with Image.open(io.BytesIO(shown.data)) as image:
            boxes = cheek_boxes(np.asarray(shown.points[0], dtype=np.float32), *image.size)
            if not boxes:
                return ""
            crop = image.convert("RGB").crop(boxes[0])
    except (OSError, ValueError):
        return ""
    factor = max(1, 96 // max(crop.size))
    large = crop.resize((crop.width * factor, crop.height * factor), Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    large.save(buffer, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
