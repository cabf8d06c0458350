"""The arithmetic behind a calibration: arrays and distances in, quantiles and bands out."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from evals.copying_eval import copy_face
from evals.errors import InputError
from evals.face_similarity_eval import centroid
from evals.inference import upper_quantile
from evals.skin_realism_eval import skin_z

MINIMUM_REFERENCES = 4
# A band that one good image leaves with this chance; the policy's share of images outside is far above it.
SKIN_OUTSIDE = 0.01
_UNIT_SLACK = 1e-3
_MAD_TO_SIGMA = 1.4826
# References cannot be known to agree better than this, in natural logarithms: with a MAD of zero any image would be
# infinitely far off.
_SMALLEST_MAD = 0.02


def skin_bands(features: Sequence[Mapping[str, float | None]]) -> dict[str, dict[str, float]]:
    """Return ``{"median", "mad", "count"}`` per skin feature over images; the MAD is unscaled and at least .02.

    A feature measured on fewer than four images gets no band.

    Args:
        features: ``evals.skin_realism_eval.skin_features`` of each image: natural logarithms, None where unmeasured.

    Raises:
        InputError: a value is NaN or infinite.
    """
    bands: dict[str, dict[str, float]] = {}
    for name in sorted({name for row in features for name in row}):
        present = (row.get(name) for row in features)
        values = np.array([value for value in present if value is not None], dtype=np.float64)
        if not np.isfinite(values).all():
            raise unusable(f"finite values of skin feature {name}", "NaN or infinity")
        if len(values) < MINIMUM_REFERENCES:
            continue
        median = float(np.median(values))
        mad = max(float(np.median(np.abs(values - median))), _SMALLEST_MAD)
        bands[name] = {"median": median, "mad": mad, "count": float(len(values))}
    return bands


def skin_z_band(features: Sequence[Mapping[str, float | None]]) -> tuple[float | None, float | None, int]:
    """Return (low, high, n): the band that skin z of one more genuine image leaves with a chance of 1 %.

    Each image's z is taken under the bands of the others; n counts those that have one. The band is the prediction
    interval about their median with 1.4826 MAD for sigma and n - 1 degrees of freedom; (None, None, n) with fewer than
    four, or where they do not vary.

    Args:
        features: skin features of each reference, as ``evals.skin_realism_eval.skin_features`` gives them.

    Raises:
        InputError: a feature is NaN or infinite.
    """
    skin_bands(features)  # refuses NaN before any image is compared
    z: list[float] = []
    for index, own in enumerate(features):
        others = [row for other, row in enumerate(features) if other != index]
        value = skin_z(own, skin_bands(others))
        if value is not None:
            z.append(value)
    return (*_prediction_band(z), len(z))


def metric_bands(rows: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    """Return ``NAME_low`` and ``NAME_high`` for each metric of the metric families: the band of one more genuine image.

    One more image leaves it with a chance of 1 %, as in ``skin_z_band``. Both are None with fewer than four values, or
    where these do not vary.

    Args:
        rows: values of all families for each reference, as the base's autoencoder gave it back; None where unmeasured.

    Raises:
        InputError: a value is NaN or infinite.
    """
    bands: dict[str, float | None] = {}
    for name in sorted({name for row in rows for name in row}):
        values = [value for row in rows if (value := row.get(name)) is not None]
        if not np.isfinite(values).all():
            raise unusable(f"finite values of {name}", "NaN or infinity")
        bands[f"{name}_low"], bands[f"{name}_high"] = _prediction_band(values)
    return bands


def _prediction_band(values: Sequence[float]) -> tuple[float | None, float | None]:
    if len(values) < MINIMUM_REFERENCES:
        return None, None
    from scipy.special import stdtrit

    median = float(np.median(values))
    sigma = _MAD_TO_SIGMA * float(np.median(np.abs(np.array(values) - median)))
    half = float(stdtrit(len(values) - 1, 1.0 - SKIN_OUTSIDE / 2.0)) * sigma * math.sqrt(1.0 + 1.0 / len(values))
    return (median - half, median + half) if half > 0.0 else (None, None)


def copy_face_p95(
    references: NDArray[np.float64], training: NDArray[np.floating] | None, dimension: int
) -> float | None:
    """Return the 95th percentile of <e, nearest training photo> - <e, centroid of the others> over references.

    Fewer than 19 references give the wider bound of ``genuine_quantile``.

    Raises:
        InputError: ``training`` is not a [t, dimension] array of unit rows; None is accepted and gives None.
    """
    if training is None:
        return None
    photos = unit_rows("training", training, 1, dimension)
    gaps = [
        copy_face(row, photos, centroid(np.delete(references, index, axis=0))) for index, row in enumerate(references)
    ]
    return max(upper_quantile(gaps, 0.95), genuine_quantile(gaps, 0.95))


def genuine_quantile(values: Sequence[float] | NDArray[np.floating], share: float) -> float:
    """Return the ``share`` quantile of values of genuine images, widened where they are too few to show it.

    Below ``1 / min(share, 1 - share) - 1`` values (19 for .95) the next genuine image leaves even their extreme more
    often than stated: drawn from 5 normal values, the .95 quantile is left by 17 % of further values (simulated). There
    it is Student's prediction bound of one more value, and never inside the extreme: left by 5 %.

    Args:
        values: at least 2 finite numbers.
        share: in (0, 1); above .5 an upper bound, below it a lower one.
    """
    data = np.asarray(values, dtype=np.float64)
    quantile, n = float(np.quantile(data, share)), len(data)
    if n + 1 >= 1.0 / min(share, 1.0 - share):
        return quantile
    from scipy.special import stdtrit

    bound = float(data.mean() + stdtrit(n - 1, share) * data.std(ddof=1) * math.sqrt(1.0 + 1.0 / n))
    return max(bound, float(data.max())) if share > 0.5 else min(bound, float(data.min()))


def copy_distances(held_out_copy: Sequence[float]) -> list[float]:
    """Return the distances of held-out references to their nearest training images, checked.

    Raises:
        InputError: a distance is NaN, infinite, or not above 0: that reference was trained on.
    """
    copies = [float(distance) for distance in held_out_copy]
    if not all(math.isfinite(distance) and distance > 0.0 for distance in copies):
        raise unusable("held-out references that differ from every training image", "a distance of 0 or NaN")
    return copies


def unit_rows(name: str, rows: NDArray[np.floating], minimum: int, dimension: int | None = None) -> NDArray[np.float64]:
    """Return ``rows`` as float64 [n, d] once they are known to be finite and of unit length.

    Raises:
        InputError: wrong shape, fewer than ``minimum`` rows, NaN or infinity, or a row not of unit length.
    """
    array = np.asarray(rows, dtype=np.float64)
    if array.size == 0 and minimum == 0:
        return np.zeros((0, dimension or 0), dtype=np.float64)
    if array.ndim != 2 or (dimension is not None and array.shape[1] != dimension):
        raise unusable(f"{name} of shape [rows, {dimension or 'd'}]", str(array.shape))
    if len(array) < minimum:
        raise unusable(f"at least {minimum} {name}", str(len(array)))
    if not np.isfinite(array).all():
        raise unusable(f"finite {name}", "NaN or infinity")
    if (np.abs(np.linalg.norm(array, axis=1) - 1.0) > _UNIT_SLACK).any():
        raise unusable(f"{name} of length 1", "another length")
    return array


def unusable(accepted: str, got: str) -> InputError:
    """Return the error that names what a calibration accepts and what came."""
    return InputError(f"calibration: accepted {accepted}, got {got}; next: build the calibration again")
