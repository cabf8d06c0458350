"""A base that stays in memory while one plan after another is drawn with it; torch is imported by what draws."""

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lifeos.lora.families import get_family
from lifeos.lora.sample import PlannedImages, new_denoiser
from lifeos.lora.sample_plan import ImageRequest

if TYPE_CHECKING:
    from lifeos.lora.denoise import Denoiser


class HeldBase:
    """The base last used, as it was loaded, and a copy of it with the LoRA last used.

    A LoRA is added to the weights, which are then rounded to the plan's type, so it cannot be taken out again exactly:
    the next one goes into a fresh copy. Main memory holds the base once more than drawing a single plan does.
    """

    def __init__(self) -> None:
        """Hold nothing yet."""
        self._loaded: Any = None
        self._loaded_for: tuple[str, str, str] | None = None
        self._denoiser: Denoiser | None = None
        self._drawn_for: tuple[str, str | None, str] | None = None

    def denoiser(self, asked: PlannedImages, requests: Sequence[ImageRequest]) -> "Denoiser":
        """Return what draws a plan: as it stands when it is the plan of the call before, else made.

        Args:
            asked: the plan, its base and its LoRA.
            requests: of the plan; the prompts of all its images are encoded, so that its other images find theirs.

        Raises:
            InputError: what ``new_denoiser`` raises.
        """
        wanted = (asked.base_hash, asked.lora_hash, asked.plan.content_hash)
        if self._denoiser is None or self._drawn_for != wanted:
            self._denoiser = None  # before another takes its place in the GPU's memory
            self._denoiser = new_denoiser(asked, asked.plan.requests(), lambda: self._fresh_copy(asked))
            self._drawn_for = wanted
        return self._denoiser

    def _fresh_copy(self, asked: PlannedImages) -> Any:
        from lifeos.lora.denoise import load_for

        plan = asked.plan
        identity = (plan.family, asked.base_hash, plan.dtype)
        if self._loaded_for != identity:
            self._loaded, self._loaded_for = None, None
            self._loaded, self._loaded_for = load_for(plan, get_family(plan.family), asked.base), identity
        return copy.deepcopy(self._loaded)
