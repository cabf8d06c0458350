"""What every caption says: an attribute named everywhere is bound to its words instead of the trigger."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from lifeos.lora.dataset_lint.captions import Caption, shown
from lifeos.lora.dataset_lint.finding import Finding
from lifeos.lora.dataset_lint.rules import rule_book
from lifeos.lora.dataset_lint.words import FrameWords

_LONGEST = 5
_SEPARATORS = re.compile(r"[,.;:!?|()\[\]\n]+")
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")


def constant_findings(
    folder: Path, captions: Sequence[Caption], trigger: str, class_word: str, frame: FrameWords
) -> list[Finding]:
    """Return attributes that every caption names, and advice where all captions are one.

    A comma phrase counts as it is (``smiling``); inside a phrase at least two words that stand together do
    (``blue coat``): a single shared word (``background``) is more often the kind than the attribute.

    Args:
        folder: what a finding names.
        captions: of every image.
        trigger, class_word: no attributes, and no phrase reaches across them.
        frame: words that are no attribute.
    """
    constants = constant_phrases([caption.text for caption in captions], trigger, class_word, frame)
    found = [
        Finding("constant_attribute", folder, f"{phrase!r} in each of {len(captions)} captions",
                f"remove {phrase!r} from every caption in {folder.name}/, or add images without it")
        for phrase in constants
    ]  # fmt: skip
    if len(captions) >= rule_book().limits.least_captions_for_constants and len({c.text for c in captions}) == 1:
        text = shown(captions[0].text)
        found.append(
            Finding("captions_identical", folder, f"{text!r} in each of {len(captions)} captions",
                    f"name in each caption of {folder.name}/ what varies: background, light, expression")
        )  # fmt: skip
    return found


def constant_phrases(texts: Sequence[str], trigger: str, class_word: str, frame: FrameWords) -> list[str]:
    """Return the longest attributes that every text names, sorted; none of fewer texts than the rule book asks for.

    Args:
        texts: one a caption.
        trigger, class_word, frame: as ``constant_findings``.
    """
    if len(texts) < rule_book().limits.least_captions_for_constants:
        return []
    barriers = {trigger.lower(), *class_word.lower().split(), *frame.medium}
    shared: set[str] | None = None
    for text in texts:
        phrases = set(_phrases(text.lower(), barriers, set(frame.little)))
        shared = phrases if shared is None else shared & phrases
        if not shared:
            break
    return _longest(shared or ())


def _phrases(text: str, barriers: set[str], little: set[str]) -> Iterable[str]:
    for segment in _SEPARATORS.split(text):
        run: list[str] = []
        runs = [run]
        for word in _WORD.findall(segment):
            if word in barriers:
                run = []
                runs.append(run)
            else:
                run.append(word)
        if len(runs) == 1 and (whole := _trimmed(run, little)):
            yield " ".join(whole)
        for words in runs:
            for start in range(len(words)):
                for stop in range(start + 2, min(start + _LONGEST, len(words)) + 1):
                    part = words[start:stop]
                    if part[0] not in little and part[-1] not in little:
                        yield " ".join(part)


def _trimmed(words: list[str], little: set[str]) -> list[str]:
    while words and words[0] in little:
        words = words[1:]
    while words and words[-1] in little:
        words = words[:-1]
    return words


def _longest(phrases: Iterable[str]) -> list[str]:
    """Return the phrases that are part of no other, sorted."""
    every = sorted(phrases)
    return [one for one in every if not any(one != other and f" {one} " in f" {other} " for other in every)]
