"""What people saw: reviews of judged images, recorded beside the measured verdict and never in its place."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evals.errors import InputError
from evals.history import append, read
from evals.image_rows import read_rows
from evals.inference import wilson_interval
from evals.scorecard import compact_time, row_id
from evals.verdict import Interval
from lifeos.settings import validation_line

SCHEMA, DRAFT_SCHEMA = "lifeos.review/1", "lifeos.review-draft/1"
REASONS = (
    "not_the_person", "plastic_skin", "artefact", "wrong_pose", "wrong_background", "wrong_expression",
    "copy_of_training", "other",
)  # fmt: skip
LARGEST_DRAFT = 4 * 2**20
# What a reviewer's word agrees with; a measured "not evaluated" and a reviewer's "unsure" say nothing to agree with.
_SAME = {"approved": "approve", "rejected": "reject"}

_Reason = Literal[
    "not_the_person", "plastic_skin", "artefact", "wrong_pose", "wrong_background", "wrong_expression",
    "copy_of_training", "other",
]  # fmt: skip
_Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Rating(_Strict):
    """What a person said of one image: 1 (bad) to 5 (good) or nothing, reasons against it, a note."""

    image: _Hash
    rating: Annotated[int, Field(ge=1, le=5)] | None = None
    reasons: Annotated[list[_Reason], Field(max_length=len(REASONS))] = []
    note: Annotated[str, Field(max_length=500)] = ""


class Draft(_Strict):
    """A review as the page of a report saves it."""

    schema_: Literal["lifeos.review-draft/1"] = Field("lifeos.review-draft/1", alias="schema")
    row: Annotated[str, Field(min_length=1, max_length=80)]
    row_hash: _Hash
    reviewer: Annotated[str, Field(min_length=1, max_length=80, pattern=r"\S")]
    verdict: Literal["approve", "reject", "unsure"]
    ratings: Annotated[list[Rating], Field(max_length=10_000)] = []


@dataclass(frozen=True)
class Agreement:
    """How often reviewers and the judge said the same.

    Args:
        same, compared: of all reviews where both said yes or no.
        interval: 95 % interval of the share, or None without any.
    """

    same: int
    compared: int
    interval: Interval | None


def read_draft(path: Path) -> Draft:
    """Read a file that the report saved.

    Raises:
        InputError: it is missing, larger than 4 MiB, no JSON, or holds anything but a review.
    """
    path = Path(path)
    try:
        if path.stat().st_size > LARGEST_DRAFT:
            raise InputError(f"{path}: accepted at most {LARGEST_DRAFT >> 20} MiB, got more; next: save it again")
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: accepted what the report saves, got {error}; next: save it again") from error
    try:
        return Draft.model_validate(content)
    except ValidationError as error:
        raise InputError(validation_line(path, error, "save it again from the report")) from error


def record_review(history: Path, artifacts: Path, draft: Draft, *, time: str) -> tuple[dict[str, Any], bool]:
    """Append a review to the history; the scorecard it looks at stays as it is.

    Args:
        history: history file with the row.
        artifacts: data folder; ratings must be of images of the row's run.
        draft: what the person said.
        time: UTC, ``"2026-11-23T20:29:00Z"``.

    Returns:
        The review's row, and whether it was appended now (the same review is recorded once).

    Raises:
        InputError: no such row, one that is no release, or a rating of an image that it did not judge or twice.
    """
    rows = read(history)
    row = next((each for each in rows if each["hash"] == draft.row_hash), None)
    if row is None or row.get("id") != draft.row:
        raise InputError(f"row {draft.row}: accepted a row of {history}, got another; next: lifeos history")
    if row.get("phase") != "release":
        raise InputError(f"row {draft.row}: accepted a release, got phase {row.get('phase')}; next: lifeos history")
    named = [rating.image for rating in draft.ratings]
    if named:
        judged = _judged_images(row, artifacts)
        strange = [image for image in named if image not in judged]
        if strange or len(set(named)) < len(named):
            what = f"{strange[0][:12]}, which it did not judge" if strange else "one of them twice"
            raise InputError(f"review of {draft.row}: accepted its images once each, got {what}; next: lifeos report")
    said = {
        "row": draft.row, "row_hash": draft.row_hash, "reviewer": draft.reviewer.strip(), "verdict": draft.verdict,
        "measured": row["verdict"], "ratings": [rating.model_dump() for rating in draft.ratings],
    }  # fmt: skip
    for each in reviews(rows):
        if all(each.get(name) == value for name, value in said.items()):
            return dict(each), False
    content = {"schema": SCHEMA, "time": time, "persona": row["persona"], **said}
    return append(history, {"id": row_id(compact_time(time), content), **content}), True


def reviews(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the reviews among the rows of a history, in file order."""
    return [row for row in rows if row.get("schema") == SCHEMA]


def agreement(found: Sequence[Mapping[str, Any]]) -> Agreement:
    """Return how often reviewers said what the judge had measured.

    Args:
        found: reviews.
    """
    compared = [review for review in found if review["measured"] in _SAME and review["verdict"] != "unsure"]
    same = sum(_SAME[review["measured"]] == review["verdict"] for review in compared)
    return Agreement(same, len(compared), wilson_interval(same, len(compared)))


def rated_images(
    rows: Sequence[Mapping[str, Any]], artifacts: Path
) -> list[tuple[Mapping[str, float | None], frozenset[str]]]:
    """Return measured values and reasons of every image that somebody rated, one for each rating.

    Args:
        rows: of a history.
        artifacts: data folder; ratings of a run whose folder is gone are left out.
    """
    runs = {row["hash"]: str(row.get("release")) for row in rows if row.get("phase") == "release"}
    found = []
    for review in reviews(rows):
        path = artifacts / "runs" / runs.get(review["row_hash"], "") / "metrics.jsonl"
        measured = {each["image"]: each["metrics"] for each in read_rows(path)} if path.is_file() else {}
        found += [
            (measured[rating["image"]], frozenset(rating["reasons"]))
            for rating in review["ratings"]
            if rating["image"] in measured
        ]
    return found


def _judged_images(row: Mapping[str, Any], artifacts: Path) -> set[str]:
    path = artifacts / "runs" / str(row.get("release")) / "metrics.jsonl"
    return {each["image"] for each in read_rows(path)} if path.is_file() else set()
