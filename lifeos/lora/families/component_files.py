"""Components of a base in diffusers' folder layout: their configs, the names in their files, and loading them whole."""

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Protocol

from lifeos.errors import InputError
from lifeos.lora.families import Shape
from lifeos.lora.families.base_location import require_base
from lifeos.lora.families.weight_files import NEVER_LOADED, holds_weights, weight_files, weight_headers

# transformers 5 dropped the first part of a CLIP text model's names; published bases and LoRA files have it.
_CLIP_PREFIX, _CLIP_PARTS = "text_model.", ("encoder.layers.", "embeddings.")


class Builder(Protocol):
    """What makes components without reading weights or vocabularies."""

    def model(self, kind: Any, config: dict[str, Any], dtype: Any, place: Path) -> Any:
        """Return a model of a class, built from its config in a torch type; ``place`` is the config's folder."""

    def tokenizer(self, kind: Any, place: Path) -> Any:
        """Return what a tokenizer of a class is called like, for a folder that need not exist."""


_builder: ContextVar[Builder | None] = ContextVar("builder", default=None)


@contextlib.contextmanager
def built_by(builder: Builder) -> Iterator[None]:
    """Let ``builder`` make what ``load_component`` and ``load_tokenizer`` would read, from the same configs."""
    token = _builder.set(builder)
    try:
        yield
    finally:
        _builder.reset(token)


def read_config(base: Path, component: str, name: str = "config.json") -> dict[str, Any]:
    """Return a component's config.

    Raises:
        InputError: it is absent or no JSON object.
    """
    require_base(Path(base))
    path = Path(base) / component / name
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: accepted a diffusers config, got none that can be read; next: check base") from error
    if not isinstance(config, dict):
        raise InputError(f"{path}: accepted a mapping, got {type(config).__name__}; next: fetch the base again")
    return config


def has_component(base: Path, component: str) -> bool:
    """Return whether ``model_index.json`` names a component that is not null.

    Raises:
        InputError: there is no readable ``model_index.json``.
    """
    named = read_config(base, "", "model_index.json").get(component)
    return isinstance(named, list) and bool(named) and named[0] is not None


def loaded_components(base: Path) -> list[str]:
    """Return what ``model_index.json`` names and a family may load, sorted.

    Raises:
        InputError: there is no readable ``model_index.json``.
    """
    named = read_config(base, "", "model_index.json")
    return sorted(name for name, value in named.items()
                  if isinstance(value, list) and value and value[0] and name not in NEVER_LOADED)


def require_whole(base: Path) -> None:
    """Refuse a base of which something that would be loaded is absent, by configs and headers alone.

    Raises:
        InputError: a component's folder, config, weights or vocabulary is absent, a shard is absent or cut off.
    """
    for component in loaded_components(base):
        folder = Path(base) / component
        if not folder.is_dir():
            raise InputError(f"{base}: accepted a folder {component} as model_index.json names it, got none; next: "
                             f"fetch the base again, or null {component} there where the family can do without")
        if holds_weights(component):
            read_config(base, component)
            weight_files(folder)
        elif component == "scheduler":
            read_config(base, component, "scheduler_config.json")
        elif not any(path.is_file() for path in folder.iterdir()):
            raise InputError(f"{folder}: accepted a tokenizer's files, got none; next: fetch the base again")


def require_pipeline(base: Path, accepted: Iterable[str], family: str) -> None:
    """Refuse a base whose ``model_index.json`` names a pipeline of another family.

    Raises:
        InputError: it does, or there is no readable ``model_index.json``.
    """
    accepted = tuple(accepted)
    got = read_config(base, "", "model_index.json").get("_class_name")
    if got not in accepted:
        raise InputError(f"{base}: accepted a base of family {family} ({' or '.join(accepted)}), got {str(got)[:80]}; "
                         "next: correct family or base in the recipe")


def component_modules(base: Path, components: Iterable[str], family: str) -> dict[str, Shape]:
    """Map ``component.module`` to the shape of its weight, for every linear and convolution.

    Names of CLIP text models begin with ``text_model.`` as published ones do, whatever wrote the file.

    Raises:
        InputError: the base is not whole, or a component is absent that the family trains.
    """
    require_whole(base)
    found: dict[str, Shape] = {}
    for component in components:
        folder = Path(base) / component
        if not folder.is_dir():
            raise InputError(f"{folder}: accepted a base of family {family}, got no such component; "
                             "next: check base and family in the recipe")
        for header in weight_headers(folder):
            for key, entry in header.entries.items():
                if key.endswith(".weight") and len(entry.shape) in (2, 4) and "embedding" not in key.split(".")[-2]:
                    found[f"{component}.{published_name(component, key.removesuffix('.weight'))}"] = entry.shape
    return found


