"""From image files to the rows that are judged: everything that a persona has to say about them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from lifeos.base_images import base_rows, class_prompts, words_of
from lifeos.clip_scores import ClipScores, clip_scores
from lifeos.measure import ImageToMeasure, Measurements, image_rows
from lifeos.progress import Progress
from lifeos.second_faces import FaceMeasurements, second_faces

if TYPE_CHECKING:
    from evals.calibration import Calibration
    from lifeos.persona import Persona


@dataclass(frozen=True)
class JudgedRows:
    """Makes image rows for one persona.

    Args:
        persona: loaded persona folder.
        measurements: by the face models that judge.
        calibration: of the persona, or None.
        training: a record for each training image.
        second: by the second face models, or None.
        clip: scores by the CLIP model, or None.
        progress: called with (stage, done, total).
    """

    persona: "Persona"
    measurements: Measurements
    calibration: "Calibration | None"
    training: Sequence[Mapping[str, Any]]
    second: FaceMeasurements | None
    clip: ClipScores | None
    progress: Progress

    @classmethod
    def of_persona(
        cls,
        persona: "Persona",
        measurements: Measurements,
        calibration: "Calibration | None",
        training: Sequence[Mapping[str, Any]],
        artifacts: Path,
        engine: ModuleType,
        progress: Progress,
    ) -> "JudgedRows":
        """Find out what else the persona names; nothing heavy is opened yet.

        Raises:
            InputError: it names a folder without a CLIP model.
        """
        second, clip = second_faces(persona, artifacts, engine), clip_scores(persona, artifacts)
        return cls(persona, measurements, calibration, training, second, clip, progress)

    def rows(
        self, images: Sequence[ImageToMeasure], records: Sequence[Mapping[str, Any]], *, trigger: bool = True
    ) -> list[dict[str, Any]]:
        """Return one row for each image.

        Args:
            images: files with prompt and seed.
            records: ``Measurements.of`` each image.
            trigger: False for images of prompts without it.

        Raises:
            InputError: the second face models or CLIP cannot be opened.
        """
        plain = class_prompts(self.persona)
        texts = {p.id: self.persona.fill(p) for p in self.persona.prompts_b} if trigger else plain
        paths, second = [image.path for image in images], None
        if self.second is not None:
            second = self.second.of_all(paths, self.progress, "second face backend")
        clip = None
        # Images from elsewhere may stand for prompts that nobody knows: then nothing was measured, which is said.
        if self.clip is not None and all(image.prompt in plain for image in images):
            # CLIP knows no trigger, so both are scored against the prompt without it.
            clip = self.clip.of_all(paths, [plain[image.prompt] for image in images], self.progress)
        return image_rows(
            images, records, self.training, self.calibration, self.persona.sampler.strength, prompts=texts,
            readable=words_of(self.measurements.reader), second=second, clip=clip,
        )  # fmt: skip

    def base_rows(self) -> list[dict[str, Any]] | None:
        """Return the rows of the base without a LoRA that the calibration holds for these prompts, or None."""
        clip = None if self.clip is None else self.clip.identity
        return base_rows(self.persona, self.calibration, self.measurements.reader, clip)
