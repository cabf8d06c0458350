"""What this persona's own references, strangers and the bare base say about the instrument: thresholds, never typed in.

A calibration is bound to a face backend, a domain (base, image size, sampler) and the references it was made from. It
never reads a sample of the LoRA that it will judge.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from evals.atomic import write_json
from evals.calibration_statistics import (
    MINIMUM_REFERENCES,
    copy_distances,
    copy_face_p95,
    genuine_quantile,
    metric_bands,
    skin_bands,
    skin_z_band,
    unit_rows,
    unusable,
)
from evals.content_hash import canonical_json, hash_bytes, hash_json
from evals.diversity_eval import mean_pairwise
from evals.errors import InputError
from evals.face_similarity_eval import centroid, leave_one_out
from evals.inference import clopper_pearson_interval, comparisons_needed, quantile_bounds, upper_quantile
from evals.policy import CALIBRATION_KEYS, LATER_KEYS, calibration_keys

SCHEMA = "lifeos.calibration/1"
LEVEL = 0.95
# A different render of one person sits at least this fraction of the held-out distance away from any training image.
COPY_FRACTION = 0.5
_UNIT_SLACK = 1e-3
_OPTIONAL = {"base", "second"}
_FEWEST_STRANGERS = 2


@dataclass(frozen=True)
class Calibration:
    """Thresholds and bands of one persona on one backend in one domain; all similarities are cosines in [-1, 1].

    Args:
        persona: name of the persona, for the reader only; no threshold depends on it.
        backend: identity of the face backend (name, weights' SHA-256, licence, detector size).
        domain: what the images come from (base hash, image size, sampler ...).
        references_hash: SHA-256 over the reference embeddings, skin features, copy distances and family metrics.
        far: false accept rate that ``tau`` was set for, in (0, 1).
        centroid: unit mean direction of the reference embeddings, d numbers.
        thresholds: numbers by name, one for each of ``evals.policy.CALIBRATION_KEYS``, and for those of the metric
            families that were there when it was made; None where nothing was handed in to derive it from.
        tau_interval: distribution-free 95 % bounds of the quantile behind ``tau``; None on a side that the number of
            comparisons cannot bound.
        tau_group: which group set ``tau``: impostors, impostor_images or nulls.
        far_upper: one-sided 95 % upper bound (Clopper-Pearson) of the false accept rate at ``tau``, over the
            independent comparisons.
        skin_bands: per feature ``{"median", "mad", "count"}`` over the references, natural logarithms.
        counts: references, impostors, impostor_images, nulls, skin, held_out_copy, comparisons, comparisons_needed; and
            null_seeds where it is known how many seeds the nulls (images with a face) came from.
        base: image rows of the base without a LoRA on the prompts of a release less the trigger (``rows``), and what
            they were drawn and read with (``bound_to``); None where nobody looked.
        second: ``backend`` (identity), ``centroid``, ``tau`` and ``nulls`` (how many it was read from) of a second face
            backend; None where the persona has none.
    """

    persona: str
    backend: dict[str, Any]
    domain: dict[str, Any]
    references_hash: str
    far: float
    centroid: tuple[float, ...]
    thresholds: dict[str, float | None]
    tau_interval: tuple[float | None, float | None]
    tau_group: str
    far_upper: float
    skin_bands: dict[str, dict[str, float]]
    counts: dict[str, int]
    base: dict[str, Any] | None = None
    second: dict[str, Any] | None = None

    @property
    def content_hash(self) -> str:
        """SHA-256 over everything but the persona's name: renaming a persona moves no hash and no verdict."""
        return hash_json({key: value for key, value in self.to_json().items() if key != "persona"})

    def threshold(self, key: str) -> float | None:
        """Return the number called ``key``; None where it could not be derived, or is younger than the calibration.

        Raises:
            KeyError: ``key`` is none of ``evals.policy.calibration_keys()``.
        """
        if key not in calibration_keys():
            raise KeyError(key)
        return self.thresholds.get(key)

    def mismatch(self, backend: Mapping[str, Any] | None, domain: Mapping[str, Any] | None) -> str | None:
        """Return why this calibration does not hold for a backend and a domain, or None when it does.

        Not knowing the backend or the domain of the images is a mismatch.
        """
        for name, own, other in (("face backend", self.backend, backend), ("domain", self.domain, domain)):
            if other is None:
                return f"the {name} of the images is not stated"
            if canonical_json(own) != canonical_json(_plain(other)):
                keys = sorted(key for key in own.keys() | other.keys() if own.get(key) != _plain(other).get(key))
                return f"calibrated for another {name} (differs in {', '.join(keys)})"
        return None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types that ``from_json`` reads back to an equal calibration."""
        data = {"schema": SCHEMA, **_plain(asdict(self))}
        # What a calibration has not is not written: one that is older than a field keeps its hash.
        return {key: value for key, value in data.items() if value is not None or key not in _OPTIONAL}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what ``to_json`` wrote, today or before a metric family came or went: only its own thresholds are lost.

        Raises:
            InputError: the schema is another one, a key is missing or unknown, or a number is not finite.
        """
        if data.get("schema") != SCHEMA:
            raise unusable(f"schema {SCHEMA}", repr(data.get("schema")))
        fields = {key: value for key, value in data.items() if key != "schema"}
        wrong = sorted((fields.keys() ^ set(cls.__dataclass_fields__)) - (_OPTIONAL - fields.keys()))
        if wrong:
            raise unusable("the keys of a calibration", f"missing or unknown {', '.join(wrong)}")
        try:
            canonical_json(fields)
            if not set(CALIBRATION_KEYS) - set(LATER_KEYS) <= set(fields["thresholds"]):
                raise ValueError("thresholds must name " + ", ".join(CALIBRATION_KEYS))
            low, high = fields["tau_interval"]
            _check_second(fields.get("second"))
            calibration = cls(
                **{
                    **fields,
                    "far": float(fields["far"]),
                    "far_upper": float(fields["far_upper"]),
                    "centroid": tuple(float(x) for x in fields["centroid"]),
                    "thresholds": {k: None if v is None else float(v) for k, v in fields["thresholds"].items()},
                    "tau_interval": (low, high),
                }
            )
        except (TypeError, ValueError, AttributeError) as error:
            raise unusable("finite numbers", str(error)) from error
        for centre in [calibration.centroid, *([calibration.second["centroid"]] if calibration.second else [])]:
            if abs(math.sqrt(math.fsum(x * x for x in centre)) - 1.0) > _UNIT_SLACK:
                raise unusable("a centroid of length 1", "another length")
        return calibration

    def save(self, path: Path) -> None:
        """Write the calibration as JSON, whole or not at all."""
        write_json(path, self.to_json())


def load_calibration(path: Path) -> Calibration:
    """Read a calibration file.

    Raises:
        InputError: the file is missing, is not JSON, or is refused by ``Calibration.from_json``.
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: accepted a calibration file, got {error}; next: build the calibration") from error
    if not isinstance(data, dict):
        raise InputError(f"{path}: accepted a calibration file, got {type(data).__name__}; next: build the calibration")
    return Calibration.from_json(data)


def build_calibration(
    persona: str,
    backend: Mapping[str, Any],
    domain: Mapping[str, Any],
    references: NDArray[np.floating],
    impostors: NDArray[np.floating],
    impostor_images: NDArray[np.floating],
    nulls: NDArray[np.floating],
    reference_skin: Sequence[Mapping[str, float | None]],
    held_out_copy: Sequence[float],
    far: float,
    *,
    training: NDArray[np.floating] | None = None,
    null_seeds: int | None = None,
    reference_metrics: Sequence[Mapping[str, float | None]] = (),
    base: Mapping[str, Any] | None = None,
    second: Mapping[str, Any] | None = None,
) -> Calibration:
    """Derive every threshold of one persona from references, strangers and the bare base.

    Nulls alone may stand for strangers: ``impostor_mean`` is theirs then, ``impostor_p99`` and ``impostor_maximum`` are
    not derived, and ``tau`` says how seldom the bare base passes, not how seldom another person does.

    ``tau`` is the largest of the ``1 - far`` quantiles of similarity to the centroid over impostor identities, all
    impostor images, and nulls; each quantile is an order statistic, so at most ``far`` of its group lies above it.
    Genuine figures are leave-one-out: each reference against the centroid of the others; from few references they are
    prediction bounds, hence wider. The skin z band is the prediction interval of one more image from the leave-one-out
    z of the references (median and 1.4826 MAD of z, Student-t with n - 1 degrees of freedom, 1 % outside).

    Args:
        persona: name, for the reader only.
        backend: identity of the face backend; plain JSON types.
        domain: what the images come from; plain JSON types.
        references: float [n, d], n >= 4, unit rows, held out of training.
        impostors: float [m, d], unit rows, one an independent identity; m may be 0 where there are 2 nulls or more.
        impostor_images: float [k, d], unit rows: all impostor images pooled; may equal ``impostors``.
        nulls: float [j, d], unit rows: faces of the base without a LoRA, one a seed; j may be 0.
        reference_skin: skin features of each reference (already passed through the VAE), None where unmeasured.
        held_out_copy: distance of each reference to its nearest training image, > 0; may be empty.
        far: false accept rate in (0, 1).
        training: float [t, d], unit rows: embeddings of the training images, for the face-copy band; None: no band.
        null_seeds: how many seeds the nulls were drawn from, faceless images included; for the record only.
        reference_metrics: values of the metric families for each reference (already passed through the VAE), None
            where unmeasured; may be empty.
        base, second: as ``Calibration`` holds them; None where there are none.

    Raises:
        InputError: shapes or lengths do not fit, a number is not finite, a row is not of unit length, there are too few
            rows, ``far`` needs more independent comparisons than there are (the message says how many), a reference is
            a copy of a training image, or references and strangers are not told apart.
    """
    far = float(far)
    if not 0.0 < far < 1.0:
        raise unusable("far inside (0, 1)", str(far))
    references = unit_rows("references", references, MINIMUM_REFERENCES)
    dimension = references.shape[1]
    nulls = unit_rows("nulls", nulls, 0, dimension)
    fewest = 0 if len(nulls) >= _FEWEST_STRANGERS else _FEWEST_STRANGERS
    impostors = unit_rows("impostors", impostors, fewest, dimension)
    impostor_images = unit_rows("impostor_images", impostor_images, len(impostors), dimension)
    for name, given in (
        ("reference_skin", reference_skin),
        ("held_out_copy", held_out_copy),
        ("reference_metrics", reference_metrics),
    ):
        if len(given) not in (0, len(references)):
            raise unusable(f"{name} for each of {len(references)} references", str(len(given)))
    comparisons, needed = len(impostors) + len(nulls), comparisons_needed(far, LEVEL)
    if comparisons < needed:
        raise InputError(
            f"calibration: far {far:g}: accepted at least {needed} independent impostor identities or null seeds, "
            f"got {comparisons}; next: add {needed - comparisons} more, or raise far to {3 / comparisons:.2g}"
        )

    centre = _direction(references)
    to_centre = {
        "impostors": impostors @ centre,
        "impostor_images": impostor_images @ centre,
        "nulls": nulls @ centre,
    }
    genuine = leave_one_out(references)
    quantiles = {name: upper_quantile(values, 1.0 - far) for name, values in to_centre.items() if len(values)}
    # Names are compared only to break ties the same way everywhere.
    tau_group = max(sorted(quantiles), key=lambda name: quantiles[name])
    tau = quantiles[tau_group]
    if tau >= float(genuine.mean()):
        raise unusable(
            "references that are liker to each other than strangers are to them",
            f"mean {genuine.mean():.3f} among references, {tau:.3f} among {tau_group} at far {far:g}",
        )
    independent = np.concatenate([to_centre["impostors"], to_centre["nulls"]])
    # One-sided 95 % is the upper end of the two-sided interval at 90 %.
    accepted = clopper_pearson_interval(int((independent > tau).sum()), comparisons, 2 * LEVEL - 1)
    assert accepted is not None
    skin_low, skin_high, skin_count = skin_z_band(reference_skin)
    copies = copy_distances(held_out_copy)
    people, null_sims = to_centre["impostors"], to_centre["nulls"]
    thresholds: dict[str, float | None] = {
        "tau": tau,
        "impostor_mean": float((people if len(people) else null_sims).mean()),
        "impostor_p99": upper_quantile(people, 0.99) if len(people) else None,
        "impostor_maximum": float(people.max()) if len(people) else None,
        "null_mean": float(null_sims.mean()) if len(null_sims) else None,
        "null_p99": upper_quantile(null_sims, 0.99) if len(null_sims) else None,
        "genuine_mean": float(genuine.mean()),
        "genuine_p05": genuine_quantile(genuine, 0.05),
        "genuine_p10": genuine_quantile(genuine, 0.10),
        "genuine_p95": genuine_quantile(genuine, 0.95),
        "genuine_pairwise": mean_pairwise(references),
        "skin_z_low": skin_low,
        "skin_z_high": skin_high,
        "copy_face_p95": copy_face_p95(references, training, dimension),
        "copy_image_distance": COPY_FRACTION * min(copies) if copies else None,
        **metric_bands(reference_metrics),
    }
    return Calibration(
        persona=persona,
        backend=_plain(backend),
        domain=_plain(domain),
        references_hash=_references_hash(references, reference_skin, copies, reference_metrics),
        far=far,
        centroid=tuple(float(x) for x in centre),
        thresholds=thresholds,
        tau_interval=quantile_bounds(
            to_centre[tau_group],
            1.0 - far,
            LEVEL,
            independent=len(impostors) if tau_group == "impostor_images" else None,
        ),
        tau_group=tau_group,
        far_upper=accepted.high,
        skin_bands=skin_bands(reference_skin),
        counts={
            "references": len(references),
            "impostors": len(impostors),
            "impostor_images": len(impostor_images),
            "nulls": len(nulls),
            "skin": skin_count,
            "held_out_copy": len(copies),
            "comparisons": comparisons,
            "comparisons_needed": needed,
            **({} if null_seeds is None else {"null_seeds": null_seeds}),
        },
        base=None if base is None else _plain(base),
        second=None if second is None else _plain(second),
    )


def _direction(references: NDArray[np.float64]) -> NDArray[np.float64]:
    try:
        return centroid(references)
    except ValueError as error:
        raise unusable("references with a common direction", str(error)) from error


def _references_hash(
    references: NDArray[np.float64],
    skin: Sequence[Mapping[str, float | None]],
    copies: Sequence[float],
    metrics: Sequence[Mapping[str, float | None]],
) -> str:
    rows = hash_bytes(np.ascontiguousarray(references, dtype="<f8").tobytes())
    seen = {"skin": _plain([dict(row) for row in skin]), "metrics": _plain([dict(row) for row in metrics])}
    return hash_json({"embeddings": rows, "copies": list(copies), **seen})


def _check_second(second: Mapping[str, Any] | None) -> None:
    if second is not None and not {"backend", "centroid", "tau", "nulls"} <= second.keys():
        raise ValueError("second must name backend, centroid, tau and nulls")


def _plain(obj: Any) -> Any:
    """Turn tuples to lists and numpy scalars to Python's, so that what is compared is what JSON gives back."""
    if isinstance(obj, Mapping):
        return {key: _plain(value) for key, value in obj.items()}
    if isinstance(obj, list | tuple):
        return [_plain(value) for value in obj]
    return obj.item() if isinstance(obj, np.generic) else obj
