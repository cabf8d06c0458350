"""Known failures that the trigger and the captions of a dataset show."""

from typing import TYPE_CHECKING

from evals.known_failures import detects

if TYPE_CHECKING:
    from lifeos.lora.dataset_lint.lint import DatasetLint
    from lifeos.persona import Persona

_KNOWN_WORDS = {"sks": "a rifle"}
"""Words chosen for being rare that a published base has a picture of; they count where they are one token."""


@detects("trigger-token-has-prior")
def trigger_means_something(persona: "Persona") -> str | None:
    """Return what the base knows of the trigger: it ends in the class word's own pieces, or is a known word."""
    from lifeos.lora.dataset_lint.tokens import read_pieces

    trigger = persona.trigger.lower()
    for pieces in read_pieces(persona.base):
        found, class_word = pieces(trigger), pieces(persona.class_word.lower())
        if len(found) > len(class_word) and found[-len(class_word) :] == class_word:
            return f"{persona.trigger!r} is read as {' '.join(found)}: it holds the class word {persona.class_word!r}"
        if len(found) == 1 and trigger in _KNOWN_WORDS:
            return f"{persona.trigger!r} is one token of the base, which knows it as {_KNOWN_WORDS[trigger]}"
    return None


@detects("class-leakage")
def class_word_without_the_trigger(persona: "Persona", lint: "DatasetLint") -> str | None:
    """Return the captions that call the persona by the class word alone."""
    from lifeos.lora.dataset import trigger_count

    alone = [
        caption.path.name
        for caption in lint.captions.values()
        if trigger_count(caption.text.lower(), persona.class_word.lower())
        and not trigger_count(caption.text.lower(), persona.trigger.lower())
    ]
    if not alone:
        return None
    return f"{len(alone)} captions name {persona.class_word!r} without {persona.trigger!r}, first {alone[0]}"
