"""A single-file checkpoint in the layout of its authors, converted once into a folder in diffusers' layout.

The names and cuts of the tensors are those of diffusers' own ``from_single_file``. It takes configs and vocabularies
from a folder, here one that the user names: a CLIP vocabulary alone has 1.5 MB, and nothing is downloaded.
"""

import math
import os
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals.atomic import sync_folder, write_json
from evals.content_hash import hash_file, hash_json
from lifeos.errors import InputError
from lifeos.lora.families.base_location import (
    conversion_record,
    conversions_folder,
    file_state,
    is_pickle,
    refuse_pickle,
    require_base,
)
from lifeos.lora.families.component_files import loaded_components, quiet, read_config, require_whole
from lifeos.lora.families.weight_files import holds_weights, is_weight_file, weight_files
from lifeos.lora.safetensors_file import NotSafetensorsError, TensorFile, read_header

CONVERSION_REVISION = 1
"""Raised when a change of this code changes the folder that comes out."""
_DENOISER = "model.diffusion_model."
_AUTOENCODER = ("first_stage_model.", "vae.")
_CLIP_L_OF_THREE = "text_encoders.clip_l.transformer."
_TYPES = {"F16": "float16", "BF16": "bfloat16", "F32": "float32"}
_T5 = ("text_encoders.t5xxl.transformer.",)


@dataclass(frozen=True)
class Layout:
    """How the authors of a family name the tensors in one file.

    Args:
        pipeline: the diffusers class whose configs it needs.
        marks: a tensor whose name begins with one of these, behind the denoiser's prefix or not, tells the family.
        parts: component -> the prefixes its tensors may have; a part may be absent from a file.
    """

    pipeline: str
    marks: tuple[str, ...]
    parts: dict[str, tuple[str, ...]]


LAYOUTS: dict[str, Layout] = {
    "flux": Layout("FluxPipeline", ("double_blocks.0.",), {
        "transformer": (_DENOISER, "double_blocks."), "vae": _AUTOENCODER, "text_encoder": (_CLIP_L_OF_THREE,),
        "text_encoder_2": _T5,
    }),
    "sd3": Layout("StableDiffusion3Pipeline", ("joint_blocks.0.",), {
        "transformer": (_DENOISER, "joint_blocks."), "vae": _AUTOENCODER, "text_encoder": (_CLIP_L_OF_THREE,),
        "text_encoder_2": ("text_encoders.clip_g.transformer.",), "text_encoder_3": _T5,
    }),
    "sdxl": Layout("StableDiffusionXLPipeline", ("label_emb.0.",), {
        "unet": (_DENOISER,), "vae": _AUTOENCODER, "text_encoder": ("conditioner.embedders.0.transformer.",),
        "text_encoder_2": ("conditioner.embedders.1.model.",),
    }),
    "sd15": Layout("StableDiffusionPipeline", ("input_blocks.0.",), {
        "unet": (_DENOISER,), "vae": _AUTOENCODER, "text_encoder": ("cond_stage_model.transformer.",),
    }),
}  # fmt: skip
"""Family -> layout, in the order in which their marks are looked for: SDXL's file has those of SD1.5 too."""


@dataclass(frozen=True)
class Conversion:
    """A converted file.

    Args:
        folder: the base, in diffusers' layout.
        family: the first family whose layout the file has; ``tiny_base`` shares that of ``sd15``.
        from_file: components whose weights come from the file; the others are those of the folder that was named.
        made: False where it lay there already.
    """

    folder: Path
    family: str
    from_file: tuple[str, ...]
    made: bool


