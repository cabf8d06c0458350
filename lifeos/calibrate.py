"""From a persona's own pictures to its calibration: references, strangers, and the base without a LoRA.

No sample of any LoRA is read here. What is slow to make again (embeddings of strangers and of the bare base's faces)
is kept beside the persona in ``impostors/embeddings.safetensors``, bound to the face models and the base it came from.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from evals.atomic import write_bytes
from evals.content_hash import hash_folder, hash_json
from lifeos.errors import InputError
from lifeos.measure import Measurements
from lifeos.processor import resolve_dtype
from lifeos.progress import Progress, silent

if TYPE_CHECKING:
    from evals.calibration import Calibration
    from lifeos.persona import Persona, Prompt

IMPOSTORS_FILE = "impostors/embeddings.safetensors"
NULL_IMAGES = 96
# Null seeds lie far from the seeds that prompt sets use, so that no null shares its noise with a judged sample.
FIRST_NULL_SEED = 700_000


@dataclass(frozen=True)
class Strangers:
    """Faces that are not the persona: ``identities`` f32[m,d], one a person, and ``nulls`` f32[j,d], one a seed."""

    identities: NDArray[np.float32]
    nulls: NDArray[np.float32]


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
    null_images: int = NULL_IMAGES,
    progress: Progress = silent,
) -> tuple["Calibration", Similarities]:
    """Build the calibration of a persona; nothing is written but what embeddings of strangers had to be made.

    Args:
        persona: loaded persona folder.
        artifacts: data folder; sampled nulls and measurements are kept below it.
        far: false accept rate; default the persona's own.
        impostor_images: folder of PNG pictures, one for each of many other people; replaces the embeddings at hand.
        null_images: how many faces of the base without a LoRA to sample when they are not at hand.
        progress: called with (stage, done, total).

    Returns:
        The calibration, and the similarities it was read from.

    Raises:
        InputError: a reference without exactly one face, too few references or strangers for ``far``, or no strangers.
    """
    from evals.calibration import build_calibration
    from evals.copying_eval import nearest
    from evals.face_similarity_eval import leave_one_out
    from evals.faces import measure_face, open_backend
    from evals.images import read_image
    from evals.skin_realism_eval import skin_features
    from lifeos.lora.families import base_hash
    from lifeos.lora.sample import round_trip
    from lifeos.release_inputs import release_domain

    face_hash = hash_json([persona.face_backend, hash_folder(persona.face_folder, "**/*.onnx")])
    measurements = Measurements(artifacts, lambda: open_backend(persona.face_backend, persona.face_folder), face_hash)
    references = sorted(persona.references.glob("*.png"))
    training = sorted(persona.dataset.glob("*.png"))
    if not references:
        raise InputError(
            f"{persona.references}: accepted PNG pictures held out of training, got none; next: add references"
        )
    records = measurements.of_all(references, progress, "references")
    for path, record in zip(references, records, strict=True):
        if record["embedding"] is None:
            raise InputError(f"{path}: accepted exactly one face, got {record['reason']}; next: replace the picture")
    training_records = measurements.of_all(training, progress, "training images")
    domain = release_domain(persona, base_hash(persona.base), records[0]["size"])
    # Faces of the bare base belong to one way of sampling and one set of prompts, as thresholds do.
    null_hash = hash_json([domain, [_without_trigger(persona, prompt.text) for prompt in _null_prompts(persona)]])
    bound_to = {"faces": face_hash, "nulls": null_hash}
    strangers = _strangers(persona, artifacts, measurements, impostor_images, null_images, bound_to, progress)

    drawn = round_trip([read_image(path) for path in references], persona.base, persona.family)
    skin: list[dict[str, float | None]] = []
    for image in drawn:
        found = measure_face(measurements.backend, image)
        skin.append({} if found.embedding is None else dict(skin_features(image, found.faces[0].points)))
    features = sorted({name for row in skin for name in row})
    signatures = [np.asarray(record["signature"], dtype=np.float64) for record in training_records]
    held_out_copy = [nearest(np.asarray(r["signature"], dtype=np.float64), signatures) for r in records]
    embedded = [record["embedding"] for record in training_records if record["embedding"] is not None]
    embeddings = _array([record["embedding"] for record in records])
    calibration = build_calibration(
        persona.name,
        json.loads(json.dumps(measurements.backend_identity())),
        domain,
        embeddings,
        strangers.identities,
        strangers.identities,
        strangers.nulls,
        [{name: row.get(name) for name in features} for row in skin],
        held_out_copy if signatures else [],
        persona.far if far is None else far,
        training=_array(embedded) if embedded else None,
    )
    centre = np.asarray(calibration.centroid)
    nulls = strangers.nulls @ centre if len(strangers.nulls) else np.zeros(0)
    return calibration, Similarities(leave_one_out(embeddings), strangers.identities @ centre, nulls)


def _strangers(
    persona: "Persona", artifacts: Path, measurements: Measurements, impostor_images: Path | None, null_images: int,
    bound_to: dict[str, str], progress: Progress,
) -> Strangers:  # fmt: skip
    path = persona.folder / IMPOSTORS_FILE
    known, facts = _read(path)
    if facts.get("faces") != bound_to["faces"]:
        known = {}
    if impostor_images is not None:
        pictures = sorted(impostor_images.glob("*.png"))
        rows = [r["embedding"] for r in measurements.of_all(pictures, progress, "impostors")]
        known["identities"] = _array([row for row in rows if row is not None])
    if "nulls" not in known or facts.get("nulls") != bound_to["nulls"]:
        known["nulls"] = _sample_nulls(persona, artifacts, measurements, null_images, progress)
    if not len(known.get("identities", ())) and not len(known["nulls"]):
        raise InputError(
            f"{path}: accepted pictures of other people, got none; next: lifeos calibrate {persona.folder.name} "
            "--impostors FOLDER"
        )
    from safetensors.numpy import save

    write_bytes(path, save(known, metadata=bound_to))
    if "identities" not in known:
        # Null seeds alone may calibrate: the bare base's people are strangers too. They count once.
        return Strangers(known["nulls"], known["nulls"][:0])
    return Strangers(known["identities"], known["nulls"])


def _sample_nulls(
    persona: "Persona", artifacts: Path, measurements: Measurements, count: int, progress: Progress
) -> NDArray[np.float32]:
    """Faces of the base without a LoRA, f32[j,d], each from a noise of its own; images without a face give no row."""
    from lifeos.lora.sample_once import sample_once
    from lifeos.lora.sample_plan import PlannedPrompt, SamplePlan

    prompts = _null_prompts(persona)
    each, rows = -(-count // len(prompts)), []
    for number, prompt in enumerate(prompts):
        text = _without_trigger(persona, prompt.text)
        first = FIRST_NULL_SEED + number * each
        plan = SamplePlan(
            prompts=(PlannedPrompt(prompt.id, text),), seeds=tuple(range(first, first + each)),
            sampler=persona.sampler.name, steps=persona.sampler.steps, guidance=persona.sampler.guidance,
            width=persona.sampler.width, height=persona.sampler.height,
            dtype=resolve_dtype(persona.sampler.dtype), family=persona.family,
        )  # fmt: skip
        result = sample_once(plan, persona.base, None, artifacts, progress)
        rows += [r["embedding"] for r in measurements.of_all([i.path for i in result.images], progress, "null faces")]
    return _array([row for row in rows if row is not None])


def _null_prompts(persona: "Persona") -> list["Prompt"]:
    return persona.prompts_a or persona.prompts_b


def _without_trigger(persona: "Persona", text: str) -> str:
    return " ".join(text.replace("{trigger}", "").replace("{class}", persona.class_word).split())


def _read(path: Path) -> tuple[dict[str, NDArray[np.float32]], dict[str, str]]:
    if not path.exists():
        return {}, {}
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), "numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except SafetensorError as error:
        raise InputError(f"{path}: accepted a safetensors file, got {error}; next: delete it and calibrate") from error


def _array(rows: Sequence[Any]) -> NDArray[np.float32]:
    return np.asarray(rows, dtype=np.float32) if len(rows) else np.zeros((0, 0), dtype=np.float32)
