"""One image after another with a person: rating, reasons, note; what was said before quitting stands."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lifeos.reviews import REASONS


@dataclass(frozen=True)
class WalkedImage:
    """An image to look at.

    Args:
        image: SHA-256 of its file.
        path: where it lies, or None where it is gone.
        prompt, seed: what it was drawn from.
        likeness: measured, or None.
    """

    image: str
    path: Path | None
    prompt: str
    seed: int
    likeness: float | None


def images_of(row: Any, rows: Sequence[Any], artifacts: Path) -> list[WalkedImage]:
    """Return the images of a release, the worst first, as its report shows them.

    Args:
        row: of the release.
        rows: of its history.
        artifacts: data folder.
    """
    from evals.image_rows import read_rows
    from lifeos.lora.store import ImageStore
    from lifeos.report.release_data import gather

    folder = artifacts / "runs" / str(row.get("release"))
    files = {each["image"]: Path(each["file"]).stem for each in read_rows(folder / "metrics.jsonl")}
    store, found = ImageStore(artifacts / "samples"), []
    for pair in gather(row, rows, artifacts).pairs:
        shown = pair.candidate
        try:
            path: Path | None = store.path_for(files[shown.image])
        except (ValueError, KeyError):
            path = None
        likeness = shown.metrics.get("likeness")
        there = path if path is not None and path.is_file() else None
        found.append(WalkedImage(shown.image, there, shown.prompt, shown.seed, likeness))
    return found


def walk(
    images: Sequence[WalkedImage], *, show: Callable[[str], None], answer: Callable[[str], str],
    look: Callable[[Path], None],
) -> list[dict[str, Any]]:  # fmt: skip
    """Ask of each image; return the ratings as a review holds them.

    Args:
        images: to look at, in this order.
        show: writes a line.
        answer: asks a question and returns the line typed; raises ``EOFError`` at the end of input.
        look: opens a picture.
    """
    ratings: list[dict[str, Any]] = []
    choices = "  ".join(f"{number}={reason.replace('_', ' ')}" for number, reason in enumerate(REASONS, 1))
    show(f"reasons: {choices}")
    for number, image in enumerate(images, 1):
        likeness = "" if image.likeness is None else f", likeness {image.likeness:.3f}"
        show(f"{number} of {len(images)}: prompt {image.prompt}, seed {image.seed}{likeness}")
        if image.path is None:
            show("  its file is gone; it is passed over")
            continue
        show(f"  {image.path}")
        look(image.path)
        try:
            rating = _rating(answer, show)
            if rating == "q":
                break
            if rating == "s":
                continue
            reasons = _reasons(answer, show)
            note = answer("note (may be empty): ").strip()[:500]
        except EOFError:
            break
        ratings.append({"image": image.image, "rating": int(rating), "reasons": reasons, "note": note})
    return ratings


def _rating(answer: Callable[[str], str], show: Callable[[str], None]) -> str:
    while True:
        word = answer("rating 1 (bad) to 5 (good), [s]kip, [q]uit: ").strip().lower()
        if word in ("1", "2", "3", "4", "5", "s", "q"):
            return word
        show(f"  accepted 1 to 5, s or q, got {word[:20]!r}")


def _reasons(answer: Callable[[str], str], show: Callable[[str], None]) -> list[str]:
    while True:
        words = answer("reasons against it, numbers with blanks between (may be empty): ").replace(",", " ").split()
        if all(word.isascii() and word.isdecimal() and 1 <= int(word) <= len(REASONS) for word in words):
            return list(dict.fromkeys(REASONS[int(word) - 1] for word in words))
        show(f"  accepted numbers from 1 to {len(REASONS)}, got {' '.join(words)[:40]!r}")
