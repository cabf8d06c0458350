"""The training step and the sampling loop themselves, run for their memory: fake on any machine, or real on a GPU.

The functions of this file are both predictor and measurement: what differs is whether tensors are fake, and who
watches.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from lifeos.lora import train
from lifeos.lora.batches import Batch, Bucket
from lifeos.lora.buckets import Size
from lifeos.lora.captions import CachedCaptions, Captions, FreshCaptions
from lifeos.lora.conditioning import Conditioning
from lifeos.lora.dataset import Example
from lifeos.lora.denoise import Denoiser, load_for
from lifeos.lora.families import Family, get_family
from lifeos.lora.latents import CachedLatents, Latents, View, encoded_at_once
from lifeos.lora.placement import Placement
from lifeos.lora.recipe import Recipe
from lifeos.lora.sample_plan import ImageRequest, PlannedPrompt, SamplePlan
from lifeos.lora.training_inputs import TrainingInputs
from lifeos.pods.vram.prediction import PICTURES
from lifeos.pods.vram.tracer import AVERAGE, GRADIENTS, LORA, OPTIMIZER, WEIGHTS

SAMPLING_STEPS = 3
"""A multistep sampler of order 2 holds as much after two as ever."""
ENCODING, PREPARING, STEPPING = "encoding", "preparing", "step"
TEXT, DENOISING, DECODING = "text", "denoising", "decoding"


class Watch(Protocol):
    """Who looks at the memory of a run."""

    def begin(self, phase: str) -> None:
        """Say that a phase begins."""

    def watching(self) -> AbstractContextManager[None]:
        """Return the context in which memory counts."""

    def labelled(self, kind: str) -> AbstractContextManager[None]:
        """Return a context whose allocations are of a kind."""

    def relabel(self, tensor: Any, kind: str) -> None:
        """Say what a tensor is for."""

    def is_zero(self, tensor: Any) -> None:
        """Say that a tensor holds zeros only."""

    def follow(self, name: str, model: Any) -> None:
        """Name what a model's blocks allocate after them."""

    def with_numbers(self) -> AbstractContextManager[None]:
        """Return a context in which tensors hold numbers, for the little that is computed from them."""

    def placement(self, device: str, recipe: Recipe) -> Placement:
        """Return where a recipe is trained when it is trained on ``device``."""

    def eight_bit(self, recipe: Recipe, parameters: Any) -> Any:
        """Return the 8-bit optimizer of a recipe, for what another one holds."""

    def first_step(self, step: Callable[[], object], optimizer: Any) -> None:
        """Take the first optimizer step, which makes the optimizer's state."""

    def second_step(self, step: Callable[[], object], optimizer: Any) -> None:
        """Take the second, which runs beside that state, or conclude it from the first."""


def training_steps(base: Path, recipe: Recipe, size: Size, device: str, watch: Watch) -> None:
    """Load, encode and prepare as ``train_lora`` does, and take two optimizer steps.

    Args:
        base: configs in diffusers layout.
        recipe: its ``dtype`` is one that computes, not ``auto``.
        size: (width, height) in pixels.
        device: where it is trained.
        watch: who looks on.

    Raises:
        InputError: the base cannot be built, or the step refuses something.
    """
    family = get_family(recipe.family)
    placement = watch.placement(device, recipe)
    components = family.load(base, placement.load_dtype)
    eight_bit = recipe.optimizer.name == "adamw8bit"
    settings = recipe.optimizer.model_copy(update={"name": "adamw"}) if eight_bit else recipe.optimizer
    examples = tuple(Example(Path(f"{number}.png"), "a", "") for number in range(max(PICTURES, recipe.batch_size)))
    inputs = TrainingInputs(recipe.model_copy(update={"optimizer": settings}), examples, "", "", "")
    for name in _models(components):
        watch.follow(name, getattr(components, name))
    with watch.watching():
        watch.begin(ENCODING)
        with watch.labelled(WEIGHTS):
            family.place_autoencoder(components, placement.device)
            family.place_text_encoders(components, placement.device)
        conditioning = _conditioning(inputs, family, components, size)
        if placement.offload and recipe.caches_latents:
            family.place_autoencoder(components, "cpu")
        if placement.offload and recipe.caches_text:
            family.place_text_encoders(components, "cpu")
        placement.release()
        watch.begin(PREPARING)
        with watch.labelled(WEIGHTS):
            run = train._prepare(inputs, family, components, conditioning, placement)
        for parameter in run.parameters.values():
            watch.relabel(parameter, LORA)
            parameter.register_post_accumulate_grad_hook(lambda each: watch.relabel(each.grad, GRADIENTS))
        for name, parameter in run.parameters.items():
            if ".lora_B." in name:
                watch.is_zero(parameter)
        for mean in run.average.values():
            watch.relabel(mean, AVERAGE)
        if eight_bit:
            run = replace(run, optimizer=watch.eight_bit(recipe, run.optimizer))
        watch.begin(f"{STEPPING} 1")
        watch.first_step(lambda: train._step(run, 0), run.optimizer)
        for state in run.optimizer.state.values():
            for each in state.values():
                if hasattr(each, "untyped_storage"):
                    watch.relabel(each, OPTIMIZER)
        watch.begin(f"{STEPPING} 2")
        watch.second_step(lambda: train._step(run, 1), run.optimizer)


