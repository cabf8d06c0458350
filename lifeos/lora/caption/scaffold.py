"""The part that every caption of a persona shares: trigger and class word, once each."""

import re
from pathlib import Path

from lifeos.errors import InputError
from lifeos.lora.dataset_lint.captions import Caption, caption_findings, length_findings
from lifeos.lora.dataset_lint.tokens import CaptionTokenizer
from lifeos.lora.dataset_lint.words import WordCheck, word_book


def caption_of(trigger: str, class_word: str) -> str:
    """Return the scaffold of a caption."""
    return f"photo of a {trigger} {class_word}"


def check_trigger(trigger: str, instead: str = "WORD") -> None:
    """Refuse a trigger that is no single printable word.

    Args:
        trigger: as given.
        instead: what the message proposes.

    Raises:
        InputError: it is empty, several words, or holds characters that cannot be printed.
    """
    if not trigger or re.search(r"\s", trigger) or not trigger.isprintable():
        raise InputError(f"--trigger: accepted one printable word, got {trigger!r}; next: --trigger {instead}")


def check_caption(trigger: str, class_word: str, tokenizers: list[CaptionTokenizer]) -> None:
    """Refuse what the dataset lint would find in every caption.

    Raises:
        InputError: a class word that is no word, the trigger not exactly once, a banned word, too many tokens.
    """
    if not class_word.strip() or class_word != " ".join(class_word.split()) or not class_word.isprintable():
        raise InputError(f"--class-word: accepted a word such as person, got {class_word!r}; next: leave it out")
    caption = Caption(Path("caption.txt"), caption_of(trigger, class_word))
    found = caption_findings(caption, trigger, WordCheck(word_book(), class_word, trigger))
    found += length_findings(caption, tokenizers)
    if found:
        raise InputError(
            f"caption {caption.text!r}: accepted {found[0].accepted}, got {found[0].got}; "
            "next: another --trigger or --class-word"
        )
