"""What a report shows of one recorded release, gathered from its row, its run folder and the image store."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals.content_hash import hash_bytes
from evals.errors import InputError
from evals.image_rows import read_rows
from lifeos.lora.store import ImageStore
from lifeos.measure import read_record


@dataclass(frozen=True)
class Shown:
    """One image as the report shows it.

    Args:
        image: SHA-256 of the file that was judged.
        prompt: id; ``text`` is what was asked, empty where nobody knows.
        seed: of the noise.
        metrics: number or None by name; ``reasons`` why one is None.
        data: bytes of the file, None where it is gone or holds other bytes than were judged.
        faces: of each face the box in pixels, the biggest first; ``points`` its five points.
        size: (width, height) in pixels, or None.
    """

    image: str
    prompt: str
    text: str
    seed: int
    metrics: Mapping[str, float | None]
    reasons: Mapping[str, str]
    data: bytes | None
    faces: Sequence[Sequence[float]] = ()
    points: Sequence[Sequence[Sequence[float]]] = ()
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class Pair:
    """Candidate and champion on one prompt and seed; ``champion`` is None in a first release."""

    candidate: Shown
    champion: Shown | None

    @property
    def likeness(self) -> float:
        """Likeness of the candidate; a face that is missing counts as 0."""
        return self.candidate.metrics.get("likeness") or 0.0

    @property
    def difference(self) -> float | None:
        """Likeness less the champion's, None in a first release."""
        return None if self.champion is None else self.likeness - (self.champion.metrics.get("likeness") or 0.0)


@dataclass(frozen=True)
class ReleaseData:
    """Everything behind one report.

    Args:
        row: the scorecard.
        history: all scorecards of the persona's releases up to this one, oldest first.
        pairs: worst first: by the difference to the champion, or by likeness.
        missing: why there are no image rows, or None.
        names: how the two sides of a pair are called.
    """

    row: Mapping[str, Any]
    history: Sequence[Mapping[str, Any]]
    pairs: Sequence[Pair]
    missing: str | None
    names: tuple[str, str] = ("candidate", "champion")


def gather(row: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], artifacts: Path) -> ReleaseData:
    """Gather what is on the disk of a release; what is gone is missing and named, never an error.

    Args:
        row: a scorecard of phase release.
        rows: of the whole history, in file order.
        artifacts: data folder.

    Raises:
        InputError: the row is no scorecard of a release.
    """
    if row.get("schema") != "lifeos.scorecard/1" or row.get("phase") != "release":
        raise InputError(f"{row.get('id')}: accepted a row of phase release, got {row.get('phase')}; next: "
                         "lifeos history")  # fmt: skip
    before = []
    for each in rows:
        if each.get("phase") == "release" and each.get("persona") == row["persona"]:
            before.append(each)
        if each["hash"] == row["hash"]:
            break
    folder = artifacts / "runs" / str(row.get("release"))
    if row.get("release") is None or not (folder / "metrics.jsonl").is_file():
        why = "the row names no run folder" if row.get("release") is None else f"{folder} is gone"
        return ReleaseData(row, before, (), why)
    candidate = {(shown.prompt, shown.seed): shown for shown in _shown(row, folder, "metrics.jsonl", artifacts)}
    champion = {(shown.prompt, shown.seed): shown for shown in _shown(row, folder, "champion_metrics.jsonl", artifacts)}
    pairs = [Pair(shown, champion.get(cell)) for cell, shown in candidate.items()]
    if champion:
        pairs.sort(key=lambda pair: (math.inf if pair.difference is None else pair.difference, pair.candidate.prompt))
    else:
        pairs.sort(key=lambda pair: (pair.likeness, pair.candidate.prompt, pair.candidate.seed))
    return ReleaseData(row, before, pairs, None)


def _shown(row: Mapping[str, Any], folder: Path, name: str, artifacts: Path) -> Iterator[Shown]:
    if not (folder / name).is_file():
        return
    images = _images_folder(folder) if name == "metrics.jsonl" else None
    store = ImageStore(artifacts / "samples")
    for each in read_rows(folder / name):
        key = Path(each["file"]).stem
        facts: Mapping[str, Any] = {}
        if images is not None:
            path: Path | None = images / Path(each["file"]).name
        else:
            try:
                path, facts = store.path_for(key), store.facts(key) or {}
            except ValueError:
                path = None
        data = _judged_bytes(path, each["image"])
        record = read_record(artifacts, each["image"], row.get("face_backend")) or {}
        size = record.get("size")
        yield Shown(
            image=each["image"], prompt=each["prompt"], text=str(facts.get("prompt", "")), seed=each["seed"],
            metrics=each["metrics"], reasons=each.get("reasons", {}), data=data, faces=record.get("boxes", ()),
            points=record.get("points", ()), size=None if size is None else (int(size[0]), int(size[1])),
        )  # fmt: skip


def _judged_bytes(path: Path | None, image: str) -> bytes | None:
    """The file's bytes if they are those that were judged."""
    try:
        data = None if path is None else path.read_bytes()
    except OSError:
        return None
    return data if data is not None and hash_bytes(data) == image else None


def _images_folder(folder: Path) -> Path | None:
    """The folder of finished images, where such were judged."""
    try:
        request = json.loads((folder / "request.json").read_text(encoding="utf-8"))
        images = request.get("images") or request.get("request", {}).get("images")
    except (OSError, ValueError, AttributeError):
        return None
    return None if images is None else Path(images)
