"""The training step and the sampling loop themselves, run for their memory: fake on any machine, or real on a GPU.

The functions of this file are both predictor and measurement: what differs is whether tensors are fake, and who
watches.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

from lifeos.lora import train
from lifeos.lora.batches import Batch, Bucket
from lifeos.lora.conditioning import BatchInputs
from lifeos.lora.denoise import Denoiser
from lifeos.lora.families import Family, get_family
from lifeos.lora.recipe import Recipe
from lifeos.lora.sample_plan import ImageRequest, PlannedPrompt, SamplePlan
from lifeos.lora.training_inputs import TrainingInputs
from lifeos.pods.vram.eight_bit import EightBitAdamW
from lifeos.pods.vram.tracer import AVERAGE, GRADIENTS, LORA, OPTIMIZER, WEIGHTS

SAMPLING_STEPS = 3
"""A multistep sampler of order 2 holds as much after two as ever."""
PREPARING, STEPPING = "preparing", "step"
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

    def first_step(self, step: Callable[[], None], optimizer: Any) -> None:
        """Take the first optimizer step, which makes the optimizer's state."""

    def second_step(self, step: Callable[[], None], optimizer: Any) -> None:
        """Take the second, which runs beside that state, or conclude it from the first."""


def training_steps(base: Path, recipe: Recipe, size: tuple[int, int], device: str, watch: Watch) -> None:
    """Prepare a run as training does and take two optimizer steps: the second runs beside the optimizer's state.

    Args:
        base: configs in diffusers layout.
        recipe: its ``dtype`` is one that computes, not ``auto``.
        size: (width, height) in pixels.
        device: where the denoiser goes.
        watch: who looks on.

    Raises:
        InputError: the base cannot be built, or the step refuses something.
    """
    family = get_family(recipe.family)
    components = family.load(base)
    conditioning: Any = _BlankConditioning(family, components, recipe, size)
    eight_bit = recipe.optimizer.name == "adamw8bit"
    traced = recipe.model_copy(update={"optimizer": recipe.optimizer.model_copy(update={"name": "adamw"})})
    inputs = TrainingInputs(traced if eight_bit else recipe, (), "", "", "")
    for name in _models(components):
        watch.follow(name, getattr(components, name))
    with watch.watching():
        watch.begin(PREPARING)
        placed: Any = _Placed(family, device, watch)
        run = train._prepare(inputs, placed, components, conditioning)
        conditioning.place(device, watch)
        for parameter in run.parameters.values():
            watch.relabel(parameter, LORA)
            parameter.register_post_accumulate_grad_hook(lambda each: watch.relabel(each.grad, GRADIENTS))
        for name, parameter in run.parameters.items():
            if ".lora_B." in name:
                watch.is_zero(parameter)
        for mean in run.average.values():
            watch.relabel(mean, AVERAGE)
        if eight_bit:
            run = replace(run, optimizer=EightBitAdamW(list(run.parameters.values())))
        watch.begin(f"{STEPPING} 1")
        watch.first_step(lambda: train._step(run, 0), run.optimizer)
        for state in run.optimizer.state.values():
            for each in state.values():
                if hasattr(each, "untyped_storage"):
                    watch.relabel(each, OPTIMIZER)
        watch.begin(f"{STEPPING} 2")
        watch.second_step(lambda: train._step(run, 1), run.optimizer)


def sampling_steps(base: Path, plan: SamplePlan, images: int, device: str, watch: Watch) -> None:
    """Encode a plan's prompts, denoise one batch of images for ``SAMPLING_STEPS`` steps and decode it.

    Args:
        base: configs in diffusers layout.
        plan: what is sampled; its ``steps`` are not.
        images: in the batch.
        device: where everything goes.
        watch: who looks on.

    Raises:
        InputError: the base cannot be built or does not know the plan's size or sampler.
    """
    family = get_family(plan.family)
    components = family.load(base)
    prompt = plan.prompts[0]
    requests = [ImageRequest(prompt, seed, 1.0) for seed in range(images)]
    encoded = [ImageRequest(each, 0, 1.0) for each in plan.prompts]
    for name in _models(components):
        watch.follow(name, getattr(components, name))
    placed: Any = _Placed(family, device, watch)
    with watch.watching():
        watch.begin(TEXT)
        denoiser = Denoiser(placed, components, replace(plan, steps=SAMPLING_STEPS, device=device), encoded)
        watch.begin(DENOISING)
        denoiser.render(requests)


