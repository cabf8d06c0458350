"""Image files to image rows: every picture is opened, searched for faces and embedded once, whoever asks again."""

import json
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evals.atomic import write_json
from evals.content_hash import hash_bytes, hash_folder, hash_json
from lifeos.processor import on_all_cores
from lifeos.progress import Progress
from lifeos.settings import project_root

if TYPE_CHECKING:
    from evals.calibration import Calibration
    from evals.expression_reader import ExpressionReader
    from evals.faces import FaceBackend, Points
    from evals.images import RgbImage
    from evals.metric_families import Measured
    from lifeos.engine import Sampled
    from lifeos.lora.sample import PlannedImages, SampleResult


# Skin is scored on faces of at least 92 pixels between the eyes in photographs of 512 pixels and more; smaller images
# (the embedded base draws 128 to 256 pixels) ask for the same share of their side.
LARGEST_MINIMUM_INTER_OCULAR = 92.0
MINIMUM_INTER_OCULAR_SHARE = LARGEST_MINIMUM_INTER_OCULAR / 512
RECORD_REVISION = 6
"""Raised when a record gains a key, so that none without it is found again."""
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class ImageToMeasure:
    """One image file with the cell it fills: prompt and seed."""

    path: Path
    prompt: str
    seed: int


def images_of(sampled: "Sampled") -> list[ImageToMeasure]:
    """Return the files of a sampled plan with their cells."""
    return [ImageToMeasure(image.path, image.prompt, image.seed) for image in sampled.images]


def images_of_plan(plan: "SampleResult | PlannedImages") -> list[ImageToMeasure]:
    """Return the files of a plan, rendered or named alone, with their cells."""
    return [ImageToMeasure(image.path, image.request.prompt.id, image.request.seed) for image in plan.images]


def face_models_hash(backend: str, folder: Path) -> str:
    """Return what stands for face models before they are open: the backend's name and its weights."""
    return hash_json([backend, hash_folder(folder, "**/*.onnx")])


