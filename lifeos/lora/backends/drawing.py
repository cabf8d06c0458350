"""A plan drawn by an image server: checked, probed, then image by image into the store; imports no torch by itself."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lifeos.errors import InputError
from lifeos.lora.backends import Backend, ServerRequest
from lifeos.lora.backends.a1111 import StableDiffusionWebui
from lifeos.lora.backends.comfyui import ComfyUI
from lifeos.lora.backends.equivalents import equivalent
from lifeos.lora.backends.http import Connection
from lifeos.lora.backends.image_server import A1111, COMFYUI, DIFFUSERS, ImageServer
from lifeos.lora.backends.probes import Pixels, compare_answers, probe, require_shown, require_unchanged
from lifeos.lora.backends.provenance import Evidence, compare_hashes, lora_hashes, single_files
from lifeos.progress import Progress

if TYPE_CHECKING:
    from lifeos.lora.sample import PlannedImages, SampledImage
    from lifeos.lora.sample_plan import ImageRequest
    from lifeos.lora.store import ImageStore

_KINDS: dict[str, type[ComfyUI] | type[StableDiffusionWebui]] = {COMFYUI: ComfyUI, A1111: StableDiffusionWebui}
SMALL_BASE_BYTES = 512 << 20
"""Weights up to here are run on a processor without asking; of the published families none is so small."""


@dataclass(frozen=True)
class _Shown:
    """The image that a server showed its models with, what that was of, and by what each was shown."""

    subject: tuple[str, str, str | None, str]
    request: ServerRequest
    pixels: Pixels
    answers: Evidence | None
    by: dict[str, list[str]]


@dataclass
class HeldServer:
    """What a server showed in an earlier call; ``threads`` draw known answers here, 0 means every core."""

    threads: int = 0
    shown: _Shown | None = None


def draw_on_server(
    asked: "PlannedImages", lacking: "Sequence[SampledImage]", store: "ImageStore", progress: Progress,
    held: HeldServer | None = None,
) -> None:  # fmt: skip
    """Let the plan's server draw what is lacking, each image stored when it is there; a kill loses at most one.

    The first call for a plan asks for up to four images more than it keeps. Each later one with the same ``held`` asks
    for one more: the image that the models were shown with, whose pixels have to come again.

    Args:
        asked: the plan with base and LoRA; its backend is no diffusers.
        lacking: at least one image.
        store: where images lie.
        progress: called with ("sampling", done, total).
        held: of the calls before; None: the server has to show everything.

    Raises:
        InputError: sampler, size or a prompt has no equivalent on the server; it is not reached or fails; or it does
            not show that it draws with this base and this LoRA, or no longer.
    """
    from lifeos.lora.sample import encode_png, image_facts

    held, plan = held or HeldServer(), asked.plan
    server = plan.server or ImageServer("")
    lora = asked.lora if plan.strength != 0.0 else None
    how, files = equivalent(plan, asked.base), single_files(asked.base)
    _require_sizes(asked, lacking)
    connection = Connection(server)
    backend: Backend = _KINDS[plan.backend](plan, how, lora, files, server, connection)
    # Every prompt before the first request: what would be refused in the end is refused now.
    for text in dict.fromkeys(image.request.prompt.text for image in lacking):
        backend.refuse(text)
    # Once: a LoRA may have hundreds of MiB, and every image is compared.
    known = frozenset() if lora is None else lora_hashes(lora)
    subject = (connection.address, asked.base_hash, asked.lora_hash, plan.content_hash)
    shown = held.shown if held.shown is not None and held.shown.subject == subject else None
    if shown is not None:
        again = backend.draw(shown.request)
        hashes = compare_hashes(again, files, lora, known, connection.address)
        require_shown(hashes, shown.answers, asked.base, lora, connection.address)
        require_unchanged(again, shown.pixels, connection.address)
    total = len({image.key for image in asked.images})
    progress("sampling", total - len(lacking), total)
    for number, image in enumerate(lacking):
        request = _request(image.request, lora)
        if shown is None:
            served, bare = probe(backend, request, connection.address)
            hashes = compare_hashes(served, files, lora, known, connection.address)
            answers = None
            if server.known_answer or weight_bytes(asked.base) <= SMALL_BASE_BYTES:
                def locally(strength: float) -> Pixels:
                    return draw_here(asked, lacking[0].request, store, strength, held.threads)

                answers = compare_answers(served.pixels, bare, request.strength, locally, connection.address)
            require_shown(hashes, answers, asked.base, lora, connection.address)
            by = {"base": _by(hashes.base, answers is not None),
                  "lora": _by(hashes.lora, answers is not None and answers.lora)}  # fmt: skip
            by = by if lora else {"base": by["base"]}
            shown = held.shown = _Shown(subject, request, served.pixels, answers, by)
        else:
            served = backend.draw(request)
            compare_hashes(served, files, lora, known, connection.address)
        facts = {**image_facts(asked, image), "backend": backend.name, "backend_version": backend.version,
                 "shown_by": shown.by}  # fmt: skip
        store.put(image.key, encode_png(served.pixels), facts)
        progress("sampling", total - len(lacking) + number + 1, total)


def draw_here(
    asked: "PlannedImages", request: "ImageRequest", store: "ImageStore", strength: float, threads: int = 0
) -> Pixels:
    """Return ``uint8 [height, width, 3]``: the same image by diffusers, which is kept in the store as any other.

    Raises:
        InputError: what ``lifeos.lora.sample.sample_plan`` raises.
    """
    from PIL import Image

    from lifeos.lora.sample import sample_plan

    plan = replace(asked.plan, prompts=(request.prompt,), seeds=(request.seed,), strength=strength, backend=DIFFUSERS,
                   server=None)  # fmt: skip
    with Image.open(sample_plan(plan, asked.base, asked.lora, store, threads=threads).images[0].path) as image:
        return np.asarray(image.convert("RGB"), dtype=np.uint8)


def weight_bytes(base: Path) -> int:
    """Return how many bytes the weights have that are loaded of a base.

    Raises:
        InputError: the base is not whole.
    """
    from lifeos.lora.families.component_files import loaded_components
    from lifeos.lora.families.weight_files import holds_weights, weight_files

    return sum((base / component / name).stat().st_size for component in loaded_components(base)
               if holds_weights(component) for name in weight_files(base / component).files)  # fmt: skip


def _request(request: "ImageRequest", lora: Path | None) -> ServerRequest:
    return ServerRequest(request.prompt.text, request.seed, None if lora is None else request.strength)


def _by(by_hash: bool, by_answer: bool) -> list[str]:
    return [name for name, holds in (("sha256", by_hash), ("known answer", by_answer)) if holds]


def _require_sizes(asked: "PlannedImages", lacking: "Sequence[SampledImage]") -> None:
    """Refuse what diffusers refuses and a server silently rounds or cuts: sizes and long prompts."""
    from lifeos.lora.dataset_lint.tokens import read_tokenizers
    from lifeos.lora.families.component_files import image_reduction, read_config

    plan, base = asked.plan, asked.base
    step = image_reduction(read_config(base, "vae")) * 2 ** (len(read_config(base, "unet")["block_out_channels"]) - 1)
    if plan.width % step or plan.height % step:
        raise InputError(f"size: accepted multiples of {step}, got {plan.width}x{plan.height}; next: correct the size")
    for tokenizer in read_tokenizers(base):
        for image in lacking:
            count = tokenizer.count(image.request.prompt.text)
            if count > tokenizer.limit:
                raise InputError(f"prompt {image.request.prompt.text!r:.120}: accepted {tokenizer.limit} tokens, got "
                                 f"{count}; next: shorten it")  # fmt: skip
