"""``review-samples`` and ``history reviews``: what people saw, beside what was measured."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lifeos.cli_options import Artifacts, History, Json, artifacts_path, before_name, history_path, utc_now

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA = "lifeos.reviews/1"


def review_samples(
    row: Annotated[str, typer.Argument(help="Start of a release's id or hash.", metavar="ROW")],
    apply: Annotated[Path | None, typer.Option("--apply", help="Review that the report saved.", metavar="FILE")] = None,
    reviewer: Annotated[str, typer.Option("--reviewer", help="Who looked.", metavar="NAME")] = "",
    verdict: Annotated[str, typer.Option("--verdict", help="approve, reject or unsure.")] = "",
    walk: Annotated[bool, typer.Option("--walk", help="Look at one image after another and rate it.")] = False,
    history: History = None,
    artifacts: Artifacts = None,
    as_json: Json = False,
) -> int:
    """Record what a person says of a release's images; the measured verdict stays.

    With --apply the ratings come from the file that the report's controls save; with --walk each image is opened and
    asked about on a terminal; else reviewer and verdict are given, or asked for.
    """
    from evals.history import find
    from lifeos.errors import InputError
    from lifeos.reviews import Draft, read_draft, record_review

    path = history_path(history)
    found = find(path, row)
    if apply is not None:
        if reviewer or verdict or walk:
            raise InputError("--apply: accepted the file alone, got another option too; next: drop it")
        draft = read_draft(apply)
        if draft.row_hash != found["hash"]:
            raise InputError(f"{apply}: accepted a review of {found['id']}, got another's; next: name its row")
    else:
        if (walk or not (reviewer and verdict)) and not sys.stdin.isatty():
            raise InputError("review-samples: accepted --apply FILE, or --reviewer and --verdict, got neither and no "
                             "terminal to ask on; next: lifeos report")  # fmt: skip
        reviewer = reviewer or typer.prompt("who looked")
        ratings = _walk(found, path, artifacts) if walk else []
        verdict = verdict or typer.prompt("approve, reject or unsure")
        if verdict not in ("approve", "reject", "unsure"):
            raise InputError(f"--verdict: accepted approve, reject or unsure, got {verdict!r}; next: say one of them")
        if not reviewer.strip() or len(reviewer) > 80:
            raise InputError("--reviewer: accepted 1 to 80 characters, got another name; next: pass --reviewer NAME")
        draft = Draft(schema="lifeos.review-draft/1", row=found["id"], row_hash=found["hash"], reviewer=reviewer,
                      verdict=verdict, ratings=ratings)  # type: ignore[arg-type]  # fmt: skip
    made, is_new = record_review(path, artifacts_path(artifacts), draft, time=utc_now())
    if as_json:
        print(json.dumps({"schema": SCHEMA, "review": made, "recorded": is_new}, allow_nan=False))
        return 0
    how = "recorded" if is_new else "recorded before"
    print(f"{_printable(made['reviewer'])} says {made['verdict']} of row {made['row']}, measured "
          f"{_words(made['measured'])}; {len(made['ratings'])} images rated; {how} as {made['id']}")  # fmt: skip
    return 0


def show_reviews(
    context: typer.Context, history: History = None, artifacts: Artifacts = None, as_json: Json = False
) -> int:
    """List every review beside the measured verdict, how often both said the same, and what goes with each reason."""
    from dataclasses import asdict

    from evals.history import read
    from evals.reasons import associations
    from lifeos.reviews import agreement, rated_images, reviews

    path = history_path(history or before_name(context, "history"))
    rows = read(path)
    found = reviews(rows)
    told = agreement(found)
    rated = rated_images(rows, artifacts_path(artifacts)) if found else []
    with_reason = associations(rated) if rated else []
    if as_json or before_name(context, "json"):
        interval = None if told.interval is None else [told.interval.low, told.interval.high]
        print(json.dumps({
            "schema": SCHEMA, "reviews": found, "rated_images": len(rated),
            "agreement": {"same": told.same, "compared": told.compared, "interval": interval},
            "associations": [{**asdict(each), "side": each.side} for each in with_reason],
        }, allow_nan=False))  # fmt: skip
        return 0
    if not found:
        print(f"{path}: nobody reviewed a release yet; next: lifeos report, then lifeos review-samples ROW")
        return 0
    for review in found:
        reasons = [reason for rating in review["ratings"] for reason in rating["reasons"]]
        counted = ", ".join(f"{reasons.count(reason)} {reason}" for reason in dict.fromkeys(reasons))
        name = _printable(review["reviewer"])
        print(f"{review['time']}  {review['row']}  measured {_words(review['measured'])}, {name}: {review['verdict']}"
              f"{f' ({counted})' if counted else ''}")  # fmt: skip
    if told.interval is not None:
        print(f"the same in {told.same} of {told.compared} ({told.interval.low:.0%} to {told.interval.high:.0%})")
    for each in with_reason:
        print(f"{each.reason}: {each.metric} is {each.side} (AUC {each.auc:.2f}, {each.with_reason} images with it, "
              f"{each.without} without, corrected p {each.p:.2g})")  # fmt: skip
    if rated and not with_reason:
        print(f"no measured value goes with a reason: {len(rated)} images rated; 5 with it and 5 without are asked")
    return 0


def _walk(row: "Mapping[str, Any]", path: Path, artifacts: str | None) -> list[Any]:
    from evals.history import read
    from lifeos.review_walk import images_of, walk

    images = images_of(row, read(path), artifacts_path(artifacts))
    return walk(images, show=print, answer=input, look=_open)


def _open(picture: Path) -> None:
    # Where no viewer is, its path on the screen is what there is.
    typer.launch(str(picture))


def _printable(name: str) -> str:
    # A name is data: control characters do not reach the terminal.
    return "".join(character if character.isprintable() else "?" for character in name)


def _words(verdict: str) -> str:
    return verdict.replace("_", " ")