class Measurements:
    """What can be known of an image without any persona, remembered by image and backend.

    Args:
        artifacts: data folder; records lie below ``measured/``.
        open_backend: opens the face models; called when the first unknown image comes.
        backend_hash: stands for the face models before they are open.
        reader: of expressions; None where there is none for these pictures.
    """

    def __init__(
        self,
        artifacts: Path,
        open_backend: Callable[[], "FaceBackend"],
        backend_hash: str,
        reader: "ExpressionReader | None" = None,
    ) -> None:
        """Remember where records lie; nothing is opened yet."""
        # Another way of measuring is another record: the source of the evals is part of the name.
        code = hash_folder(project_root() / "evals", "**/*.py")
        name = hash_json([backend_hash, code, RECORD_REVISION, None if reader is None else reader.sha256])
        self.reader = reader
        self.identity = name
        self._folder = artifacts / "measured" / name[:32]
        self._open = open_backend
        self._opened: FaceBackend | None = None
        self._opening = threading.Lock()

    @property
    def backend(self) -> "FaceBackend":
        """The face models, opened when first needed, by whichever thread comes first."""
        with self._opening:
            if self._opened is None:
                self._opened = self._open()
            return self._opened

    def backend_identity(self) -> dict[str, Any]:
        """Return name, weights and licence of the face models as JSON; opens them only when never seen before."""
        known = self._folder / "backend.json"
        if known.exists():
            return dict(json.loads(known.read_text(encoding="utf-8")))
        identity = json.loads(json.dumps(self.backend.identity.to_json()))
        write_json(known, identity)
        return dict(identity)

    def of(self, path: Path) -> dict[str, Any]:
        """Return the record of an image file.

        Keys: ``image`` (SHA-256 of the file), ``size`` [width, height], ``faces`` (count),
        ``inter_ocular`` (pixels between the eyes of the biggest face, or None), ``embedding`` or None and ``reason``,
        ``others`` (embeddings of the next biggest faces), ``boxes`` ([left, top, right, bottom] of each face in pixels,
        biggest first; may reach beyond the border) and ``points`` (five [x, y] of each face, in the same order),
        ``skin`` (feature -> number or None) or None and ``skin_reason``, ``signature`` (numbers), ``flat``,
        ``metrics`` (number or None by name) and ``metric_reasons`` of the metric families, ``corner`` (colour of the
        upper corners, CIELAB), ``expression`` (word, or None without a face or a reader).

        Raises:
            InputError: the file is no image.
        """
        digest = hash_bytes(path.read_bytes())
        known = self._folder / digest[:2] / f"{digest}.json"
        try:
            return dict(json.loads(known.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            pass
        record = {"image": digest, **self._measure(path)}
        write_json(known, record, durable=False)
        return record

    def of_all(self, paths: Sequence[Path], progress: Progress, stage: str) -> list[dict[str, Any]]:
        """Return the records of several files; raises what ``of`` raises."""
        records = []
        for number, record in enumerate(on_all_cores(self.of, paths), 1):
            records.append(record)
            progress(stage, number, len(paths))
        return records

    def _measure(self, path: Path) -> dict[str, Any]:
        from evals.adherence_eval import corner_colour
        from evals.copying_eval import image_signature
        from evals.expression_reader import face_gradients
        from evals.faces import measure_face
        from evals.faces.align import inter_ocular_distance
        from evals.images import is_flat, read_image

        image = read_image(path)
        found = measure_face(self.backend, image)
        points = None if found.embedding is None else found.faces[0].points
        skin, skin_reason = (None, found.reason) if points is None else skin_of(image, points)
        families = families_of(image, points, found.reason)
        reader = self.reader if points is not None else None
        return {
            "size": [int(image.shape[1]), int(image.shape[0])],
            "faces": len(found.faces),
            "inter_ocular": inter_ocular_distance(found.faces[0].points) if found.faces else None,
            "embedding": None if found.embedding is None else [float(x) for x in found.embedding],
            "reason": found.reason,
            "others": [[float(x) for x in row] for row in found.others],
            "boxes": [_rounded(face.box) for face in found.faces],
            "points": [[_rounded(point) for point in face.points] for face in found.faces],
            "skin": skin,
            "skin_reason": skin_reason,
            "signature": [float(x) for x in image_signature(image).ravel()],
            "flat": bool(is_flat(image)),
            "metrics": dict(families.values),
            "metric_reasons": dict(families.reasons),
            "corner": list(corner_colour(image)),
            "expression": None if reader is None or points is None else reader.read(face_gradients(image, points)),
        }


def read_record(artifacts: Path, image: str, backend: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the record of an image that was measured before, without opening any face model.

    Args:
        artifacts: data folder.
        image: SHA-256 of the image file.
        backend: identity of the face models as ``backend_identity`` returns it; records of others are passed over.

    Returns:
        The record with the places of faces (``boxes`` and ``points``), or None where nobody wrote one.
    """
    if backend is None or not _SHA256.fullmatch(image):
        return None
    for known in sorted((artifacts / "measured").glob("*/backend.json")):
        record = _read_json(known.parent / image[:2] / f"{image}.json")
        if record is not None and "boxes" in record and "points" in record and _read_json(known) == dict(backend):
            return record
    return None


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return read if isinstance(read, dict) else None


def _rounded(numbers: Iterable[Any]) -> list[float]:
    # A hundredth of a pixel places a frame; more would only swell the record.
    return [round(float(number), 2) for number in numbers]


def families_of(image: "RgbImage", points: "Points | None", reason: str | None) -> "Measured":
    """Return what the metric families measure; references (as they come back from the base) and samples alike.

    Args:
        image: u8[h,w,3] RGB.
        points: the five points of the face; None where there is none to judge.
        reason: why there are no points.
    """
    from evals.metric_families import Picture, measure_families

    return measure_families(Picture(image, points, reason, _smallest_inter_ocular(image)))


def _smallest_inter_ocular(image: "RgbImage") -> float:
    return min(LARGEST_MINIMUM_INTER_OCULAR, MINIMUM_INTER_OCULAR_SHARE * float(min(image.shape[:2])))


def skin_of(image: "RgbImage", points: "Points") -> tuple[dict[str, float | None] | None, str | None]:
    """Return the skin features of a face and why there are none (one of the two is None).

    The face must be as large as ``MINIMUM_INTER_OCULAR_SHARE`` asks for an image of this size; references (as they come
    back from the base) and samples are all measured through this function.

    Args:
        image: u8[h,w,3] RGB.
        points: the five points of the face.
    """
    from evals.skin_realism_eval import measure_skin

    measured = measure_skin(image, points, minimum_inter_ocular=_smallest_inter_ocular(image))
    if measured.reason is not None:
        return None, measured.reason
    return {name: None if value is None else float(value) for name, value in measured.features.items()}, None


def image_rows(
    images: Sequence[ImageToMeasure],
    records: Sequence[Mapping[str, Any]],
    training: Sequence[Mapping[str, Any]],
    calibration: "Calibration | None",
    strength: float = 1.0,
    *,
    prompts: Mapping[str, str] | None = None,
    readable: Sequence[str] = (),
    second: Sequence[Mapping[str, Any]] | None = None,
    clip: Sequence[float] | None = None,
) -> list[dict[str, Any]]:
    """Return one image row for each image, as ``evals.judge`` reads them.

    Args:
        images: files with prompt and seed.
        records: ``Measurements.of`` each image.
        training: ``Measurements.of`` each training image.
        calibration: of the persona; without one, what is measured against the persona is left out of every row (and
            the gates that need it are not evaluated).
        strength: at which the LoRA was applied.
        prompts: text by prompt id, held against what the images show; None: nobody asks.
        readable: words that the records' expressions were read as (``ExpressionReader.words``).
        second: records of the same images by the second face backend; None without one.
        clip: CLIPScore of each image against its prompt; None without a model.
    """
    from evals.diversity_eval import self_similarity
    from evals.persona_metrics import PersonaMetrics

    against = None if calibration is None else PersonaMetrics(calibration, training)
    # A bystander's face would make a set of one face look diverse.
    alike = self_similarity([record["embedding"] if record["faces"] == 1 else None for record in records])
    rows = []
    for number, (image, record, likeness_to_others) in enumerate(zip(images, records, alike, strict=True)):
        metrics: dict[str, float | None] = {"face_count": float(record["faces"]), "flat": float(record["flat"])}
        metrics |= record["metrics"]
        reasons: dict[str, str] = dict(record["metric_reasons"])
        if against is not None:
            measured = against.of(record, None if second is None else second[number])
            metrics |= measured.values
            reasons |= measured.reasons
        metrics["self_similarity"] = likeness_to_others
        if likeness_to_others is None:
            lonely = "no other image shows a face" if record["faces"] == 1 else f"{record['faces']} faces"
            reasons["self_similarity"] = str(record["reason"] or lonely)
        if clip is not None:
            metrics["clip_score"] = clip[number]
        if prompts is not None:
            followed = _followed(record, prompts.get(image.prompt), readable)
            metrics |= followed.values
            reasons |= followed.reasons
        rows.append(
            {
                "image": record["image"],
                "file": image.path.name,
                "prompt": image.prompt,
                "seed": image.seed,
                "strength": strength,
                "metrics": metrics,
                "reasons": reasons,
            }
        )
    return rows


def _followed(record: Mapping[str, Any], prompt: str | None, readable: Sequence[str]) -> "Measured":
    from evals.adherence_eval import Shown, measure_adherence

    lightness, a, b = record["corner"]
    yaw, reason = record["metrics"]["yaw"], record["metric_reasons"].get("yaw")
    return measure_adherence(prompt, Shown(yaw, (lightness, a, b), record["expression"], tuple(readable), reason))


def likeness_of(record: Mapping[str, Any], centroid: Sequence[float]) -> float | None:
    """Return the likeness of a record's face; None without a face or from another backend than the centroid's."""
    from evals.face_similarity_eval import likeness

    embedding = record["embedding"]
    return likeness(embedding, centroid) if embedding is not None and len(embedding) == len(centroid) else None