def modules_ending(modules: Mapping[str, Shape], component: str, endings: Iterable[str]) -> dict[str, Shape]:
    """Return those ``modules`` of a component whose names end in one of ``endings``."""
    dotted = tuple(f".{ending}" for ending in endings)
    return {name: shape for name, shape in modules.items()
            if name.startswith(f"{component}.") and name.endswith(dotted)}


def torch_dtype(name: str) -> Any:
    """Return torch's type of that name.

    Raises:
        ValueError: another name than ``float32``, ``bfloat16`` or ``float16``.
    """
    import torch

    if name not in ("float32", "bfloat16", "float16"):
        raise ValueError(f"dtype must be float32, bfloat16 or float16, but got {name!r}")
    return getattr(torch, name)


def weight_of(model: Any, module: str) -> Any:
    """Return the weight of a module named as ``component_modules`` names it.

    Raises:
        AttributeError: the model has no such module.
    """
    try:
        return model.get_submodule(module).weight
    except AttributeError:
        return model.get_submodule(module.removeprefix(_CLIP_PREFIX)).weight


def published_name(component: str, module: str) -> str:
    """Return the name of a module of a loaded model as ``component_modules`` has it."""
    if component.startswith("text_encoder") and module.startswith(_CLIP_PARTS):
        return _CLIP_PREFIX + module
    return module


def load_component(kind: Any, base: Path, component: str, **types: Any) -> Any:
    """Load one model whole, frozen, in evaluation mode.

    Args:
        kind: a diffusers or transformers model class.
        base: the base's folder.
        component: its subfolder.
        types: what the class calls its dtype argument.

    Raises:
        InputError: it cannot be read, or weights of it would be left random.
    """
    quiet()
    config, folder, builder = read_config(base, component), Path(base) / component, _builder.get()
    if builder is not None:
        return builder.model(kind, config, next(iter(types.values())), folder).eval().requires_grad_(False)
    try:
        model, info = kind.from_pretrained(str(folder), local_files_only=True, use_safetensors=True,
                                           output_loading_info=True, **weight_files(folder).loading, **types)
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(f"{folder}: accepted {kind.__name__}, got {' '.join(str(error).split())[:200]}; "
                         "next: fetch the base again") from error
    # transformers leaves an absent weight random with only a warning.
    missing = [key for key in info["missing_keys"] if not key.endswith("position_ids")]
    if missing:
        raise InputError(f"{folder}: accepted {kind.__name__} with all its weights, got it without {missing[0]} and "
                         f"{len(missing) - 1} more; next: fetch the base again")
    return model.eval().requires_grad_(False)


def load_tokenizer(kind: Any, base: Path, component: str) -> Any:
    """Load a tokenizer.

    Raises:
        InputError: it cannot be read.
    """
    folder, builder = Path(base) / component, _builder.get()
    if builder is not None:
        return builder.tokenizer(kind, folder)
    try:
        return kind.from_pretrained(str(folder), local_files_only=True)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{folder}: accepted {kind.__name__}, got {' '.join(str(error).split())[:200]}; "
                         "next: fetch the base again") from error


def prepare_autoencoder(vae: Any, dtype: str, tiling: bool, slicing: bool) -> None:
    """Let a diffusers autoencoder decode in a type, in tiles and one image after another, or not."""
    if vae.dtype != torch_dtype(dtype):
        vae.to(torch_dtype(dtype))
    vae.enable_tiling() if tiling else vae.disable_tiling()
    vae.enable_slicing() if slicing else vae.disable_slicing()


def image_reduction(vae_config: dict[str, Any]) -> int:
    """Return by what an autoencoder divides width and height."""
    return int(2 ** (len(vae_config.get("block_out_channels", [0])) - 1))


def quiet() -> None:
    """Turn off the warnings and progress bars of diffusers and transformers, which would stand between our lines."""
    import diffusers.utils.logging
    import transformers.utils.logging

    for logging in (diffusers.utils.logging, transformers.utils.logging):
        logging.set_verbosity_error()
        logging.disable_progress_bar()
