"""The dataset lint applied to what was written: the whole of it with a persona, the captions' rules without one."""

from pathlib import Path
from typing import TYPE_CHECKING

from lifeos.lora.caption.rules import CaptionRules
from lifeos.lora.dataset_lint.captions import caption_findings, read_captions
from lifeos.lora.dataset_lint.constants import constant_findings
from lifeos.lora.dataset_lint.folder import DatasetFolder, folder_findings, read_folder
from lifeos.lora.dataset_lint.lint import DatasetLint, lint_dataset
from lifeos.lora.dataset_lint.rules import GATES, Gate
from lifeos.lora.dataset_lint.words import WordCheck, word_book
from lifeos.progress import Progress, silent

if TYPE_CHECKING:
    from lifeos.lora.dataset_lint.faces import Measure
    from lifeos.persona import Persona

_CAPTIONS: tuple[Gate, ...] = ("dataset_captions", "dataset_advice")


def lint_captions(folder: Path, rules: CaptionRules) -> DatasetLint:
    """Apply the rules that need no persona: files, trigger, words, constants.

    Every other gate is not evaluated, and so is token length: it takes the base.

    Args:
        folder: pictures and captions.
        rules: those that wrote the captions.

    Raises:
        InputError: the folder cannot be listed.
    """
    lint = DatasetLint(folder, read_folder(folder), DatasetFolder(folder))
    lint.findings += folder_findings(lint.dataset)
    lint.captions, found = read_captions(lint.dataset)
    captions = list(lint.captions.values())
    words = WordCheck(word_book(), rules.class_word, rules.trigger)
    for caption in captions:
        found += caption_findings(caption, rules.trigger, words)
    lint.findings += found
    lint.findings += constant_findings(folder, captions, rules.trigger, rules.class_word, word_book().frame)
    lint.unknown |= dict.fromkeys([gate for gate in GATES if gate not in _CAPTIONS], "it takes --persona")
    return lint


def lint_written(
    folder: Path,
    rules: CaptionRules,
    persona: "Persona | None",
    measure: "Measure",
    artifacts: Path,
    progress: Progress = silent,
) -> DatasetLint:
    """Lint a captioned folder.

    Args:
        folder: pictures and captions.
        rules: those that wrote the captions.
        persona: whose references, base and size are held against the folder; None: captions alone.
        measure: gives the record of an image.
        artifacts: data folder.
        progress: called with (stage, done, total).

    Raises:
        InputError: a folder cannot be listed.
    """
    if persona is None:
        return lint_captions(folder, rules)
    return lint_dataset(persona, measure, artifacts, dataset=folder, progress=progress)
