"""From a persona's own pictures to its calibration: references, strangers, and the base without a LoRA.

No sample of any LoRA is read here. References are brought into the domain first: cut around the face and scaled to the
size that the base draws, because a number measured on a photograph of 12 million pixels holds for no sample.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from evals.calibration_statistics import MINIMUM_REFERENCES
from lifeos.errors import InputError
from lifeos.expressions import reader_of
from lifeos.lora.dataset import image_files, pictures_below
from lifeos.measure import Measurements, face_models_hash, families_of, skin_of
from lifeos.progress import Progress, silent
from lifeos.strangers import NULL_IMAGES, gather_strangers, null_hash

if TYPE_CHECKING:
    from evals.calibration import Calibration
    from evals.faces import FaceBackend
    from evals.images import RgbImage
    from lifeos.persona import Persona

__all__ = ["NULL_IMAGES", "Similarities", "calibrate"]


@dataclass(frozen=True)
class Similarities:
    """Cosines to the persona's centroid, each f64[n] in [-1, 1]: what a calibration's thresholds were read from.

    ``genuine`` are references, each against the centroid of the others; ``impostors`` other identities; ``nulls`` faces
    of the base without a LoRA.
    """

    genuine: NDArray[np.float64]
    impostors: NDArray[np.float64]
    nulls: NDArray[np.float64]


def calibrate(
    persona: "Persona",
    artifacts: Path,
    *,
    far: float | None = None,
    impostor_images: Path | None = None,
    null_seeds: int | None = None,
    progress: Progress = silent,
) -> tuple["Calibration", Similarities]:
    """Build the calibration of a persona; nothing is written but what embeddings of strangers had to be made.

    Args:
        persona: loaded persona folder.
        artifacts: data folder; sampled nulls and measurements are kept below it.
        far: false accept rate; default the persona's own.
        impostor_images: folder of pictures, one for each of many other people; replaces the embeddings at hand.
        null_seeds: how many seeds of the base without a LoRA to sample; default: as many as ``far`` needs beside the
            other people at hand, at least 96.
        progress: called with (stage, done, total).

    Returns:
        The calibration, and the similarities it was read from.

    Raises:
        InputError: a reference without exactly one face, too few references or strangers for ``far``.
    """
    from evals.calibration import build_calibration
    from evals.copying_eval import nearest
    from evals.face_similarity_eval import leave_one_out
    from evals.faces import open_backend
    from lifeos.lora.families import base_hash
    from lifeos.release_inputs import release_domain

    far = persona.far if far is None else far
    if not 0.0 < far < 1.0:
        raise InputError(f"--far: accepted a rate above 0 and below 1, got {far:g}; next: leave it out, or 0.01")
    references = _enough_references(persona)
    face_hash = face_models_hash(persona.face_backend, persona.face_folder)
    measurements = Measurements(
        artifacts, lambda: open_backend(persona.face_backend, persona.face_folder), face_hash, reader_of(persona.base)
    )
    records = measurements.of_all(references, progress, "references")
    for path, record in zip(references, records, strict=True):
        if record["embedding"] is None or record["faces"] != 1:
            got = record["reason"] or f"{record['faces']} faces"
            raise InputError(f"{path}: accepted exactly one face, got {got}; next: replace the picture")
    training_records = measurements.of_all(pictures_below(persona.dataset), progress, "training images")
    domain = release_domain(persona, base_hash(persona.base), (persona.sampler.width, persona.sampler.height))
    strangers = gather_strangers(
        persona, artifacts, measurements, far=far, impostor_images=impostor_images, null_seeds=null_seeds,
        bound_to={"faces": face_hash, "nulls": null_hash(persona, domain)}, progress=progress,
    )  # fmt: skip
    drawable, embeddings = references_in_domain(persona, references, measurements.backend)
    skin, metrics = _drawn_rows(persona, drawable, measurements.backend)
    signatures = [np.asarray(record["signature"], dtype=np.float64) for record in training_records]
    own = [np.asarray(record["signature"], dtype=np.float64) for record in records]
    held_out_copy = [nearest(signature, signatures) for signature in own] if signatures else []
    embedded = [record["embedding"] for record in training_records if record["embedding"] is not None]
    calibration = build_calibration(
        persona.name,
        json.loads(json.dumps(measurements.backend_identity())),
        domain,
        embeddings,
        strangers.identities,
        strangers.identities,
        strangers.nulls,
        skin,
        held_out_copy,
        far,
        training=np.asarray(embedded, dtype=np.float32) if embedded else None,
        null_seeds=strangers.null_seeds,
        reference_metrics=metrics,
    )
    others = image_files(impostor_images) if impostor_images is not None else []
    calibration = _with_base(persona, artifacts, measurements, calibration, drawable, others, progress)
    centre = np.asarray(calibration.centroid)
    groups = [rows @ centre if len(rows) else np.zeros(0) for rows in (strangers.identities, strangers.nulls)]
    return calibration, Similarities(leave_one_out(embeddings), *groups)


def _with_base(
    persona: "Persona",
    artifacts: Path,
    measurements: Measurements,
    calibration: "Calibration",
    drawable: Sequence["RgbImage | None"],
    others: Sequence[Path],
    progress: Progress,
) -> "Calibration":
    """Add what the base draws of the prompts without a LoRA, and what a second face backend says of all that."""
    from lifeos.base_images import measure_base, same_base
    from lifeos.clip_scores import clip_scores
    from lifeos.second_faces import calibrate_second, second_faces

    clip, second = clip_scores(persona, artifacts), second_faces(persona, artifacts)
    known = same_base(persona, calibration, measurements.reader, clip)
    if known is not None and second is None:
        return replace(calibration, base=known)
    base, images = measure_base(persona, artifacts, measurements, calibration, clip, progress)
    if second is None:
        return replace(calibration, base=base)
    pictures = [image for image in drawable if image is not None]
    return replace(
        calibration, base=base, second=calibrate_second(second, pictures, [*images, *others], calibration.far)
    )


def _enough_references(persona: "Persona") -> list[Path]:
    """Return the references; too few are refused before anything is opened or sampled."""
    references = image_files(persona.references)
    if len(references) < MINIMUM_REFERENCES:
        raise InputError(
            f"{persona.references}: accepted at least {MINIMUM_REFERENCES} pictures held out of training "
            f"({MINIMUM_REFERENCES + 1} for a band of skin), got {len(references)}; next: add "
            f"{MINIMUM_REFERENCES + 1 - len(references)} that dataset/ does not hold"
        )
    return references


def references_in_domain(
    persona: "Persona", references: Sequence[Path], backend: "FaceBackend"
) -> tuple[list["RgbImage | None"], NDArray[np.float32]]:
    """Bring references to the size that the base draws.

    Returns:
        u8[height,width,3] of each reference, None for one that had to be enlarged (its skin would be blurred), and the
        embeddings f32[n,d] of their faces at that size.

    Raises:
        InputError: a picture cannot be read, or shows no face at that size.
    """
    from evals.faces import measure_face
    from evals.faces.framing import cut, portrait_box
    from evals.images import read_image

    size = (persona.sampler.width, persona.sampler.height)
    drawable: list[RgbImage | None] = []
    rows = []
    for path in references:
        image = read_image(path)
        held: RgbImage | None = image
        if image.shape[1::-1] != size:
            found = measure_face(backend, image)
            box = portrait_box((image.shape[1], image.shape[0]), size, found.faces[0].points)
            held = image = cut(image, box, size)
            if box[2] - box[0] < size[0]:
                held = None
        found = measure_face(backend, image)
        if found.embedding is None:
            raise InputError(
                f"{path}: accepted a face that is found at {size[0]} x {size[1]} too, got {found.reason}; "
                "next: replace the picture"
            )
        drawable.append(held)
        rows.append(found.embedding)
    return drawable, np.asarray(rows, dtype=np.float32)


def _drawn_rows(
    persona: "Persona", drawable: Sequence["RgbImage | None"], backend: "FaceBackend"
) -> tuple[list[dict[str, float | None]], list[dict[str, float | None]]]:
    """Return skin features, and metrics of the families, of each reference as the base's autoencoder gives it back.

    All are None where there is no such picture or no face in it.
    """
    from evals.faces import measure_face
    from lifeos.lora.sample import round_trip

    present = [image for image in drawable if image is not None]
    drawn: Iterator[RgbImage] = iter(round_trip(present, persona.base, persona.family) if present else ())
    skin: list[dict[str, float | None]] = []
    metrics: list[dict[str, float | None]] = []
    for image in drawable:
        skin.append({})
        metrics.append({})
        if image is not None:
            back = next(drawn)
            found = measure_face(backend, back)
            points = None if found.embedding is None else found.faces[0].points
            if points is not None:
                skin[-1] = skin_of(back, points)[0] or {}
            metrics[-1] = dict(families_of(back, points, found.reason).values)
    return _filled(skin), _filled(metrics)


def _filled(rows: Sequence[dict[str, float | None]]) -> list[dict[str, float | None]]:
    """Return the rows with the same names in each, None where a row had none."""
    names = sorted({name for row in rows for name in row})
    return [{name: row.get(name) for name in names} for row in rows]