def sampling_steps(base: Path, plan: SamplePlan, device: str, watch: Watch) -> None:
    """Encode a plan's prompts, denoise as many images as it draws at once for ``SAMPLING_STEPS`` steps and decode them.

    Args:
        base: configs in diffusers layout.
        plan: what is sampled; its ``steps`` are not.
        device: where everything goes.
        watch: who looks on.

    Raises:
        InputError: the base cannot be built or does not know the plan's size or sampler.
    """
    family = get_family(plan.family)
    components = load_for(plan, family, base)
    prompt = plan.prompts[0]
    requests = [ImageRequest(prompt, seed, 1.0) for seed in range(plan.batch)]
    encoded = [ImageRequest(each, 0, 1.0) for each in plan.prompts]
    for name in _models(components):
        watch.follow(name, getattr(components, name))
    placed: Any = _Watched(family, watch)
    with watch.watching():
        watch.begin(TEXT)
        denoiser = Denoiser(placed, components, replace(plan, steps=SAMPLING_STEPS, device=device), encoded)
        watch.begin(DENOISING)
        denoiser.render(requests)


def plan_for(
    family: str, width: int, height: int, dtype: str, *, guidance: float | None = None, sampler: str | None = None,
    prompts: int = 1, **decoding: Any,
) -> SamplePlan:  # fmt: skip
    """Return a plan of a family's usual sampler and guidance, with as many blank prompts; ``decoding``: further fields.

    Raises:
        InputError: a number outside its range.
    """
    kind = get_family(family)
    return SamplePlan(
        tuple(PlannedPrompt(f"P{number}", f"a {number}") for number in range(prompts)), (0,),
        kind.samplers[0] if sampler is None else sampler, SAMPLING_STEPS,
        kind.usual_guidance if guidance is None else guidance, width, height, 1.0,
        "bfloat16" if dtype == "bfloat16" else "float32", family, **decoding,
    )  # fmt: skip


class _Watched:
    """A family that says what it places and when it decodes, and whose scheduler computes with real numbers."""

    def __init__(self, family: Family, watch: Watch) -> None:
        self._family, self._watch = family, watch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._family, name)

    def prepare_sampling(self, *arguments: Any, **options: Any) -> None:
        with self._watch.labelled(WEIGHTS):
            self._family.prepare_sampling(*arguments, **options)

    def prepare_decoding(self, *arguments: Any, **options: Any) -> None:
        with self._watch.labelled(WEIGHTS):
            self._family.prepare_decoding(*arguments, **options)

    def place_text_encoders(self, components: Any, device: str) -> None:
        with self._watch.labelled(WEIGHTS):
            self._family.place_text_encoders(components, device)

    def decode_latents(self, components: Any, latents: Any) -> Any:
        self._watch.begin(DECODING)
        return self._family.decode_latents(components, latents)

    def make_scheduler(self, components: Any, sampler: str) -> Any:
        with self._watch.with_numbers():
            return self._family.make_scheduler(components, sampler)

    def start(self, scheduler: Any, noise: Any, steps: int) -> Any:
        with self._watch.with_numbers():
            latents = self._family.start(scheduler, noise, steps)
            # Else it looks for the noise level among its own, by numbers that a fake tensor does not have.
            if hasattr(scheduler, "set_begin_index"):
                scheduler.set_begin_index(0)
        return latents


class _InOrder:
    """Gives every batch the first pictures: see ``batches.BatchOrder``, whose shuffling needs real numbers."""

    def __init__(self, size: Size, batch_size: int) -> None:
        self._size, self._batch_size = size, batch_size

    def batch(self, number: int) -> Batch:
        return Batch(number, Bucket(self._size, False, (), 1.0), tuple(range(self._batch_size)))


class _BlankPictures:
    """Latents of blank pictures, encoded when they are asked for: see ``latents.FreshLatents``."""

    def __init__(self, family: Family, components: Any) -> None:
        self._family, self._components = family, components

    def of(self, views: Sequence[View], _: Batch) -> Any:
        return _encoded(self._family, self._components, len(views), views[0][1])


def _conditioning(inputs: TrainingInputs, family: Family, components: Any, size: Size) -> Conditioning:
    """Do for blank pictures what ``conditioning.prepare_conditioning`` does for a dataset."""
    import torch

    recipe, views = inputs.recipe, [(number, size, side) for number in range(len(inputs.examples)) for side in (0, 1)]
    latents: Latents = _BlankPictures(family, components)
    if recipe.caches_latents:
        at_once = encoded_at_once(size)
        kept = _encoded(family, components, min(at_once, PICTURES), size)
        latents = CachedLatents({(number, of, bool(side)): kept[0] for number, of, side in views})
    captions: Captions = FreshCaptions(inputs, family, components)
    if recipe.caches_text:
        text = family.encode_text(components, ["", *(f"a {number}" for number in range(PICTURES))])
        captions = CachedCaptions({name: values.cpu() for name, values in text.items()}, (1,) * len(inputs.examples))
    weights: dict[View, Any] | None = None
    if recipe.mask is not None:
        blank = torch.ones((1, *family.latent_shape(components, *size)[1:]))
        weights = {(number, of, bool(side)): blank for number, of, side in views}
    order: Any = _InOrder(size, recipe.batch_size)
    return Conditioning(inputs, order, latents, captions, weights)


def _encoded(family: Family, components: Any, count: int, size: Size) -> Any:
    import numpy as np

    return family.encode_images(components, np.zeros((count, size[1], size[0], 3), np.uint8)).cpu()


def _models(components: Any) -> Iterator[str]:
    return (name for name, value in vars(components).items() if hasattr(value, "named_modules"))