def convert_single_file(file: Path, like: Path, artifacts: Path) -> Conversion:
    """Convert a checkpoint into ``artifacts/bases/KEY``, where ``KEY`` hashes the file and what is taken of ``like``.

    The folder appears whole or not at all; equal arguments find it again. Weights keep the types they have in the file.

    Args:
        file: safetensors, in the layout of one of ``LAYOUTS``.
        like: folder in diffusers' layout: configs, vocabularies, and the weights of what the file does not hold.
        artifacts: data folder.

    Raises:
        InputError: the file is a pickle, not whole, a LoRA or of no known family; ``like`` is of another family, or
            lacks something; shapes disagree; the disk has too little room or cannot be written.
    """
    from filelock import FileLock

    header = _read(file)
    # Before the hash: a file that changes meanwhile must not pass for the one that was converted.
    state = file_state(file)
    family = _family_of(file, header.entries)
    layout = LAYOUTS[family]
    _require_configs(like, layout, family, file)
    # A part that the folder does without stays out: of SD3 often T5.
    wanted = loaded_components(like)
    from_file = tuple(name for name, prefixes in layout.parts.items()
                      if name in wanted and any(key.startswith(prefixes) for key in header.entries))  # fmt: skip
    denoiser = next(iter(layout.parts))
    if denoiser not in from_file:
        raise InputError(f"{file}: accepted a {denoiser} under {' or '.join(layout.parts[denoiser])}, got none that "
                         f"{like} describes; next: choose another file")
    copied = _copied_files(like, from_file, file)
    digest = hash_file(file)
    key = hash_json({"revision": CONVERSION_REVISION, "file": digest,
                     "like": [[name, hash_file(like / name)] for name in copied]})
    folder = conversions_folder(artifacts) / key[:32]
    made = False
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(str(folder.with_name(f".{folder.name}.lock"))):
        if not folder.is_dir():
            with _made_whole(folder, file.stat().st_size) as part:
                for name in copied:
                    (part / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(like / name, part / name)
                _convert(file, like, layout, from_file, header, part)
                require_whole(part)
            made = True
    write_json(conversion_record(file, artifacts), {"file": state, "folder": folder.name, "path": str(file.resolve()),
                                                   "sha256": digest})
    return Conversion(folder, family, from_file, made)


def _read(file: Path) -> TensorFile:
    if not file.is_file():
        raise InputError(f"{file}: accepted a single-file checkpoint, got no file there; next: check the path")
    if is_pickle(file):
        refuse_pickle(file)
    try:
        return read_header(file)
    except NotSafetensorsError as error:
        if "pickle" in str(error):
            refuse_pickle(file)
        raise


def _family_of(file: Path, names: Collection[str]) -> str:
    for family, layout in LAYOUTS.items():
        if any(name.removeprefix(_DENOISER).startswith(layout.marks) for name in names):
            if family == "sd15" and any(name.startswith("cond_stage_model.model.") for name in names):
                break
            return family
    got = "a LoRA" if any(".lora_" in name or name.startswith("lora_") for name in names) else (
        f"tensors such as {next(iter(sorted(names)), 'none')[:80]!r}")
    raise InputError(f"{file}: accepted a whole model of {', '.join(LAYOUTS)} in its authors' layout, got {got}; "
                     "next: choose another file")


def _require_configs(like: Path, layout: Layout, family: str, file: Path) -> None:
    require_base(like)
    got = read_config(like, "", "model_index.json").get("_class_name")
    if got != layout.pipeline:
        raise InputError(f"{like}: accepted the configs of {family} ({layout.pipeline}), which {file.name} is, got "
                         f"{str(got)[:80]}; next: --like a folder of that family")


def _copied_files(like: Path, from_file: Collection[str], file: Path) -> list[str]:
    """Return the files of ``like`` that the new folder takes over, as sorted relative names."""
    names = ["model_index.json"]
    for component in loaded_components(like):
        folder = like / component
        if not folder.is_dir():
            raise InputError(f"{like}: accepted a folder {component} as model_index.json names it, got none; "
                             "next: fetch that folder too")
        kept: tuple[str | None, ...] = ()
        if holds_weights(component):
            read_config(like, component)
            if component not in from_file:
                chosen = _weights_beside(folder, component, file)
                kept = (*chosen.files, chosen.index)
        names += [path.relative_to(like).as_posix() for path in folder.rglob("*")
                  if path.is_file() and not path.name.startswith(".")
                  and ((path.name in kept and path.parent == folder) or not is_weight_file(path.name))]
    return sorted(names)


def _weights_beside(folder: Path, component: str, file: Path) -> Any:
    try:
        return weight_files(folder)
    except InputError as error:
        raise InputError(f"{file}: accepted a file with {component}, or --like a folder that has its weights, got "
                         f"neither ({str(error).partition('; next: ')[0]}); next: --like a whole base") from error


@contextmanager
def _made_whole(folder: Path, size: int) -> Iterator[Path]:
    from safetensors import SafetensorError

    part = folder.with_name(f".{folder.name}.part")
    # What a killed conversion left; whoever holds the lock is alone with it.
    shutil.rmtree(part, ignore_errors=True)
    free = shutil.disk_usage(folder.parent).free
    if free < size:
        raise InputError(f"{folder.parent}: accepted {size / 2**30:.1f} GiB free for the converted base, got "
                         f"{free / 2**30:.1f}; next: make room, or artifacts in lifeos.toml on another disk")
    try:
        part.mkdir()
        yield part
        for path in part.rglob("*"):
            _sync(path)
        part.rename(folder)
        sync_folder(folder.parent)
    except (OSError, SafetensorError) as error:
        got = (error.strerror if isinstance(error, OSError) else None) or error
        raise InputError(f"{folder.parent}: accepted a folder that can be written, got {got}; "
                         "next: make room, then the same command again") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _sync(path: Path) -> None:
    if path.is_dir():
        sync_folder(path)
        return
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _convert(
    file: Path, like: Path, layout: Layout, from_file: Sequence[str], header: TensorFile, part: Path
) -> None:
    import diffusers
    import torch
    from diffusers.utils import is_accelerate_available

    quiet()
    if not is_accelerate_available():
        # Without it diffusers leaves what a file lacks random, with it empty, which shows.
        raise InputError("conversion: accepted an environment with accelerate, got none; next: pip install accelerate")
    index = read_config(like, "", "model_index.json")
    types = {name: _type_of(header, layout.parts[name]) for name in from_file}
    # One type for all is what it takes; of several the widest holds every value of the others.
    loaded = {"torch_dtype": getattr(torch, _widest(types.values()))}
    absent = dict.fromkeys(name for name, value in index.items()
                           if isinstance(value, list) and name not in (*from_file, "scheduler"))  # fmt: skip
    try:
        pipeline = getattr(diffusers, layout.pipeline).from_single_file(
            str(file), config=str(like), local_files_only=True, **loaded, **absent)
    except (OSError, ValueError, RuntimeError, KeyError, AttributeError, TypeError) as error:
        # What the file lacks stays without data, which torch then fails to copy.
        lacking = "meta tensor" in str(error)
        what = "a file without some of them" if lacking else " ".join(str(error).split())[:300] or type(error).__name__
        raise _disagree(file, like, what) from error
    for name in from_file:
        model = getattr(pipeline, name)
        if hasattr(model, "tie_weights"):
            model.tie_weights()
        if name == "text_encoder":
            _take_own_projection(model, file, header)
        empty = [each for each, values in model.named_parameters() if values.is_meta]
        if empty:
            raise _disagree(file, like, f"{name} without {empty[0]} and {len(empty) - 1} more")
        held, taken = _denoiser_size(header), sum(values.numel() for values in model.state_dict().values())
        if name == from_file[0] and held != taken:
            raise _disagree(file, like, f"{name} of {held} numbers where they make {taken}")
        config = (part / name / "config.json").read_bytes()
        model.to(getattr(torch, types[name])).save_pretrained(str(part / name), safe_serialization=True)
        # As it was named: what the libraries write there changes with their version, and with it the base's hash.
        (part / name / "config.json").write_bytes(config)
        setattr(pipeline, name, None)


def _type_of(header: TensorFile, prefixes: tuple[str, ...]) -> str:
    """Return torch's name of the type that holds every tensor of a part as it is in the file."""
    return _widest({_TYPES[entry.dtype] for name, entry in header.entries.items()
                    if name.startswith(prefixes) and entry.dtype in _TYPES})


def _denoiser_size(header: TensorFile) -> int:
    """Return how many numbers the denoiser has in a file; diffusers passes over layers that a config does not know."""
    named = [name for name in header.entries if name.startswith(_DENOISER)]
    others = tuple(prefix for layout in LAYOUTS.values() for prefixes in list(layout.parts.values())[1:]
                   for prefix in prefixes)  # fmt: skip
    named = named or [name for name in header.entries if not name.startswith(others)]
    return sum(math.prod(header.entries[name].shape) for name in named)


def _widest(types: Collection[str]) -> str:
    return next(iter(set(types))) if len(set(types)) == 1 else "float32"


def _disagree(file: Path, like: Path, what: str) -> InputError:
    return InputError(f"{file}: accepted the tensors that the configs of {like} describe, got {what}; "
                      "next: --like a folder of the same model")


def _take_own_projection(model: Any, file: Path, header: TensorFile) -> None:
    # diffusers 0.42 puts the identity here whatever the file of an sd3 holds.
    key = f"{_CLIP_L_OF_THREE}text_projection.weight"
    if hasattr(model, "text_projection") and key in header.entries:
        from safetensors import safe_open

        with safe_open(str(file), framework="pt") as opened:
            model.text_projection.weight.data.copy_(opened.get_tensor(key))
