"""Images as detectors of known failures see them: their measured rows, and what the policy says of these."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evals.verdict import Verdict, not_evaluated
from lifeos.errors import InputError
from lifeos.inputs import Inputs

if TYPE_CHECKING:
    from lifeos.release import Release


@dataclass(frozen=True)
class Samples:
    """Judged images.

    Args:
        verdicts: by gate id.
        rows: what was measured, a row an image (``evals.image_rows``).
        picture: gives the file of a row, None where it is gone.
    """

    verdicts: Mapping[str, Verdict]
    rows: Sequence[Mapping[str, Any]]
    picture: Callable[[Mapping[str, Any]], Path | None] = lambda row: None

    def verdict(self, gate: str) -> Verdict:
        """Return the verdict of a gate; not evaluated where the images were not judged by it."""
        return self.verdicts.get(gate) or not_evaluated(f"the images were not judged by {gate}")


def released_samples(release: "Release", inputs: Inputs) -> Samples:
    """Return the images of a walked release of these inputs.

    Raises:
        InputError: the walk gave no verdicts.
    """
    from evals.image_rows import read_rows

    if not release.verdicts:
        raise InputError(release.missing)
    metrics = None if release.folder is None else release.folder / "metrics.jsonl"
    rows = [] if metrics is None or not metrics.exists() else read_rows(metrics)
    return Samples(release.verdicts, rows, lambda row: picture_of(row, inputs.artifacts, inputs.images))


def picture_of(row: Mapping[str, Any], artifacts: Path, images: Path | None) -> Path | None:
    """Return the file of an image row: among finished images, or in the store; None where it is gone or another."""
    from evals.content_hash import hash_file
    from lifeos.lora.store import ImageStore

    if images is not None:
        path = images / Path(row["file"]).name
    else:
        try:
            path = ImageStore(artifacts / "samples").path_for(Path(row["file"]).stem)
        except ValueError:
            return None
    return path if path.is_file() and hash_file(path) == row["image"] else None


def recorded_samples(path: Path) -> Samples:
    """Return image rows that were written down, one JSON object a line; nothing judged them and no picture is left.

    Raises:
        InputError: the file cannot be read.
    """
    from evals.image_rows import read_rows

    return Samples({}, read_rows(path))


def measured_samples(inputs: Inputs) -> Samples:
    """Measure and judge finished images by the persona's calibration and the policy; no controls, no champion.

    Raises:
        InputError: no images were handed in, or persona, images, policy or face models cannot be used.
    """
    from evals.calibration import load_calibration
    from evals.content_hash import hash_folder, hash_json
    from evals.policy import load_policy
    from lifeos import engine
    from lifeos.expressions import reader_of
    from lifeos.finished_images import read_images
    from lifeos.judged_rows import JudgedRows
    from lifeos.lora.families import base_hash
    from lifeos.measure import ImageToMeasure, Measurements
    from lifeos.persona import load_persona
    from lifeos.progress import silent
    from lifeos.release import judge_step, judged_domain, training_files

    if inputs.images is None:
        raise InputError("--images: accepted a folder of finished images, got none; next: name the folder")
    persona = load_persona(inputs.persona, inputs.project.root)
    models = hash_json([persona.face_backend, hash_folder(persona.face_folder, "**/*.onnx")])
    measurements = Measurements(
        inputs.artifacts,
        lambda: engine.open_faces(persona.face_backend, persona.face_folder),
        models,
        reader_of(persona.base),
    )
    calibration = load_calibration(persona.calibration) if persona.calibration.exists() else None
    training = measurements.of_all(training_files([str(persona.dataset)]), silent, "training images")
    images = [ImageToMeasure(image.path, image.prompt, image.seed) for image in read_images(inputs.images)]
    records = measurements.of_all([image.path for image in images], silent, "faces")
    judged = JudgedRows.of_persona(persona, measurements, calibration, training, inputs.artifacts, engine, silent)
    rows = judged.rows(images, records)
    bound = judged_domain({"content": {"base": base_hash(persona.base)}}, persona, measurements, records)
    verdicts, _ = judge_step(load_policy(inputs.policy), bound, rows, [], calibration)
    return Samples(verdicts, rows, lambda row: picture_of(row, inputs.artifacts, inputs.images))
