"""Text of the captions of a batch: embedded once and kept, or anew at every step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from lifeos.lora.batches import Batch
from lifeos.lora.families import Family
from lifeos.lora.training_inputs import TrainingInputs, derived_seed

if TYPE_CHECKING:
    from lifeos.lora.recipe import CaptionShuffleSettings


class Captions(Protocol):
    """What training asks for the text of a batch."""

    def of(self, batch: Batch, dropped: Sequence[bool]) -> dict[str, Any]:
        """Return embeddings ``[n, ...]`` by name, those of the empty caption where ``dropped``."""


@dataclass(frozen=True)
class CachedCaptions:
    """Embeddings made before training.

    Args:
        text: embeddings by name, ``[m + 1, ...]`` each: row 0 of the empty caption, then one a distinct caption.
        caption_of: row of ``text`` for each example.
    """

    text: Mapping[str, Any]
    caption_of: tuple[int, ...]

    def of(self, batch: Batch, dropped: Sequence[bool]) -> dict[str, Any]:
        """See ``Captions.of``."""
        rows = [0 if gone else self.caption_of[number] for number, gone in zip(batch.examples, dropped, strict=True)]
        return {name: values[rows] for name, values in self.text.items()}


@dataclass(frozen=True)
class FreshCaptions:
    """Captions embedded when they are asked for, their parts in an order of their own where the recipe shuffles."""

    inputs: TrainingInputs
    family: Family
    components: Any

    def of(self, batch: Batch, dropped: Sequence[bool]) -> dict[str, Any]:
        """See ``Captions.of``; with gradients where the text encoders learn.

        Raises:
            InputError: a caption has more tokens than are read.
        """
        texts = self.texts(batch, dropped)
        if self.inputs.recipe.train_text_encoder:
            return self.family.embed_text(self.components, self.family.tokenize(self.components, texts))
        return self.family.encode_text(self.components, texts)

    def texts(self, batch: Batch, dropped: Sequence[bool]) -> list[str]:
        """Return the captions themselves."""
        recipe, texts = self.inputs.recipe, []
        for place, (number, gone) in enumerate(zip(batch.examples, dropped, strict=True)):
            text = "" if gone else self.inputs.examples[number].caption
            if recipe.caption_shuffle is not None:
                seed = derived_seed(recipe.seed, "caption order", batch.number * recipe.batch_size + place)
                text = shuffled(text, recipe.caption_shuffle, seed)
            texts.append(text)
        return texts


def shuffled(caption: str, settings: "CaptionShuffleSettings", seed: int) -> str:
    """Return a caption with its parts in another order, the first ``keep_first`` where they are."""
    parts = [part.strip() for part in caption.split(settings.separator)]
    kept, moved = parts[: settings.keep_first], parts[settings.keep_first :]
    # By hashes: an order that no version of a library can change.
    moved = [moved[place] for place in sorted(range(len(moved)), key=lambda place: derived_seed(seed, "part", place))]
    joint = settings.separator if settings.separator.endswith(" ") else f"{settings.separator} "
    return joint.join(part for part in kept + moved if part)
