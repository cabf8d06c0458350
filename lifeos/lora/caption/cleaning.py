"""Raw text of a captioner to plain phrases: markup, boilerplate and everything that a caption file must not hold gone.

The text of a model is data: nothing of it is run, followed or believed.
"""

import re
import unicodedata

MOST_CHARACTERS = 4000
# Special tokens of the models (<s>, <loc_12>, <|im_end|>) and tags; addresses.
_MARKUP = re.compile(r"<\|?/?[\w:|-]{0,40}[^<>]{0,80}>|https?://\S*|www\.\S*")
_TERMINAL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_NOT_TEXT = re.compile(r"[^\w\s,.;:!?'’-]|_")
_APART = re.compile(r"[.;:!?\n]+")
_MONOCHROME = re.compile(r"\bblack[\s-]+and[\s-]+white\b", re.IGNORECASE)
_PLACE_FIRST = re.compile(r"\b(in the (?:background|foreground)),", re.IGNORECASE)
# How captioners begin: what they were asked to describe, not what it shows. "arafed" is BLIP's own word.
_BOILERPLATE = re.compile(
    r"\b(?:(?:in )?(?:this|the) (?:image|picture|photo|photograph|portrait|scene)"
    r"(?: (?:shows|features|depicts|captures|displays|is|of))?"
    r"|we can see|there (?:is|are)|(?:can|could) be seen|is (?:visible|shown|seen)|arafed?|arafe|caption)(?!\w)",
    re.IGNORECASE,
)


def phrases_of(raw: str) -> list[list[str]]:
    """Return the sentences of a text, each as its comma phrases in their own case; empty ones left out.

    Args:
        raw: what a backend gave; only its first ``MOST_CHARACTERS`` characters are read.

    Returns:
        Phrases of letters, digits, apostrophes, hyphens and single spaces.
    """
    text = unicodedata.normalize("NFKC", raw[:MOST_CHARACTERS])
    text = _TERMINAL.sub("", text)
    # Line ends part sentences; characters without a shape would hide a word from the lists.
    text = "".join(c for c in text if c in "\n\t" or not unicodedata.category(c).startswith("C"))
    text = _MARKUP.sub(" ", text).replace("’", "'")
    text = _MONOCHROME.sub("monochrome", _PLACE_FIRST.sub(r"\1", text))
    text = _NOT_TEXT.sub(" ", _BOILERPLATE.sub(" ", text))
    sentences = []
    for sentence in _APART.split(text):
        phrases = [" ".join(word for word in map(_word, phrase.split()) if word) for phrase in sentence.split(",")]
        if phrases := [phrase for phrase in phrases if phrase]:
            sentences.append(phrases)
    return sentences


def is_latin(text: str) -> bool:
    """Whether every letter is a Latin one: the lists of words are English and say nothing of other scripts."""
    return all(unicodedata.name(c, "").startswith("LATIN") for c in text if c.isalpha())


def may_name(phrase: str, begins: bool) -> bool:
    """Whether a capital inside the phrase may begin a name; the first word of a sentence has one anyway.

    Args:
        phrase: words in their own case.
        begins: the phrase begins a sentence.
    """
    words = phrase.split()[1 if begins else 0 :]
    # "TV", "T-shirt" and "I" are no names.
    return any(len(word) > 1 and word[0].isupper() and word[1].islower() for word in words)


def _word(word: str) -> str:
    word = word.strip("'-")
    # "woman's": who it belongs to is said by the trigger.
    return word.removesuffix("'s")
