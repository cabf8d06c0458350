"""Changes to a recipe that make it smaller, the cheapest first, and the search for a list of them that is enough."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from lifeos.lora.recipe import Recipe
from lifeos.lora.recipe_support import unsupported

LEAST_SAVING = 0.01
"""Share of what is reserved that a change must save to be worth a word."""
_SMALLER_TARGETS = {"full": "attention_feedforward", "attention_feedforward": "attention"}
_LEAST_SIDE = 512


@dataclass(frozen=True)
class Change:
    """An edit of a recipe.

    Args:
        edit: as it is typed, ``key = value``.
        price: what it costs.
        saves_bytes: reserved bytes that it saves after the changes before it.
    """

    edit: str
    price: str
    saves_bytes: int


@dataclass(frozen=True)
class _Step:
    subject: str
    edit: str
    price: str
    update: dict[str, Any]


def changes_that_fit(recipe: Recipe, limit: int, reserved: Callable[[Recipe], int]) -> list[Change]:
    """Return the cheapest list of changes after which no more than ``limit`` bytes are reserved; empty for none.

    Changes are tried in the order of their price, each predicted on top of those before it, until it is enough; then
    whatever is not needed is taken out again, the dearest first. So every list was predicted as it stands.

    Args:
        recipe: what does not fit.
        limit: bytes.
        reserved: predicts a recipe.
    """
    chosen: list[_Step] = []
    held = before = reserved(recipe)
    for subject in _SUBJECTS:
        for step in subject(_applied(recipe, chosen)):
            trial = [*(each for each in chosen if each.subject != step.subject), step]
            changed = _valid(recipe, trial)
            if changed is None:
                continue
            now = reserved(changed)
            if held - now >= LEAST_SAVING * before:
                chosen, held = trial, now
            if held <= limit:
                return _with_savings(recipe, _needed(recipe, chosen, limit, reserved), reserved)
    return []


def _needed(recipe: Recipe, chosen: list[_Step], limit: int, reserved: Callable[[Recipe], int]) -> list[_Step]:
    for step in reversed(chosen[:-1]):
        fewer = [each for each in chosen if each is not step]
        changed = _valid(recipe, fewer)
        if changed is not None and reserved(changed) <= limit:
            chosen = fewer
    return chosen


def _with_savings(recipe: Recipe, steps: list[_Step], reserved: Callable[[Recipe], int]) -> list[Change]:
    changes, held = [], reserved(recipe)
    for count, step in enumerate(steps, 1):
        now = reserved(_applied(recipe, steps[:count]))
        changes.append(Change(step.edit, step.price, held - now))
        held = now
    return changes


def _applied(recipe: Recipe, steps: list[_Step]) -> Recipe:
    update: dict[str, Any] = {}
    for step in steps:
        update |= step.update
    return recipe.model_copy(update=update)


def _valid(recipe: Recipe, steps: list[_Step]) -> Recipe | None:
    """Return the changed recipe, or None where its keys contradict each other or training does not carry it out."""
    changed = _applied(recipe, steps)
    try:
        Recipe.model_validate({name: getattr(changed, name) for name in Recipe.model_fields})
    except ValidationError:
        return None
    return None if set(unsupported(changed)) - set(unsupported(recipe)) else changed


def _offload(recipe: Recipe) -> Iterator[_Step]:
    if not recipe.offload and (recipe.caches_latents or recipe.caches_text):
        yield _Step("offload", "offload = true", "none: encoders leave once everything is encoded", {"offload": True})


def _sixteen_bits(recipe: Recipe) -> Iterator[_Step]:
    if recipe.dtype == "float32":
        yield _Step("dtype", 'dtype = "bfloat16"', "the frozen base is rounded to 16 bits", {"dtype": "bfloat16"})


def _kept_latents(recipe: Recipe) -> Iterator[_Step]:
    if not recipe.caches_latents and not recipe.colour_augmentation:
        yield _Step("cache_latents", "cache_latents = true", "none: pictures are encoded once", {"cache_latents": True})


def _checkpointing(recipe: Recipe) -> Iterator[_Step]:
    if not recipe.gradient_checkpointing:
        yield _Step("gradient_checkpointing", "gradient_checkpointing = true", "each block is computed twice",
                    {"gradient_checkpointing": True})


def _batch(recipe: Recipe) -> Iterator[_Step]:
    batch, parts = recipe.batch_size, recipe.gradient_accumulation
    while batch % 2 == 0:
        batch, parts = batch // 2, parts * 2
        yield _smaller_batch(batch, parts)
    if batch > 1:
        yield _smaller_batch(1, parts * batch)


def _smaller_batch(batch: int, parts: int) -> _Step:
    return _Step("batch_size", f"batch_size = {batch}, gradient_accumulation = {parts}",
                 "as many pictures a step, in smaller batches", {"batch_size": batch, "gradient_accumulation": parts})


def _optimizer(recipe: Recipe) -> Iterator[_Step]:
    settings = recipe.optimizer
    if settings.name == "adamw":
        yield _Step("optimizer.name", 'optimizer.name = "adamw8bit"', "moments are kept in 8 bits",
                    {"optimizer": settings.model_copy(update={"name": "adamw8bit"})})


def _text_encoders(recipe: Recipe) -> Iterator[_Step]:
    if recipe.train_text_encoder:
        yield _Step("train_text_encoder", "train_text_encoder = false", "the text encoders learn nothing",
                    {"train_text_encoder": False})


def _rank(recipe: Recipe) -> Iterator[_Step]:
    rank = recipe.rank
    while rank > 4:
        rank //= 2
        alpha = None if recipe.alpha is None else recipe.alpha * rank / recipe.rank
        scaled = "" if alpha is None else f", alpha = {alpha:g}"
        yield _Step("rank", f"rank = {rank}{scaled}", "a LoRA that can hold less", {"rank": rank, "alpha": alpha})


def _targets(recipe: Recipe) -> Iterator[_Step]:
    preset: str | None = recipe.targets
    while (preset := _SMALLER_TARGETS.get(preset or "")) is not None:
        yield _Step("targets", f'targets = "{preset}"', "fewer modules carry the LoRA", {"targets": preset})


def _resolution(recipe: Recipe) -> Iterator[_Step]:
    settings = recipe.resolution
    if settings is None:
        return
    for count in range(len(settings.sides) - 1, 0, -1):
        sides = settings.sides[:count]
        if sides[-1] >= _LEAST_SIDE:
            yield _Step("resolution.sides", f"resolution.sides = {list(sides)}", "smaller pictures",
                        {"resolution": settings.model_copy(update={"sides": sides})})


_SUBJECTS: tuple[Callable[[Recipe], Iterator[_Step]], ...] = (
    _offload, _kept_latents, _sixteen_bits, _checkpointing, _batch, _optimizer, _rank, _targets, _text_encoders,
    _resolution,
)  # fmt: skip
