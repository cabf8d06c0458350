"""What a cell's images are worth on the scales that a sweep trades against each other, and who stands on the front."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evals.evidence import mean_of
from evals.inference import cluster_means
from evals.pareto import pareto_front


@dataclass(frozen=True)
class Scale:
    """One thing that cells are compared in.

    Args:
        name: as people and JSON know it.
        metric: of the image rows that it is read from.
        higher_is_better: direction.
        meaning: one line for the page.
    """

    name: str
    metric: str
    higher_is_better: bool
    meaning: str


SCALES = (
    Scale("likeness", "likeness", True, "mean likeness; a missing face counts as 0"),
    Scale("skin_deviation", "skin_z", False, "how far the skin lies from the references', mean of |skin z|"),
    Scale("copying", "copy_face", False, "how much nearer a face is to one training photo than to the person"),
    Scale("adherence", "adherence", True, "share of pose, background and expression that follow the prompt"),
)


def scores_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """Return the score of a cell on each scale: mean over prompts of the mean over seeds; None where no image has it.

    Likeness is that of ``evals.selection``: a face that is missing counts as 0. On the other scales an image without
    the metric is left out; ``face_rate`` and ``skin_realism`` rule a cell out that has many of them.

    Args:
        rows: image rows of one cell, at least one.
    """
    scores: dict[str, float | None] = {}
    for scale in SCALES:
        values = [row["metrics"].get(scale.metric) for row in rows]
        if scale.name == "likeness":
            values = [value or 0.0 for value in values]
        elif scale.name == "skin_deviation":
            values = [None if value is None else abs(value) for value in values]
        present = [(value, row["prompt"]) for value, row in zip(values, rows, strict=True) if value is not None]
        means = cluster_means([value for value, _ in present], [prompt for _, prompt in present])
        scores[scale.name] = mean_of(means.values()) if means else None
    return scores


@dataclass(frozen=True)
class Front:
    """Who stands on the Pareto front.

    Args:
        places: of the cells on it.
        compared: names of the scales that decided.
        left_out: scales that some compared cell has no score on, by name, with the reason: they decide for none.
    """

    places: tuple[int, ...]
    compared: tuple[str, ...]
    left_out: Mapping[str, str]


def front_of(scores: Mapping[int, Mapping[str, float | None]]) -> Front:
    """Return the front among the cells given.

    Args:
        scores: of ``scores_of`` by the cell's place; only cells with all prompts that no gate rules out.
    """
    left_out = {}
    for scale in SCALES:
        without = [place for place, own in scores.items() if own[scale.name] is None]
        if without:
            left_out[scale.name] = f"not evaluated in {len(without)} of {len(scores)} cells"
    compared = [scale for scale in SCALES if scale.name not in left_out]
    places = list(scores)
    points = [[float(scores[place][scale.name] or 0.0) for scale in compared] for place in places]
    found = pareto_front(points, [scale.higher_is_better for scale in compared])
    return Front(tuple(places[at] for at in found), tuple(scale.name for scale in compared), left_out)
