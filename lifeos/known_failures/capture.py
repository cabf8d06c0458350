"""From an incident to an entry: a rejected release, or the log of a failed run, drafted so that it stays found."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evals.atomic import write_bytes, write_text
from evals.known_failures import read_entries
from evals.known_failures.incident import SHOWS, lattice_strength, what_it_shows
from evals.known_failures.reading import FOLDER
from lifeos.errors import InputError
from lifeos.lora.dataset_lint.finding import printable

_METRIC = {"face_lost": "face_count", "copy": "copy_image", "black": "flat", "flat": "flat", "lattice": "lattice"}
_GATE = {"face_lost": "face_rate", "copy": "copy_image", "black": "image_flat", "flat": "image_flat",
         "lattice": "image_flat"}  # fmt: skip
_TWIN: dict[str, tuple[float, float]] = {"face_lost": (0.0, 1.0), "copy": (1.0, 0.0), "black": (1.0, 0.0),
                                         "flat": (1.0, 0.0), "lattice": (0.0, 1.0)}  # fmt: skip
_LONGEST_LINE = 300
_ERROR = re.compile(r"^[\w.]*(?:Error|Exception|Interrupt)\b.*|.*\b(?:nan|NaN|CUDA error|Killed|out of memory)\b.*")


def capture_release(
    row: Mapping[str, Any], artifacts: Path, *, with_images: bool = False, folder: Path = FOLDER
) -> list[Path]:
    """Draft an entry of the image that shows most clearly why a release was rejected.

    Args:
        row: its scorecard.
        artifacts: data folder with its run.
        with_images: put the picture beside the entry; without it no picture of a face is written.
        folder: of the registry.

    Returns:
        The files written, the entry first.

    Raises:
        InputError: the row is no rejected release, its run folder is gone, or no image of it shows what can be
            measured (``SHOWS``); then the gates that failed say what went wrong.
    """
    from evals.image_rows import read_rows
    from lifeos.known_failures.samples import picture_of

    if row.get("phase") != "release" or row.get("verdict") == "approved":
        raise InputError(f"{row.get('id')}: accepted a release that was not approved, got {row.get('phase')} "
                         f"{row.get('verdict')}; next: lifeos history")  # fmt: skip
    run = artifacts / "runs" / str(row.get("release"))
    if row.get("release") is None or not (run / "metrics.jsonl").is_file():
        raise InputError(f"{row['id']}: accepted a release whose run folder is here, got none; next: capture it where "
                         "it ran")  # fmt: skip
    images = _finished_images(run)
    found: list[tuple[str, Mapping[str, Any], Path | None]] = []
    for each in read_rows(run / "metrics.jsonl"):
        picture = picture_of(each, artifacts, images)
        found += [(shown, each, picture) for shown in what_it_shows(each["metrics"], picture)[:1]]
    if not found:
        failed = [gate["id"] for gate in row["gates"] if gate["verdict"] == "failed"]
        gates = ", ".join(failed) or "no gate"
        raise InputError(f"{row['id']}: accepted an image that is one of {', '.join(SHOWS)}, got none ({gates} "
                         f"failed); next: lifeos where-to-mend {row['id']}")  # fmt: skip
    shown, image, picture = min(found, key=lambda each: list(SHOWS).index(each[0]))
    name = _free_name(f"captured-{row['id'].lower()[:16]}-{shown.replace('_', '-')}", folder)
    path = folder / "samples" / f"{name}.toml"
    written = [path]
    write_text(path, _sample_entry(row, shown, image, picture, len(found)))
    if with_images and picture is not None:
        written.append(path.with_suffix(picture.suffix))
        write_bytes(written[-1], picture.read_bytes())
    return written


def capture_log(log: Path, *, folder: Path = FOLDER) -> list[Path]:
    """Draft an entry of the last error that a log of a failed run holds.

    Raises:
        InputError: the log cannot be read, holds no line that looks like an error, or one that is known already.
    """
    from evals.known_failures import explain
    from lifeos.lora.training_text import read_training_text

    lines = [line.strip() for line in read_training_text(log).lines if _ERROR.match(line.strip())]
    if not lines:
        raise InputError(f"{log}: accepted a log with an error, got none; next: lifeos known-failures new ID")
    line = lines[-1][:_LONGEST_LINE]
    with log.open("rb") as stream:
        known = explain(stream, read_entries(folder))
    if known:
        raise InputError(f"{log}: accepted a failure that is not known yet, got {known[0].entry.id}; next: lifeos "
                         f"known-failures show {known[0].entry.id}")  # fmt: skip
    words = re.findall(r"[a-z0-9]+", line.lower())[:5]
    path = folder / "training" / f"{_free_name('captured-' + '-'.join(words), folder)}.toml"
    text = f"""symptom = {_toml("TODO what somebody sees; the run stopped with: " + line)}
