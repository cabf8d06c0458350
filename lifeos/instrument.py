"""The release's first question: does the judge give the known answer to controls? Made once, judged like any images.

Controls that need no LoRA come from the persona's own references (as they come back from the base), its training
images, and the embeddings of strangers kept beside the calibration. One needs the LoRA: its own samples at a strength
that ruins it, a few prompts of the plan.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from evals.atomic import write_bytes
from evals.content_hash import hash_folder, hash_json
from evals.instrument import (
    BLURRED,
    HELD_OUT,
    OTHER_IDENTITY,
    OVERDRIVEN_STRENGTHS,
    PASTED,
    SMOOTHED,
    STRENGTH_0,
    Control,
    ControlResult,
    control_policy,
    instrument_verdict,
    overdriven,
)
from evals.verdict import Verdict, not_evaluated
from lifeos.measure import ImageToMeasure, Measurements, image_rows, images_of
from lifeos.progress import Progress

if TYPE_CHECKING:
    from evals.calibration import Calibration
    from evals.images import RgbImage
    from evals.policy import Policy
    from lifeos.persona import Persona

_SEEDS_A_CONTROL = 3  # how many images stand for one prompt, where a control has no prompts of its own


def overdriven_part(persona: "Persona", policy: "Policy") -> tuple[list[str], tuple[int, ...]]:
    """Return ids of prompts and seeds of the plan that are drawn overdriven: as few as the policy judges."""
    rule = policy.rules["likeness"]
    ids = [prompt.id for prompt in persona.prompts_b]
    chosen = ids[:: max(1, len(ids) // rule.minimum_prompts)][: rule.minimum_prompts]
    return chosen, tuple(persona.seeds.b[: math.ceil(rule.minimum_images / len(chosen))])


class Instrument:
    """Judges the controls of one persona.

    Args:
        persona: loaded persona folder.
        engine: the module that samples and passes images through the base's autoencoder.
        measurements: opens and measures image files.
        calibration: of the persona.
        policy: rules a gate.
        artifacts: data folder; control images lie below ``controls/``.
    """

    def __init__(
        self, persona: "Persona", engine: ModuleType, measurements: Measurements, calibration: "Calibration",
        policy: "Policy", artifacts: Path,
    ) -> None:  # fmt: skip
        """Remember what is judged with; nothing is read or made yet."""
        self._persona, self._engine, self._measurements = persona, engine, measurements
        self._calibration, self._policy, self._artifacts = calibration, policy, artifacts

    def verdict(self, lora: Path | None, training: Sequence[Mapping[str, Any]], progress: Progress) -> Verdict:
        """Make what is missing, judge every control, and say whether the judge may rule.

        Args:
            lora: the file whose strength is overdriven; None for finished images, which have no strength.
            training: ``Measurements.of`` each training image.
            progress: called with (stage, done, total).

        Raises:
            InputError: a reference cannot be read, or base or LoRA cannot be used.
        """
        results = self._of_references(training, progress)
        results.append(self._pasted(training))
        results += self._of_strangers()
        expected = [HELD_OUT, BLURRED, SMOOTHED, PASTED, OTHER_IDENTITY, STRENGTH_0]
        notes = self._grain_note(progress)
        if lora is not None:
            for strength in OVERDRIVEN_STRENGTHS:
                ruined = self._overdriven(lora, strength, training, progress)
                if not ruined.stands:
                    break
                notes.append(f"{ruined.control.name} still draws the person")
            expected.append(ruined.control)
            results.append(ruined)
        return instrument_verdict(results, expected, notes)

    def _of_references(self, training: Sequence[Mapping[str, Any]], progress: Progress) -> list[ControlResult]:
        folders = self._reference_folders(progress)
        results = []
        for control, name in ((HELD_OUT, "held-out"), (BLURRED, "blurred"), (SMOOTHED, "smoothed")):
            results.append(self._judged(control, sorted(folders[name].glob("*.png")), training, progress))
        return results

    def _grain_note(self, progress: Progress) -> list[str]:
        """Say how many smoothed and grained references the skin band refuses: a known limit, told and not judged."""
        low, high = (self._calibration.threshold(key) for key in ("skin_z_low", "skin_z_high"))
        if low is None or high is None:
            return []
        paths = sorted(self._reference_folders(progress)["grained"].glob("*.png"))
        rows = self._rows(paths, [], progress)
        scored = [z for row in rows if (z := row["metrics"].get("skin_z")) is not None]
        caught = sum(not low <= z <= high for z in scored)
        return [f"smoothed with grain over it: the skin band refuses {caught} of {len(scored)}"]

    def _pasted(self, training: Sequence[Mapping[str, Any]]) -> ControlResult:
        images = [ImageToMeasure(Path(f"training-{number}"), *_cell(number)) for number in range(len(training))]
        return self._result(PASTED, image_rows(images, training, training, self._calibration))

    def _of_strangers(self) -> list[ControlResult]:
        from evals.face_similarity_eval import likeness
        from lifeos.strangers import IMPOSTORS_FILE, read_strangers

        kept = read_strangers(self._persona.folder / IMPOSTORS_FILE)
        results = []
        for control, name in ((OTHER_IDENTITY, "identities"), (STRENGTH_0, "nulls")):
            # Who has no pictures of other people has strangers of the base alone.
            embeddings = kept.get(name) if name in kept else kept.get("nulls")
            if embeddings is None or embeddings.shape[1:] != (len(self._calibration.centroid),):
                continue
            rows = [
                _row(f"{name}-{number}", number, {"likeness": likeness(row, self._calibration.centroid)})
                for number, row in enumerate(embeddings)
            ]
            results.append(self._result(control, rows))
        return results

    def _overdriven(
        self, lora: Path, strength: float, training: Sequence[Mapping[str, Any]], progress: Progress
    ) -> ControlResult:
        from lifeos.release_inputs import release_plan

        chosen, seeds = overdriven_part(self._persona, self._policy)
        plan = release_plan(self._persona, chosen, seeds, strength=strength)
        sampled = self._engine.sample(plan, self._persona.base, lora, self._artifacts / "samples", progress)
        images = images_of(sampled)
        records = self._measurements.of_all([image.path for image in images], progress, "controls")
        rows = image_rows(images, records, training, self._calibration, strength)
        return self._result(overdriven(strength), rows)

    def _judged(
        self, control: Control, paths: Sequence[Path], training: Sequence[Mapping[str, Any]], progress: Progress
    ) -> ControlResult:
        return self._result(control, self._rows(paths, training, progress))

    def _rows(
        self, paths: Sequence[Path], training: Sequence[Mapping[str, Any]], progress: Progress
    ) -> list[dict[str, Any]]:
        images = [ImageToMeasure(path, *_cell(number)) for number, path in enumerate(paths)]
        records = self._measurements.of_all(paths, progress, "controls")
        return image_rows(images, records, training, self._calibration)

    def _result(self, control: Control, rows: Sequence[dict[str, Any]]) -> ControlResult:
        from evals.judge import judge

        policy = control_policy(self._policy, len(rows), len({row["prompt"] for row in rows}))
        # Controls are judged as the calibration's own: backend and domain are checked on the images that are judged.
        verdicts = judge(
            rows, self._calibration, policy, backend=self._calibration.backend, domain=self._calibration.domain
        )
        return ControlResult(control, verdicts, len(rows))

    def _reference_folders(self, progress: Progress) -> dict[str, Path]:
        from lifeos.lora.families import base_hash

        persona = self._persona
        key = hash_json(
            [
                hash_folder(persona.references, "*"), base_hash(persona.base), self._engine.IDENTITY,
                self._measurements.identity,  # of which the source of control_images.py is a part
            ]
        )  # fmt: skip
        root = self._artifacts / "controls" / key[:32]
        names = ("held-out", "blurred", "smoothed", "grained")
        whole = root / "whole"
        if not whole.exists():
            self._make(root, progress)
            write_bytes(whole, b"")
        return {name: root / name for name in names}

    def _make(self, root: Path, progress: Progress) -> None:
        from evals.control_images import blurred, grained, smoothed
        from evals.faces import measure_face
        from evals.faces.align import inter_ocular_distance
        from lifeos.calibrate import references_in_domain
        from lifeos.lora.dataset import image_files
        from lifeos.lora.sample import encode_png

        persona = self._persona
        cut, _ = references_in_domain(persona, image_files(persona.references), self._measurements.backend)
        drawable = [image for image in cut if image is not None]
        drawn: Sequence[RgbImage] = self._engine.round_trip(drawable, persona.base, persona.family) if drawable else []
        for number, image in enumerate(drawn):
            found = measure_face(self._measurements.backend, image)
            versions = {"held-out": image}
            if found.faces:
                distance = inter_ocular_distance(found.faces[0].points)
                versions["blurred"] = blurred(image, distance)
                versions["smoothed"] = smoothed(image, distance)
                versions["grained"] = grained(image, distance, number)
            for name, version in versions.items():
                write_bytes(root / name / f"{number:04}.png", encode_png(version))
            progress("controls", number + 1, len(drawn))


def instrument_step(
    persona: "Persona", lora: Path | None, engine: ModuleType, measurements: Measurements,
    calibration: "Calibration | None", policy: "Policy", training: Sequence[Mapping[str, Any]], artifacts: Path,
    progress: Progress,
) -> Verdict:  # fmt: skip
    """Controls -> the verdict of the gate ``instrument``; without a calibration nothing has a known answer."""
    if calibration is None:
        return not_evaluated(f"there is no calibration; next: lifeos calibrate {persona.folder.name}")
    return Instrument(persona, engine, measurements, calibration, policy, artifacts).verdict(lora, training, progress)


def _cell(number: int) -> tuple[str, int]:
    return f"C{number // _SEEDS_A_CONTROL + 1:02d}", number % _SEEDS_A_CONTROL


def _row(name: str, number: int, metrics: dict[str, float | None]) -> dict[str, Any]:
    prompt, seed = _cell(number)
    return {
        "image": hash_json(name), "file": name, "prompt": prompt, "seed": seed, "strength": 1.0, "metrics": metrics,
        "reasons": {},
    }  # fmt: skip
