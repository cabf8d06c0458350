"""Attributes of a whole folder to caption phrases: what varies is named, what every picture shows is not.

Brightness and warmth are said against the person's other pictures only: alone, a dark cheek may be skin or light.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from lifeos.lora.caption.attributes import KINDS, Attributes
from lifeos.lora.dataset_lint.rules import rule_book

# One stop, the photographer's own step. Between all 86 renders of the demo persona lie less than .6 from their median.
BRIGHT_STOPS = 1.0
# Red over blue. Half again the largest error on 86 renders of known tint (.31 stops; standard deviation .07).
WARM_STOPS = 0.5
# A picture either has it or not: its absence tells pictures apart.
_PRESENT_OR_NOT = frozenset({"side", "brightness", "warmth", "tilt"})


@dataclass(frozen=True)
class FolderPhrases:
    """What the captions of a folder may say.

    Args:
        phrases: of each picture, in the order of ``KINDS``.
        constant: what every picture shows and no caption says, by kind.
    """

    phrases: list[list[str]]
    constant: dict[str, str] = field(default_factory=dict)


def phrases_of_folder(attributes: Sequence[Attributes]) -> FolderPhrases:
    """Return the phrases of each picture of one folder.

    Args:
        attributes: one a picture; fewer than 8 say nothing of what varies, so everything measured is named then.
    """
    words = [dict(one.words) for one in attributes]
    least = rule_book().limits.least_captions_for_constants
    _relative(attributes, words, "brightness", BRIGHT_STOPS, ("dim light", "bright light"), least)
    _relative(attributes, words, "warmth", WARM_STOPS, ("cool light", "warm light"), least)
    constant = {}
    for kind in KINDS:
        found = [one[kind] for one in words if kind in one]
        enough = len(found) == len(words) if kind in _PRESENT_OR_NOT else True
        if len(found) >= least and enough and len(set(found)) == 1:
            constant[kind] = found[0]
    phrases = [[one[kind] for kind in KINDS if kind in one and kind not in constant] for one in words]
    return FolderPhrases(phrases, constant)


def _relative(
    attributes: Sequence[Attributes],
    words: list[dict[str, str]],
    kind: str,
    limit: float,
    below_above: tuple[str, str],
    least: int,
) -> None:
    values = [getattr(one, kind) for one in attributes]
    known = [value for value in values if value is not None]
    if len(known) < least:
        return
    middle = float(np.median(known))
    for one, value in zip(words, values, strict=True):
        if value is not None and abs(value - middle) >= limit:
            one[kind] = below_above[value > middle]