signatures = [{_toml(line)}]
cause = "TODO why it happens"
affected = "TODO versions or conditions"
phase = "predeploy"
severity = "hard"
looks_at = "training_log"
gate = "training_log"
rule = "message"
fix = "TODO one command or one edit"
source = {_toml("captured from " + log.name)}

[twin]
field = "line"
broken = {_toml(line)}
healthy = "done"

[inputs]
training-log = "run.log"

[files]
"run.log" = '''
$line
'''
"""
    write_text(path, text)
    return [path]


def _sample_entry(
    row: Mapping[str, Any], shown: str, image: Mapping[str, Any], picture: Path | None, count: int
) -> str:
    from evals.images import read_image

    metrics = {name: value for name, value in image["metrics"].items() if name in ("face_count", "copy_image", "flat",
               "nearest_photo")}  # fmt: skip
    broken, healthy = _TWIN[shown]
    if picture is not None:
        pixels = read_image(picture)
        metrics |= {"lattice": round(lattice_strength(pixels), 4), "level": round(float(pixels.mean()), 3)}
    if shown == "lattice":
        broken, healthy = float(metrics["lattice"] or 0.0), 1.0
    metrics.pop(_METRIC[shown], None)
    # The one figure that differs stands in for the rest: nobody but this run can make the picture again.
    figures = {name: value for name, value in metrics.items() if value is not None}
    line = json.dumps({"prompt": image["prompt"], "seed": image["seed"], "metrics": figures})
    # Prompts of finished images are names of files: neither may end the text nor be filled in.
    line = line.replace("$", "$$").replace("'", "\\u0027")
    line = line.replace('"metrics": {', f'"metrics": {{"{_METRIC[shown]}": $value' + (", " if figures else ""), 1)
    lora = str((row.get("hashes") or {}).get("lora") or "")
    photo = image["metrics"].get("nearest_photo") if shown == "copy" else None
    of = f"LoRA {lora[:12]}" if lora else "finished images"
    return f"""symptom = {_toml(f"{count} images of {of}: {SHOWS[shown]}")}
cause = "TODO why it happened (lifeos where-to-mend {row["id"]})"
affected = {_toml(of)}
phase = "release"
severity = "hard"
looks_at = "samples"
gate = "{_GATE[shown]}"
rule = "captured"
needs = "incident"
recorded = {_toml(f"the measured row of image {image['image'][:12]} of release {row['id']}")}
fix = "TODO one command or one edit"
source = {_toml(f"release {row['id']}")}

[captured]
lora = "{lora}"
prompt = {_exactly(image["prompt"])}
seed = {image["seed"]}
shows = "{shown}"
{"" if photo is None else f"photo = {int(photo)}"}

[twin]
field = "value"
broken = {broken}
healthy = {healthy}

[inputs]
rows = "rows.jsonl"

[files]
"rows.jsonl" = '''
{line}
'''
"""


def _finished_images(run: Path) -> Path | None:
    try:
        request = json.loads((run / "request.json").read_text(encoding="utf-8"))
        images = request.get("images") or request.get("request", {}).get("images")
    except (OSError, ValueError, AttributeError):
        return None
    return None if images is None else Path(images)


def _free_name(name: str, folder: Path) -> str:
    name = re.sub(r"[^a-z0-9]+", "-", name).strip("-")
    taken: Sequence[str] = [entry.id for entry in read_entries(folder)]
    number = next(number for number in range(1, len(taken) + 2) if _numbered(name, number) not in taken)
    return _numbered(name, number)


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name}-{number}"


def _exactly(text: str) -> str:
    """Return text as a TOML string that reads back as it is: JSON's escapes are TOML's, but for one character."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _toml(text: str) -> str:
    """Return text of a run as a TOML string of one line; what cannot be printed is spelt out."""
    return json.dumps(printable(" ".join(text.split())), ensure_ascii=False)
