"""Which photographs are one picture, and which show one moment: held out of training counts by moment, not by file."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from lifeos.progress import Progress, silent

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Distance of evals/copying_eval.py. Four public-domain photographs, moved by 5 % of their width or cropped by 10 %, lie
# at most .039 from themselves, turned by 5 degrees .011 to .049; seven different ones at least .51 from each other. Of
# 56 renders of one persona, which resemble each other as no photographs do, 20 moments are left at this limit.
SHOT_DISTANCE = 0.04
# Cosine of SFace. Two photographs, moved, turned by up to 8 degrees or cropped by 10 %, stay at .96 and above; cropped
# by 30 % one is still at .96. Those 56 renders reach .967 in three pairs, and eight pairs of different photographs of
# one person had a median of .744.
SHOT_SIMILARITY = 0.95
SHOT_SECONDS = 10.0
# A pair farther apart than this without any shift is not looked at closely: among 540 shots moved, turned, zoomed and
# mirrored at random, those within SHOT_DISTANCE lay at most .385 apart unshifted.
_COARSE_DISTANCE = 0.4
_BLOCK = 256
STAGE = "comparing photographs"


@dataclass(frozen=True, eq=False)
class Shot:
    """What is known of one photograph when it is compared with the others.

    Args:
        digest: SHA-256 of the file.
        pixels: SHA-256 of the written pixels.
        signature: float16 ``[1200]`` of ``evals.copying_eval.image_signature``.
        embedding: float32 ``[d]`` of length 1; None where faces were not looked at.
        taken: seconds of the camera's clock, or None.
        area: pixels of the photograph; of two copies the larger is kept.
    """

    digest: str
    pixels: str
    signature: "NDArray[np.float16]"
    embedding: "NDArray[np.float32] | None" = None
    taken: float | None = None
    area: int = 0


@dataclass(frozen=True)
class Compared:
    """What comparing found; indexes into the shots that were handed in.

    Args:
        copies: shot that another one repeats -> (that other, distance between them; 0 for the same pixels).
        moments: shots of one moment each, copies left out; ordered by their digests.
    """

    copies: dict[int, tuple[int, float]]
    moments: list[list[int]]


def compare(shots: Sequence[Shot], progress: Progress = silent) -> Compared:
    """Find copies and moments; the order of ``shots`` changes nothing but the indexes.

    A copy is what the dataset lint would block as an exact or near duplicate. Two shots are of one moment where their
    pictures are nearly one (moved, turned, cropped a little), their faces are, or they were taken within 10 seconds of
    each other; so are two that a third one joins.

    Args:
        shots: photographs of one person.
        progress: called with (stage, done, total).
    """
    from lifeos.lora.dataset_lint.rules import rule_book

    order = sorted(range(len(shots)), key=lambda index: _worth(shots[index]))
    copies: dict[int, tuple[int, float]] = {}
    first: dict[str, int] = {}
    for index in order:
        kept = first.setdefault(shots[index].pixels, index)
        if kept != index:
            copies[index] = (kept, 0.0)
    different = [index for index in order if index not in copies]
    forest = _Forest(len(shots))
    near = _join_by_picture(shots, different, forest, rule_book().limits.near_duplicate_distance, progress)
    _join_by_face(shots, different, forest)
    _join_by_time(shots, order, forest)
    for index in copies:
        forest.join(index, copies[index][0])
    # Best first: what is nearly a better one is its copy.
    for index in different:
        better = [(distance, other) for other, distance in near.get(index, {}).items()
                  if other not in copies and _worth(shots[other]) < _worth(shots[index])]  # fmt: skip
        if better:
            distance, other = min(better, key=lambda pair: (pair[0], _worth(shots[pair[1]])))
            copies[index] = (other, distance)
    moments: dict[int, list[int]] = {}
    for index in sorted(different, key=lambda index: shots[index].digest):
        if index not in copies:
            moments.setdefault(forest.root(index), []).append(index)
    return Compared(copies, list(moments.values()))


def _worth(shot: Shot) -> tuple[int, str]:
    return -shot.area, shot.digest


def _join_by_picture(
    shots: Sequence[Shot], different: Sequence[int], forest: "_Forest", copy_distance: float, progress: Progress
) -> dict[int, dict[int, float]]:
    """Join shots whose pictures are near; return index -> {index: distance} of those near enough to be copies."""
    from evals.copying_eval import SIDE, distances

    near: dict[int, dict[int, float]] = {}

    def rows(indexes: Sequence[int]) -> "NDArray[np.float32]":
        # Rounded as the lint rounds them, so that it cannot find a copy that was not found here.
        return np.stack([shots[index].signature for index in indexes]).astype(np.float32)

    for start in range(0, len(different), _BLOCK):
        block = different[start : start + _BLOCK]
        own = rows(block)
        mirrored = own.reshape(-1, 3, SIDE, SIDE)[..., ::-1].reshape(len(block), -1)
        close = []
        for other in range(0, len(different), _BLOCK):
            theirs = rows(different[other : other + _BLOCK])
            close.append(1.0 - np.maximum(own @ theirs.T, mirrored @ theirs.T) <= _COARSE_DISTANCE)
        candidate = np.concatenate(close, axis=1)
        for row, index in enumerate(block):
            candidates = [other for other, is_close in zip(different, candidate[row], strict=True) if is_close]
            candidates.remove(index)
            for part in range(0, len(candidates), _BLOCK):
                some = candidates[part : part + _BLOCK]
                for other, distance in zip(some, distances(own[row], rows(some)), strict=True):
                    if distance <= SHOT_DISTANCE:
                        forest.join(index, other)
                    if distance <= copy_distance:
                        for one, two in ((index, other), (other, index)):
                            known = near.setdefault(one, {})
                            known[two] = min(float(distance), known.get(two, 2.0))
            progress(STAGE, start + row + 1, len(different))
    return near


def _join_by_face(shots: Sequence[Shot], different: Sequence[int], forest: "_Forest") -> None:
    known = [index for index in different if shots[index].embedding is not None]
    if not known:
        return
    embeddings = np.stack([shots[index].embedding for index in known])  # type: ignore[misc]
    for start in range(0, len(known), _BLOCK):
        alike = embeddings[start : start + _BLOCK] @ embeddings.T >= SHOT_SIMILARITY
        for row, column in zip(*np.nonzero(alike), strict=True):
            forest.join(known[start + int(row)], known[int(column)])


def _join_by_time(shots: Sequence[Shot], order: Sequence[int], forest: "_Forest") -> None:
    timed = sorted((shots[index].taken, index) for index in order if shots[index].taken is not None)
    for (before, one), (after, two) in pairwise(timed):
        if after - before <= SHOT_SECONDS:  # type: ignore[operator]
            forest.join(one, two)


class _Forest:
    """Sets that are joined: who hangs together, however the joins were ordered."""

    def __init__(self, count: int) -> None:
        self._above = list(range(count))

    def root(self, index: int) -> int:
        while self._above[index] != index:
            self._above[index] = self._above[self._above[index]]
            index = self._above[index]
        return index

    def join(self, one: int, other: int) -> None:
        self._above[self.root(one)] = self.root(other)
