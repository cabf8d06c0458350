"""The search for changes to a recipe that make it fit: edits of ``memory_advice``, each predicted."""

from collections.abc import Callable
from dataclasses import dataclass

from lifeos.lora.memory_advice import Edit, memory_advice
from lifeos.lora.recipe import Recipe

LEAST_SAVING = 0.01
"""Share of what is reserved that a change must save to be worth a word."""


@dataclass(frozen=True)
class Change:
    """An edit of a recipe.

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
    chosen: list[Edit] = []
    refused: set[str] = set()
    held = before = reserved(recipe)
    while True:
        current = _applied(recipe, chosen)
        edit = next((each for each in memory_advice(current, "training") if each.text not in refused), None)
        if edit is None:
            return []
        # The next of one subject, half a batch of half a batch, stands for both.
        trial = [*(each for each in chosen if set(each.update) != set(edit.update)), edit]
        now = reserved(_applied(recipe, trial))
        if held - now < LEAST_SAVING * before and now > limit:
            refused.add(edit.text)
            continue
        chosen, held = trial, now
        if held <= limit:
            return _with_savings(recipe, _needed(recipe, chosen, limit, reserved), reserved)


def _needed(recipe: Recipe, chosen: list[Edit], limit: int, reserved: Callable[[Recipe], int]) -> list[Edit]:
    for edit in reversed(chosen[:-1]):
        fewer = [each for each in chosen if each is not edit]
        # An edit that holds another's keys was made on top of it.
        apart = all(set(edit.update).isdisjoint(each.update) for each in fewer)
        if apart and reserved(_applied(recipe, fewer)) <= limit:
            chosen = fewer
    return chosen


def _with_savings(recipe: Recipe, edits: list[Edit], reserved: Callable[[Recipe], int]) -> list[Change]:
    changes, held = [], reserved(recipe)
    for count, edit in enumerate(edits, 1):
        now = reserved(_applied(recipe, edits[:count]))
        changes.append(Change(edit.text, held - now))
        held = now
    return changes


def _applied(recipe: Recipe, edits: list[Edit]) -> Recipe:
    for edit in edits:
        recipe = recipe.model_copy(update=edit.update)
    return recipe