def plan_for(
    family: str, width: int, height: int, dtype: str, *, guidance: float | None = None, sampler: str | None = None,
    prompts: int = 1,
) -> SamplePlan:  # fmt: skip
    """Return a plan of a family's usual sampler and guidance, with as many blank prompts.

    Raises:
        InputError: a number outside its range.
    """
    kind = get_family(family)
    return SamplePlan(
        tuple(PlannedPrompt(f"P{number}", f"a {number}") for number in range(prompts)), (0,),
        kind.samplers[0] if sampler is None else sampler, SAMPLING_STEPS,
        kind.usual_guidance if guidance is None else guidance, width, height, 1.0,
        "bfloat16" if dtype == "bfloat16" else "float32", family,
    )  # fmt: skip


class _Placed:
    """A family whose denoiser is trained on a given device, and whose scheduler computes with real numbers."""

    def __init__(self, family: Family, device: str, watch: Watch) -> None:
        self._family, self._device, self._watch = family, device, watch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._family, name)

    def prepare_training(self, *arguments: Any, **options: Any) -> None:
        with self._watch.labelled(WEIGHTS):
            self._family.prepare_training(*arguments, **{**options, "device": self._device})

    def prepare_sampling(self, *arguments: Any, **options: Any) -> None:
        with self._watch.labelled(WEIGHTS):
            self._family.prepare_sampling(*arguments, **options)

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
            scheduler.set_begin_index(0)
        return latents


class _BlankConditioning:
    """What ``conditioning.Conditioning`` gives for a dataset of blank pictures: latents and text of the right shapes.

    What the recipe keeps comes from the host; what it computes at every step is computed where the denoiser is.
    """

    def __init__(self, family: Family, components: Any, recipe: Recipe, size: tuple[int, int]) -> None:
        import torch

        self._family, self._components, self._recipe, self._size = family, components, recipe, size
        self._shape = family.latent_shape(components, *size)
        with torch.no_grad():
            self._text = family.encode_text(components, ["a"] * recipe.batch_size)
        self._latents = torch.zeros((recipe.batch_size, *self._shape))
        self.captions = self

    def place(self, device: str, watch: Watch) -> None:
        """Bring what is needed at every step to the denoiser."""
        with watch.labelled(WEIGHTS):
            if not self._recipe.caches_latents:
                self._components.vae.to(device)
            if not self._recipe.caches_text:
                self._family.place_text_encoders(self._components, device)

    def batch(self, number: int) -> BatchInputs:
        """See ``Conditioning.batch``."""
        import numpy as np

        count = self._recipe.batch_size
        batch = Batch(number, Bucket(self._size, False, (), 1.0), tuple(range(count)))
        if self._recipe.caches_latents:
            latents = self._latents.clone()
        else:
            pictures = np.zeros((count, self._size[1], self._size[0], 3), np.uint8)
            latents = self._family.encode_images(self._components, pictures)
        weight = None if self._recipe.mask is None else latents.new_ones((count, 1, *self._shape[1:]))
        return BatchInputs(batch, latents, weight, 1.0)

    def of(self, _: Batch, dropped: Sequence[bool]) -> dict[str, Any]:
        """See ``captions.Captions.of``."""
        if not self._recipe.caches_text:
            return self._family.encode_text(self._components, ["a"] * len(dropped))
        return {name: values.clone() for name, values in self._text.items()}


def _models(components: Any) -> Iterator[str]:
    return (name for name, value in vars(components).items() if hasattr(value, "named_modules"))
