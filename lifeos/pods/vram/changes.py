"""The search for changes to a recipe, or to how images are drawn, that make it fit: each predicted."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

from lifeos.lora.memory_advice import Edit, memory_advice
from lifeos.lora.recipe import Recipe
from lifeos.pods.vram.prediction import Sampling

LEAST_SAVING = 0.01
"""Share of what is reserved that a change must save to be worth a word."""


_Asked = TypeVar("_Asked", Recipe, Sampling)


@dataclass(frozen=True)
class Change:
    """An edit of a recipe or of a persona's sampler.

    Args:
        edit: as it is typed, ``key = value``.
        saves_bytes: reserved bytes that it saves after the changes before it.
    """

    edit: str
    saves_bytes: int


def changes_that_fit(recipe: Recipe, limit: int, reserved: Callable[[Recipe], int]) -> list[Change]:
    """Return the cheapest list of changes after which no more than ``limit`` bytes are reserved; empty for none.

    Edits are tried in the order of ``memory_advice``, what costs the result least first, each predicted on top of those
    before it, until it is enough; then whatever is not needed is taken out again, the dearest first. So the list was
    predicted as it stands.

    Args:
        recipe: what does not fit.
        limit: bytes.
        reserved: predicts a recipe.
    """
    return _searched(recipe, limit, reserved, lambda current: memory_advice(current, "training"))


def sampling_changes_that_fit(sampling: Sampling, limit: int, reserved: Callable[[Sampling], int]) -> list[Change]:
    """Return the cheapest list of changes of ``[sampler]`` after which no more than ``limit`` bytes are reserved.

    What moves no pixel comes first: decoding one by one, smaller batches; then tiles, which move pixels near their
    edges, then an autoencoder in 16 bits.

    Args:
        sampling: what does not fit.
        limit: bytes.
        reserved: predicts a way of sampling.
    """
    return _searched(sampling, limit, reserved, lambda current: list(_sampling_edits(current)))


def _sampling_edits(sampling: Sampling) -> Iterator[Edit]:
    if not sampling.vae_slicing and sampling.images > 1:
        yield Edit("vae_slicing = true", {"vae_slicing": True})
    if sampling.images > 1:
        half = sampling.images // 2
        yield Edit(f"batch = {half}", {"images": half})
    if not sampling.vae_tiling:
        yield Edit("vae_tiling = true", {"vae_tiling": True})
    if sampling.vae_dtype == "float32" and sampling.dtype == "bfloat16":
        yield Edit('vae_dtype = "bfloat16"', {"vae_dtype": "bfloat16"})


def _searched(
    asked: _Asked, limit: int, reserved: Callable[[_Asked], int], advice: Callable[[_Asked], list[Edit]]
) -> list[Change]:
    chosen: list[Edit] = []
    refused: set[str] = set()
    held = before = reserved(asked)
    is_worth_another_round = False
    while True:
        offered = [each for each in advice(_applied(asked, chosen)) if each.text not in refused]
        if not offered and is_worth_another_round:
            # What saved nothing under one peak may save much under another.
            refused, is_worth_another_round = set(), False
            continue
        if not offered:
            return []
        edit: Edit = offered[0]
        # The next of one subject, half a batch of half a batch, stands for both.
        trial = [*(each for each in chosen if set(each.update) != set(edit.update)), edit]
        now = reserved(_applied(asked, trial))
        if held - now < LEAST_SAVING * before and now > limit:
            refused.add(edit.text)
            continue
        chosen, held, is_worth_another_round = trial, now, bool(refused)
        if held <= limit:
            return _with_savings(asked, _needed(asked, chosen, limit, reserved), reserved)


def _needed(asked: _Asked, chosen: list[Edit], limit: int, reserved: Callable[[_Asked], int]) -> list[Edit]:
    for edit in reversed(chosen[:-1]):
        fewer = [each for each in chosen if each is not edit]
        # An edit that holds another's keys was made on top of it.
        apart = all(set(edit.update).isdisjoint(each.update) for each in fewer)
        if apart and reserved(_applied(asked, fewer)) <= limit:
            chosen = fewer
    return chosen


def _with_savings(asked: _Asked, edits: list[Edit], reserved: Callable[[_Asked], int]) -> list[Change]:
    changes, held = [], reserved(asked)
    for count, edit in enumerate(edits, 1):
        now = reserved(_applied(asked, edits[:count]))
        changes.append(Change(edit.text, held - now))
        held = now
    return changes


def _applied(asked: _Asked, edits: list[Edit]) -> _Asked:
    for edit in edits:
        asked = asked.model_copy(update=edit.update) if isinstance(asked, Recipe) else replace(asked, **edit.update)
    return asked
