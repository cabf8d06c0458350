"""Choosing among candidates on images of their own, and how much the best of them flatters itself.

The candidate with the highest mean looks better than it is: the largest of K estimates with equal truth lies above it
by the expected maximum of K normal deviates, in standard errors (1.16 for 5, 1.54 for 10). So candidates are chosen on
prompt set A, and what is reported comes from the untouched set B.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import stdev
from typing import Any

from evals.calibration import Calibration
from evals.evidence import mean_of
from evals.image_rows import parse_rows
from evals.inference import cluster_means
from evals.instrument import control_policy
from evals.judge import judge
from evals.policy import Policy
from evals.verdict import Outcome

# What rules a candidate out on set A; the other gates are for the release.
RULED_OUT_BY = ("face_rate", "skin_realism", "copy_image", "image_flat")


@dataclass(frozen=True)
class Candidate:
    """One candidate as set A shows it.

    Args:
        name: as people know it.
        likeness: mean over prompts, a missing face counting as 0.
        standard_error: of it, over prompts; None with fewer than two.
        ruled_out: gates that it fails on set A, with their reasons.
        images: number of images.
    """

    name: str
    likeness: float
    standard_error: float | None
    ruled_out: Mapping[str, str]
    images: int

    def to_json(self) -> dict[str, Any]:
        """Return the candidate as JSON types."""
        return {
            "name": self.name, "likeness": self.likeness, "standard_error": self.standard_error,
            "ruled_out": dict(self.ruled_out), "images": self.images,
        }  # fmt: skip


@dataclass(frozen=True)
class Selection:
    """What was chosen.

    Args:
        candidates: in the order given.
        chosen: place of the chosen one, or None where every one is ruled out.
        optimism: by how much the best of so many equal candidates would look too good, in likeness; None where no
            standard error is known.
    """

    candidates: tuple[Candidate, ...]
    chosen: int | None
    optimism: float | None


def measured_candidate(
    name: str, rows: Iterable[Mapping[str, Any]], calibration: Calibration, policy: Policy
) -> Candidate:
    """Return what the images of one candidate on set A say.

    Args:
        name: of the candidate.
        rows: image rows, measured with the calibration's own backend and domain.
        calibration: of the persona.
        policy: rules a gate; minimum counts are lowered to what set A has, since nothing is approved here.

    Raises:
        InputError: as ``evals.image_rows.parse_rows``.
        ValueError: there are no rows.
    """
    parsed = list(rows)
    images = parse_rows(parsed)
    if not images:
        raise ValueError("accepted image rows, got none")
    values = [row.metrics.get("likeness") or 0.0 for row in images]
    means = list(cluster_means(values, [row.prompt for row in images]).values())
    verdicts = judge(
        parsed, calibration, control_policy(policy, len(images), len(means)),
        backend=calibration.backend, domain=calibration.domain,
    )  # fmt: skip
    # What could not be looked at rules out as well: an unseen fault is not the absence of one.
    ruled_out = {gate: verdicts[gate].reason for gate in RULED_OUT_BY if verdicts[gate].outcome is not Outcome.PASSED}
    error = stdev(means) / math.sqrt(len(means)) if len(means) > 1 else None
    return Candidate(name, mean_of(means), error, ruled_out, len(images))


def select(candidates: Sequence[Candidate], looked_at: int = 0) -> Selection:
    """Choose the likest of the candidates that nothing rules out; the first of equals.

    Args:
        candidates: to choose among.
        looked_at: how many there were before others left on the same images: the best of those is who stands here.

    Raises:
        ValueError: fewer than two candidates: there is nothing to choose.
    """
    if len(candidates) < 2:
        raise ValueError(f"accepted two candidates or more, got {len(candidates)}")
    standing = [place for place, candidate in enumerate(candidates) if not candidate.ruled_out]
    chosen = max(standing, key=lambda place: (candidates[place].likeness, -place), default=None)
    errors = [candidate.standard_error for candidate in candidates if candidate.standard_error is not None]
    optimism = None
    if errors and len(standing) > 1:
        # Candidates share prompts and noise, so they differ by less than independent ones: this is an upper figure.
        optimism = expected_maximum(max(len(standing), looked_at)) * mean_of(errors)
    return Selection(tuple(candidates), chosen, optimism)


def expected_maximum(count: int) -> float:
    """Return the expected largest of ``count`` independent standard normal deviates (0 for one).

    Raises:
        ValueError: ``count`` is below 1.
    """
    if count < 1:
        raise ValueError(f"accepted a count of at least 1, got {count}")
    from scipy.integrate import quad
    from scipy.special import ndtr

    def above(x: float) -> float:
        return 1.0 - float(ndtr(x)) ** count

    def below(x: float) -> float:
        return float(ndtr(x)) ** count

    return float(quad(above, 0.0, 12.0)[0] - quad(below, -12.0, 0.0)[0])
