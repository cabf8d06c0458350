"""What a persona is called: its folder, and the word that comes to mean it."""

import re
import unicodedata
from pathlib import Path

from lifeos.errors import InputError
from lifeos.lora.caption.scaffold import check_trigger
from lifeos.lora.dataset_lint.tokens import CaptionTokenizer, read_tokenizers

RARE_TRIGGER = "ohwx"
_LONGEST_NAME = 80
_NOT_IN_NAMES = re.compile(r'[\\/:*?"<>|]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_FEWEST_LETTERS = 4


def default_trigger(name: str) -> str:
    """Return a word without a meaning made from a name: its consonants, filled up to four letters.

    A name without Latin letters gives "".
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode("ascii").lower()
    letters = re.sub(r"[^a-z]", "", plain)
    if not letters:
        return ""
    consonants = re.sub(r"[aeiou]", "", letters)[:8]
    return consonants + "zqxw"[: max(0, _FEWEST_LETTERS - len(consonants))]


def persona_name(name: str) -> str:
    """Return a name as it is written and as its folder is called (NFC).

    Raises:
        InputError: some system does not take it for a folder.
    """
    name = unicodedata.normalize("NFC", name).strip()
    wrong = (
        not name or len(name) > _LONGEST_NAME or not name.isprintable() or _NOT_IN_NAMES.search(name)
        or name[0] in ".-" or name[-1] == "." or _RESERVED.fullmatch(name)
    )  # fmt: skip
    if wrong:
        raise InputError(
            f"--name: accepted a name that every system takes for a folder, up to {_LONGEST_NAME} characters, "
            f"got {name[:_LONGEST_NAME]!r}; next: --name NAME"
        )
    return name


def tokenizers_of(base: Path | None) -> tuple[list[CaptionTokenizer], list[str]]:
    """Return the tokenizers of a base on this machine, or none and why."""
    if base is None:
        return [], ["the trigger is not checked: the base is not here, so nobody knows how its tokenizer cuts it"]
    try:
        return read_tokenizers(base), []
    except InputError as error:
        return [], [f"the trigger is not checked: {error}"]


def choose_trigger(given: str, name: str, tokenizers: list[CaptionTokenizer]) -> tuple[str, list[str]]:
    """Return the trigger and what there is to know of it.

    Args:
        given: what the user chose, or "": the name's own, or ``ohwx`` where only that is one token of the base.
        name: of the persona.
        tokenizers: of the base; empty where it is not here.

    Raises:
        InputError: no word, several, or one with characters that cannot be printed.
    """
    own = default_trigger(name)
    trigger = given or own
    if not given and tokenizers:
        one_token = [word for word in (own, RARE_TRIGGER) if word and _tokens(word, tokenizers) == 1]
        trigger = (one_token or [own])[0]
    if not trigger:
        raise InputError(f"--trigger: accepted a word, got none that {name!r} gives; next: --trigger WORD")
    check_trigger(trigger, own or "WORD")
    if not tokenizers:
        return trigger, []
    count = _tokens(trigger, tokenizers)
    if count == 1:
        return trigger, [f"the trigger {trigger} is one token of the base"]
    return trigger, [f"the trigger {trigger} is {count} tokens of the base, not one: it is learnt as that many words"]


def _tokens(word: str, tokenizers: list[CaptionTokenizer]) -> int:
    return max(tokenizer.count(word) - tokenizer.count("") for tokenizer in tokenizers)
