"""A persona's pictures and captions, looked at once: every finding, and one verdict a gate."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evals.verdict import Outcome, Verdict, failed, not_evaluated, passed
from lifeos.errors import InputError
from lifeos.lora.buckets import Size
from lifeos.lora.dataset_lint.captions import Caption, caption_findings, length_findings, read_captions
from lifeos.lora.dataset_lint.constants import constant_findings
from lifeos.lora.dataset_lint.duplicates import Signatures, disjoint_findings, duplicate_findings
from lifeos.lora.dataset_lint.faces import Measure, face_findings
from lifeos.lora.dataset_lint.finding import Finding, printable
from lifeos.lora.dataset_lint.folder import DatasetFolder, folder_findings, read_folder
from lifeos.lora.dataset_lint.image_facts import FactsCache
from lifeos.lora.dataset_lint.images import image_findings
from lifeos.lora.dataset_lint.rules import GATES, SOFT_GATES, Gate
from lifeos.lora.dataset_lint.tokens import read_tokenizers
from lifeos.lora.dataset_lint.words import WordCheck, word_book
from lifeos.progress import Progress, silent

if TYPE_CHECKING:
    from lifeos.persona import Persona

SCHEMA = "lifeos.dataset/1"
IMAGES, FACES = "reading images", "measuring faces"


@dataclass
class DatasetLint:
    """What was found in a persona's folders.

    Args:
        persona: its folder.
        dataset: the training folder.
        references: the held-out folder.
        captions: by image.
        findings: in the order of files and rules.
        unknown: why a gate could not be evaluated, by gate.
    """

    persona: Path
    dataset: DatasetFolder
    references: DatasetFolder
    captions: dict[Path, Caption] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    unknown: dict[Gate, str] = field(default_factory=dict)

    def of_gate(self, gate: Gate) -> list[Finding]:
        """Return the findings that block one gate."""
        return [finding for finding in self.findings if finding.gate == gate]

    def of_file(self, path: Path) -> list[Finding]:
        """Return the findings of an image: its own and those of its caption."""
        return [finding for finding in self.findings if finding.file in (path, path.with_suffix(".txt"))]

    def verdict(self, gate: Gate) -> Verdict:
        """Return the verdict of one gate: a finding fails it; without one, what could not be looked at decides."""
        found = self.of_gate(gate)
        if found:
            rest = f" (and {len(found) - 1} more: lifeos lint-dataset)" if len(found) > 1 else ""
            return failed(f"{found[0].line}{rest}", value=len(found), threshold=0)
        if gate in self.unknown:
            return not_evaluated(self.unknown[gate])
        return passed(self._counted(gate), value=0, threshold=0)

    @property
    def outcome(self) -> Outcome:
        """The verdict of all hard gates together."""
        outcomes = {self.verdict(gate).outcome for gate in GATES if gate not in SOFT_GATES}
        if Outcome.FAILED in outcomes:
            return Outcome.FAILED
        return Outcome.NOT_EVALUATED if Outcome.NOT_EVALUATED in outcomes else Outcome.PASSED

    def to_json(self) -> dict[str, Any]:
        """Return the answer of ``lifeos lint-dataset --json``."""
        gates = [
            {"id": gate, "severity": "soft" if gate in SOFT_GATES else "hard", **self.verdict(gate).to_json()}
            for gate in GATES
        ]
        return {
            "schema": SCHEMA,
            "persona": str(self.persona),
            "verdict": self.outcome.value,
            "images": len(self.dataset.images),
            "references": len(self.references.images),
            "gates": gates,
            "findings": [finding.to_json() for finding in self.findings],
        }

    def _counted(self, gate: Gate) -> str:
        images, references = len(self.dataset.images), len(self.references.images)
        return {
            "persona_sane": f"{references} references open, show one face each, and none is a training image",
            "dataset_images": f"{images} training images are whole, upright, opaque and large enough",
            "dataset_captions": f"{len(self.captions)} captions fit {images} images",
            "dataset_faces": f"{images} training images show one face of sufficient size each",
            "dataset_duplicates": f"{images} training images differ from each other",
            "dataset_advice": f"nothing to advise on {images} training images",
        }[gate]


def lint_dataset(
    persona: "Persona",
    measure: Measure,
    artifacts: Path,
    *,
    dataset: Path | None = None,
    subfolders: Collection[str] = (),
    trained_trigger: str | None = None,
    buckets: Sequence[Size] | None = None,
    progress: Progress = silent,
) -> DatasetLint:
    """Look at every picture and caption of a persona.

    Args:
        persona: the loaded persona.
        measure: gives the record of an image (``Measurements.of``).
        artifacts: data folder; what was decoded is remembered below ``dataset/``.
        dataset: training folder; default the persona's own.
        subfolders: those of it that training reads, by name.
        trained_trigger: the recipe's trigger, where there is a recipe.
        buckets: sizes (width, height) that training knows; default the one size of the persona's sampler.
        progress: called with (stage, done, total).

    Raises:
        InputError: a folder cannot be listed.
    """
    trained = read_folder(dataset or persona.dataset, subfolders)
    lint = DatasetLint(persona.folder, trained, read_folder(persona.references))
    sizes = list(buckets) if buckets else [(persona.sampler.width, persona.sampler.height)]
    images: tuple[Gate, ...] = ("dataset_images", "dataset_captions", "dataset_faces", "dataset_duplicates")
    if not lint.dataset.images:
        reason = f"{_named(lint.dataset.path)} holds no image"
        lint.unknown |= dict.fromkeys([*images, "dataset_advice", "persona_sane"], reason)
    if not lint.references.images:
        lint.unknown["persona_sane"] = f"{_named(lint.references.path)} holds no image"
    lint.findings += folder_findings(lint.dataset) + folder_findings(lint.references, of_references=True)
    _look_at_captions(lint, persona, trained_trigger)
    _look_at_images(lint, sizes, FactsCache(artifacts), measure, progress)
    # Stable: the rules of one file keep their order.
    lint.findings.sort(key=lambda finding: (finding.of_references, str(finding.file.with_suffix(""))))
    return lint


def _look_at_captions(lint: DatasetLint, persona: "Persona", trained_trigger: str | None) -> None:
    lint.captions, found = read_captions(lint.dataset)
    captions = list(lint.captions.values())
    words = WordCheck(word_book(), persona.class_word, persona.trigger)
    for caption in captions:
        found += caption_findings(caption, persona.trigger, words)
    try:
        tokenizers = read_tokenizers(persona.base)
        for caption in captions:
            found += length_findings(caption, tokenizers)
    except InputError as error:
        lint.unknown.setdefault("dataset_captions", f"token length: {error}")
    frame = word_book().frame
    found += constant_findings(lint.dataset.path, captions, persona.trigger, persona.class_word, frame)
    if trained_trigger is not None and trained_trigger != persona.trigger:
        got, fix = f"{trained_trigger!r}", f"set trigger = {persona.trigger!r} in {persona.recipe.name}"
        found.append(Finding("recipe_trigger", persona.recipe, got, fix, repr(persona.trigger)))
    lint.findings += found


def _look_at_images(
    lint: DatasetLint, sizes: Sequence[Size], cache: FactsCache, measure: Measure, progress: Progress
) -> None:
    training, references = Signatures(), Signatures()
    for number, (path, held_out) in enumerate(_all(lint), 1):
        facts = cache.of(path)
        lint.findings += image_findings(path, facts, sizes, of_references=held_out)
        (references if held_out else training).add(path, facts)
        progress(IMAGES, number, len(lint.dataset.images) + len(lint.references.images))
    lint.findings += duplicate_findings(training, progress)
    lint.findings += disjoint_findings(references, training, progress)
    scored = [(training, False), (references, True)]
    total, number = len(training) + len(references), 0
    try:
        for group, held_out in scored:
            for path in group.paths:
                buckets = () if held_out else sizes
                lint.findings += face_findings(path, measure(path), buckets, of_references=held_out)
                number += 1
                progress(FACES, number, total)
    except InputError as error:
        for blind in ("dataset_faces", "persona_sane"):
            lint.unknown.setdefault(blind, f"faces: {error}")
    unread = len(lint.dataset.images) - len(training)
    if unread:
        reason = f"{unread} of {len(lint.dataset.images)} training images cannot be looked at: see dataset_images"
        for unseen in ("dataset_faces", "dataset_duplicates", "persona_sane"):
            lint.unknown.setdefault(unseen, reason)


def _all(lint: DatasetLint) -> Iterable[tuple[Path, bool]]:
    yield from ((path, False) for path in lint.dataset.images)
    yield from ((path, True) for path in lint.references.images)


def _named(path: Path) -> str:
    return printable(f"{path.parent.name}/{path.name}")
