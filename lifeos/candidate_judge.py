"""What images of a LoRA on prompt set A are worth: asked for each checkpoint, strength and look at a training run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from evals.selection import Candidate, measured_candidate
from lifeos.errors import InputError
from lifeos.measure import ImageToMeasure, Measurements, face_models_hash, image_rows
from lifeos.progress import Progress

if TYPE_CHECKING:
    from evals.calibration import Calibration
    from evals.policy import Policy
    from lifeos.persona import Persona


@dataclass(frozen=True)
class JudgedCandidate:
    """A candidate with the rows and records that it was judged from, an entry an image."""

    candidate: Candidate
    rows: Sequence[Mapping[str, Any]]
    records: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class CandidateJudge:
    """Judges candidates of one persona; what they are compared with is read once.

    Args:
        calibration: of the persona.
        policy: rules a gate.
        measurements: by the face models that the calibration was made with.
        training: a record for each training image.
    """

    calibration: "Calibration"
    policy: "Policy"
    measurements: Measurements
    training: Sequence[Mapping[str, Any]]

    @classmethod
    def of_persona(
        cls, persona: "Persona", policy: Path, artifacts: Path, engine: ModuleType, progress: Progress,
        datasets: Sequence[Path] = (),
    ) -> "CandidateJudge":  # fmt: skip
        """Read calibration and policy, and measure the training images.

        Args:
            persona: loaded persona folder.
            policy: file of the rules.
            artifacts: data folder.
            engine: opens the face models.
            progress: called with ("training images", done, total).
            datasets: folders of training images beside the persona's own.

        Raises:
            InputError: there is no calibration, or one of other face models, or a file cannot be read.
        """
        from evals.calibration import load_calibration
        from evals.policy import load_policy
        from lifeos.expressions import reader_of
        from lifeos.lora.dataset import pictures_below

        if not persona.calibration.exists():
            raise InputError(f"{persona.calibration}: accepted a calibration, got none there; next: lifeos calibrate "
                             f"{persona.folder.name}")  # fmt: skip
        calibration = load_calibration(persona.calibration)
        measurements = Measurements(
            artifacts, lambda: engine.open_faces(persona.face_backend, persona.face_folder),
            face_models_hash(persona.face_backend, persona.face_folder), reader_of(persona.base),
        )  # fmt: skip
        mismatch = calibration.mismatch(measurements.backend_identity(), calibration.domain)
        if mismatch:
            raise InputError(f"{persona.calibration}: {mismatch}; next: lifeos calibrate {persona.folder.name}")
        folders = {folder.resolve(): folder for folder in (persona.dataset, *datasets)}
        files = [path for folder in folders.values() for path in pictures_below(folder)]
        training = measurements.of_all(files, progress, "training images")
        return cls(calibration, load_policy(policy), measurements, training)

    def judge(
        self, name: str, images: Sequence[ImageToMeasure], strength: float, progress: Progress
    ) -> JudgedCandidate:
        """Measure and judge the images of one candidate.

        Args:
            name: of the candidate.
            images: files with their cells of set A.
            strength: at which the LoRA was applied.
            progress: called with ("faces", done, total).

        Raises:
            InputError: a file is no image.
        """
        records = self.measurements.of_all([image.path for image in images], progress, "faces")
        return self.judge_measured(name, images, records, strength)

    def judge_measured(
        self, name: str, images: Sequence[ImageToMeasure], records: Sequence[Mapping[str, Any]], strength: float,
        prompts: Mapping[str, str] | None = None,
    ) -> JudgedCandidate:  # fmt: skip
        """Judge images of one candidate that are measured already.

        Args:
            name: of the candidate.
            images: files with their cells of set A.
            records: ``Measurements.of`` each image.
            strength: at which the LoRA was applied.
            prompts: text by prompt id, held against what the images show; None: nobody asks.
        """
        from lifeos.base_images import words_of

        rows = image_rows(
            images, records, self.training, self.calibration, strength, prompts=prompts,
            readable=words_of(self.measurements.reader),
        )  # fmt: skip
        return JudgedCandidate(measured_candidate(name, rows, self.calibration, self.policy), rows, records)
