"""Which photographs are trained on and which are held out: by content and a seed, a moment on one side only."""

from collections.abc import Sequence
from dataclasses import dataclass

from evals.content_hash import hash_bytes
from lifeos.errors import InputError

LEAST_REFERENCES = 5
"""Four references calibrate likeness; the band of skin compares each with four others."""
LEAST_TRAINING = 5
MOST_REFERENCES = 50
REFERENCE_SHARE = 0.25


@dataclass(frozen=True)
class Split:
    """Digests of photographs, each in one of the three.

    Args:
        training: trained on; a moment whole.
        references: held out, each of another moment, none of a moment that is trained on.
        spared: of a reference's moment -> that reference. Beside it they would make the references look more alike
            than the person's photographs are, in training they would be no strangers to it.
    """

    training: tuple[str, ...]
    references: tuple[str, ...]
    spared: dict[str, str]


def split_moments(moments: Sequence[Sequence[str]], seed: int = 0, references: int | None = None) -> Split:
    """Split photographs into training and references.

    Photographs that stand alone in their moment are held out first, in the order of a hash of seed and content: a
    quarter of all, at least 5, at most 50, and of at most half of the moments. Where too few stand alone, the smallest
    moments give one reference each and lose the rest. Order and names of files change nothing.

    Args:
        moments: digests of the photographs of each moment, none in two of them.
        seed: another one holds out others.
        references: how many to hold out instead, at least 1.

    Raises:
        InputError: too few photographs or moments; the message says what is missing.
    """
    moments = [sorted(moment) for moment in moments if moment]
    count = sum(len(moment) for moment in moments)
    least = LEAST_REFERENCES if references is None else references
    wanted = max(least, min(round(REFERENCE_SHARE * count), MOST_REFERENCES, len(moments) // 2))
    if references is not None:
        wanted = references

    def place(digest: str) -> str:
        return hash_bytes(f"{seed}:{digest}".encode("ascii"))

    def order(moment: Sequence[str]) -> tuple[int, str]:
        return len(moment), min(place(digest) for digest in moment)

    ranked = sorted(moments, key=order)
    alone = sum(len(moment) == 1 for moment in ranked)
    held = ranked[: max(min(wanted, alone), min(least, len(ranked)))]
    chosen = [min(moment, key=place) for moment in held]
    spared = {digest: own for moment, own in zip(held, chosen, strict=True) for digest in moment if digest != own}
    training = sorted(digest for moment in ranked[len(held) :] for digest in moment)
    if len(chosen) < least or len(training) < LEAST_TRAINING:
        raise InputError(_missing(count, len(moments), least, len(training)))
    return Split(tuple(training), tuple(sorted(chosen)), dict(sorted(spared.items())))


def _missing(count: int, moments: int, least: int, training: int) -> str:
    more = max(least + LEAST_TRAINING - count, least + 1 - moments)
    if more <= 0:
        more = LEAST_TRAINING - training
    of_moments = f"{moments} {'moment' if moments == 1 else 'moments'}"
    return (
        f"photographs: accepted at least {least} references, each of another moment, and {LEAST_TRAINING} training "
        f"images of further moments, got {count} usable photographs of {of_moments}; next: add {more} or more, taken "
        "on other occasions"
    )
