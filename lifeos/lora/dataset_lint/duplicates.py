"""Pictures that are one: the same pixels, or nearly (recompressed, mirrored, brightened, slightly cropped)."""

from pathlib import Path
from typing import TYPE_CHECKING

from lifeos.lora.dataset_lint.finding import Finding, delete_edit
from lifeos.lora.dataset_lint.image_facts import ImageFacts
from lifeos.lora.dataset_lint.rules import rule_book
from lifeos.progress import Progress, silent

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Rows of one block of the pair matrix: 256 x 10,000 distances are 10 MB.
_BLOCK = 256
STAGE = "comparing images"


class Signatures:
    """Signatures of many pictures, float16 ``[n, 1200]``: 24 MB for 10,000 pictures, and no pixels.

    Rounding moves a distance by less than 1e-5, a thousandth of the limit.
    """

    def __init__(self) -> None:
        """Start empty."""
        self.paths: list[Path] = []
        self.pixels: list[str] = []
        self._worth: list[tuple[int, bool, int, str]] = []
        self._rows: list[NDArray[np.float16]] = []

    def add(self, path: Path, facts: ImageFacts) -> None:
        """Take a picture in; one without pixels has nothing to compare, and a blank one resembles nothing."""
        if facts.pixels is None or facts.blank:
            return
        self.paths.append(path)
        self.pixels.append(facts.pixels)
        self._worth.append((-facts.width * facts.height, facts.format != "PNG", len(path.name), path.name))
        self._rows.append(facts.signature_values().astype("float16"))

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self.paths)

    def lesser_first(self, one: int, other: int) -> tuple[Path, Path]:
        """Return two pictures, first the one to part with: smaller, JPEG beside PNG, longer name."""
        first, second = sorted((one, other), key=lambda index: self._worth[index], reverse=True)
        return self.paths[first], self.paths[second]

    def rows(self, start: int, stop: int) -> "NDArray[np.float32]":
        """Return signatures ``start`` to ``stop``, float32 ``[n, 1200]``."""
        import numpy as np

        return np.stack(self._rows[start:stop]).astype(np.float32)

    def nearest_of(self, signature: "NDArray[np.float32]", candidates: "NDArray[np.intp]") -> tuple[float, int]:
        """Return distance and row of the candidate nearest to a signature ``[1200]``."""
        import numpy as np

        from evals.copying_eval import nearest, nearest_index

        best, where = 2.0, int(candidates[0])
        for start in range(0, len(candidates), _BLOCK):
            part = candidates[start : start + _BLOCK]
            others = np.stack([self._rows[index] for index in part]).astype(np.float32)
            distance = nearest(signature, others)
            if distance < best:
                best, where = distance, int(part[nearest_index(signature, others)])
        return best, where


def duplicate_findings(training: Signatures, progress: Progress = silent) -> list[Finding]:
    """Return the training pictures that stand twice; each names the picture that is better kept."""
    return [
        _duplicate(distance, *training.lesser_first(later, earlier))
        for later, earlier, distance in _pairs(training, training, progress)
    ]


def disjoint_findings(references: Signatures, training: Signatures, progress: Progress = silent) -> list[Finding]:
    """Return the references that are training pictures, or nearly."""
    found = []
    for row, column, distance in _pairs(references, training, progress):
        rule = "reference_trained" if distance == 0.0 else "reference_near"
        path, other = references.paths[row], training.paths[column]
        got = (
            f"the training image {_named(other)}" if distance == 0.0 else f"distance {distance:.4f} to {_named(other)}"
        )
        fix = f"delete {path.name} from {path.parent.name}/, or take {other.name} and its caption out of training"
        found.append(Finding(rule, path, got, fix, of_references=True))
    return found


def _duplicate(distance: float, path: Path, kept: Path) -> Finding:
    if distance == 0.0:
        return Finding("duplicate_exact", path, f"the same pixels as {kept.name}", delete_edit(path))
    return Finding("duplicate_near", path, f"distance {distance:.4f} to {kept.name}", delete_edit(path))


def _named(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _pairs(one: Signatures, many: Signatures, progress: Progress) -> list[tuple[int, int, float]]:
    """Return (row of ``one``, row of ``many``, distance) of each picture that is another; 0.0 for the same pixels.

    ``one is many`` compares each picture with those before it.
    """
    import numpy as np

    limits, within = rule_book().limits, one is many
    first: dict[str, int] = {}
    for index, pixels in enumerate(many.pixels):
        first.setdefault(pixels, index)
    found: list[tuple[int, int, float]] = []
    for start in range(0, len(one), _BLOCK):
        stop = min(start + _BLOCK, len(one))
        close = _close(one.rows(start, stop), many, stop if within else len(many), limits.coarse_distance)
        for index in range(start, stop):
            same = first.get(one.pixels[index])
            if same is not None and not (within and same == index):
                found.append((index, same, 0.0))
                continue
            candidates = np.flatnonzero(close[index - start, : index if within else len(many)])
            if len(candidates):
                distance, where = many.nearest_of(one.rows(index, index + 1)[0], candidates)
                if distance <= limits.near_duplicate_distance:
                    # Never 0.0, which stands for equal pixels.
                    found.append((index, where, max(distance, 1e-9)))
        progress(STAGE, stop, len(one))
    return found


def _close(block: "NDArray[np.float32]", many: Signatures, count: int, limit: float) -> "NDArray[np.bool_]":
    """Return bool ``[b, count]``: which of the first ``count`` of ``many`` lie within ``limit`` without any shift."""
    import numpy as np

    from evals.copying_eval import SIDE

    mirrored = block.reshape(-1, 3, SIDE, SIDE)[..., ::-1].reshape(len(block), -1)
    close = np.zeros((len(block), count), dtype=np.bool_)
    for start in range(0, count, _BLOCK):
        rows = many.rows(start, min(start + _BLOCK, count))
        best = np.maximum(block @ rows.T, mirrored @ rows.T)
        close[:, start : start + len(rows)] = 1.0 - best <= limit
    return close
