"""What in a recipe to change when memory runs out: only what is not so yet, what costs the result least first."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError

from lifeos.lora.recipe import Recipe
from lifeos.lora.recipe.contradictions import FLOW_FAMILIES
from lifeos.processor import computes_bfloat16, gpus_compute_bfloat16

Stage = Literal["encoding", "training"]
_SMALLER_TARGETS = {"full": "attention_feedforward", "attention_feedforward": "attention"}
_LEAST_RANK = 4


@dataclass(frozen=True)
class Edit:
    """A change of a recipe: the keys as they are typed, and the same as fields of ``Recipe``."""

    text: str
    update: dict[str, Any]


def memory_advice(recipe: Recipe, stage: Stage) -> list[Edit]:
    """Return edits that each need less memory, in the order in which to try them, each on top of those before.

    Every recipe on the way is valid. How much an edit saves is not computed here.

    Args:
        recipe: what ran out of memory.
        stage: while pictures and captions were encoded, or in a step.
    """
    edits: list[Edit] = []
    for subject in _OF_STAGE[stage]:
        for edit in subject(recipe):
            changed = _edited(recipe, edit)
            if changed is not None:
                recipe = changed
                edits.append(edit)
                break
    return edits


def _edited(recipe: Recipe, edit: Edit) -> Recipe | None:
    changed = recipe.model_copy(update=edit.update)
    try:
        return Recipe.model_validate({name: getattr(changed, name) for name in Recipe.model_fields})
    except ValidationError:
        return None


def _edit(**update: Any) -> Edit:
    shown = {True: "true", False: "false"}
    lines = (f"{name} = {shown[value] if isinstance(value, bool) else repr(value)}" for name, value in update.items())
    return Edit(" and ".join(lines).replace("'", '"'), update)


def _offload(recipe: Recipe) -> Iterator[Edit]:
    if recipe.device == "cuda" and not recipe.offload and (recipe.caches_latents or recipe.caches_text):
        yield _edit(offload=True)


def _caches(recipe: Recipe) -> Iterator[Edit]:
    # Said to be false where nothing asks for it: then an encoder stays in memory for nothing.
    if recipe.cache_latents is False:
        yield _edit(cache_latents=True)
    if recipe.cache_text is False:
        yield _edit(cache_text=True)


def _checkpointing(recipe: Recipe) -> Iterator[Edit]:
    if not recipe.gradient_checkpointing:
        yield _edit(gradient_checkpointing=True)


def _batch(recipe: Recipe) -> Iterator[Edit]:
    # A step keeps as many pictures.
    for parts in range(2, recipe.batch_size + 1):
        if recipe.batch_size % parts == 0:
            yield _edit(batch_size=recipe.batch_size // parts,
                        gradient_accumulation=recipe.gradient_accumulation * parts)  # fmt: skip


def _sixteen_bits(recipe: Recipe) -> Iterator[Edit]:
    if recipe.effective_dtype != "float32":
        return
    if recipe.device == "cuda":
        yield _edit(dtype="bfloat16" if gpus_compute_bfloat16() else "float16")
    elif computes_bfloat16():
        yield _edit(dtype="bfloat16")


def _loaded_in_sixteen_bits(recipe: Recipe) -> Iterator[Edit]:
    # A processor, and the other families anywhere, load float32 whatever the type is.
    if recipe.device == "cuda" and recipe.family in FLOW_FAMILIES:
        yield from _sixteen_bits(recipe)


def _eight_bits(recipe: Recipe) -> Iterator[Edit]:
    if recipe.device == "cuda" and recipe.optimizer.name == "adamw":
        changed = recipe.optimizer.model_copy(update={"name": "adamw8bit"})
        yield Edit('optimizer.name = "adamw8bit"', {"optimizer": changed})


def _text_encoders(recipe: Recipe) -> Iterator[Edit]:
    if recipe.train_text_encoder:
        update: dict[str, Any] = {"train_text_encoder": False}
        # The rate of nothing is refused.
        update["optimizer"] = recipe.optimizer.model_copy(update={"text_encoder_learning_rate": None})
        without = " without optimizer.text_encoder_learning_rate"
        rate = recipe.optimizer.text_encoder_learning_rate
        yield Edit(f"train_text_encoder = false{without if rate is not None else ''}", update)


def _dora(recipe: Recipe) -> Iterator[Edit]:
    if recipe.dora:
        yield _edit(dora=False)


def _targets(recipe: Recipe) -> Iterator[Edit]:
    if recipe.targets in _SMALLER_TARGETS:
        yield _edit(targets=_SMALLER_TARGETS[recipe.targets])


def _rank(recipe: Recipe) -> Iterator[Edit]:
    if recipe.rank >= 2 * _LEAST_RANK:
        yield _edit(rank=recipe.rank // 2)


def _resolution(recipe: Recipe) -> Iterator[Edit]:
    settings = recipe.resolution
    if settings is not None and len(settings.sides) > 1:
        sides = settings.sides[:-1]
        yield Edit(f"resolution.sides = {list(sides)}", {"resolution": settings.model_copy(update={"sides": sides})})


_OF_STAGE: dict[Stage, tuple[Callable[[Recipe], Iterator[Edit]], ...]] = {
    "encoding": (_loaded_in_sixteen_bits, _resolution),
    "training": (_offload, _caches, _checkpointing, _batch, _sixteen_bits, _eight_bits, _dora, _text_encoders, _targets,
                 _rank, _resolution),
}  # fmt: skip
