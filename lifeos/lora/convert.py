"""A LoRA under the names of another format: the same numbers, in the same types, with the same effect, or refused."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from evals.atomic import write_bytes, write_json
from evals.content_hash import hash_bytes
from lifeos.errors import InputError
from lifeos.lora.adapter_config import ADAPTER_CONFIG, adapter_config, short_number
from lifeos.lora.converted_metadata import converted_metadata, data_hash, loader_notes
from lifeos.lora.families import Family, Shape, base_hash
from lifeos.lora.hand_over import Judgement
from lifeos.lora.key_formats import Part, WrittenFormat, tensor_names
from lifeos.lora.key_maps import WRITES_CHECKPOINT_NAMES, Layer, checkpoint_layers
from lifeos.lora.lora_file import AdapterMetadata, LoraFile, LoraModule, read_lora
from lifeos.lora.safetensors_file import encode, read_header
from lifeos.lora.stacked import Pair, stack, swap_halves

_Types = Mapping[str, Mapping[Part, str]]


@dataclass(frozen=True)
class Converted:
    """A file that was written.

    Args:
        path: the file.
        sha256, source_sha256: of its bytes, and of those it was made from.
        source_formats: key formats of the source.
        key_format: of the new file.
        modules: modules of diffusers that carry a pair.
        ranks, alphas, types: those that occur, sorted.
        dora: whether any module has a magnitude.
        notes: what loaders do with it that its names do not show.
    """

    path: Path
    sha256: str
    source_sha256: str
    source_formats: tuple[str, ...]
    key_format: WrittenFormat
    modules: int
    ranks: tuple[int, ...]
    alphas: tuple[int | float, ...]
    types: tuple[str, ...]
    dora: bool
    notes: tuple[str, ...]


def convert_lora(
    lora: Path, out: Path, base: Path, family: Family, key_format: WrittenFormat, judgement: Judgement | None = None
) -> Converted:
    """Write a LoRA under the names of a format; equal arguments write equal bytes.

    Numbers keep their type. Alpha is a tensor for kohya and stands in ``lora_adapter_metadata`` for diffusers, which
    refuses a file that states it both ways; for peft also in ``adapter_config.json`` beside ``out``, where peft reads
    it. For SDXL, SD3 and Flux kohya's names are those of the published checkpoints, whose layers may hold several
    modules: their pairs are stacked exactly (``lifeos.lora.stacked``).

    Args:
        lora: any format that is read; a peft file without alpha is read with the ``adapter_config.json`` beside it.
        out: file to write; its folder is made.
        base: folder of the base it was made for.
        family: the base's.
        key_format: to write.
        judgement: what the history says of ``lora``; None: nothing.

    Raises:
        InputError: ``lora`` cannot be read, a tensor has no place in ``base``, a pair is broken or of another shape, a
            number has 64 bits, the file says that it was made for another base, the judgement is of other bytes, or the
            format cannot hold this LoRA exactly. Nothing is written then.
    """
    modules = family.modules(base)
    read = _read(lora, base, family, modules, judgement)
    types = _types(read)
    tensors: dict[str, tuple[str, npt.NDArray[Any]]] = {}
    for layer in _layers_to_write(read, family, modules, key_format):
        names, shape = tensor_names(key_format, layer, family.kohya_prefixes), modules[layer.parts[0]]
        pair, kinds = _pair_of(read, layer, modules), _widest(types, layer)
        tensors[names["down"]] = kinds["down"], pair.down.reshape(len(pair.down), *shape[1:])
        tensors[names["up"]] = kinds["up"], pair.up.reshape(*pair.up.shape[:2], *(1 for _ in shape[2:]))
        if "alpha" in names:
            tensors[names["alpha"]] = "F32", np.array(pair.alpha, dtype=np.float32)
        if pair.magnitude is not None:
            tensors[names["magnitude"]] = kinds["magnitude"], _magnitude(pair.magnitude, key_format, len(shape))
    try:
        metadata = converted_metadata(read, family, key_format, data_hash(encode(tensors, {})), judgement)
        content = encode(tensors, metadata)
    except ValueError as error:
        raise InputError(f"{lora}: accepted a LoRA that {key_format} holds exactly, got {error}; "
                         "next: --to diffusers") from error  # fmt: skip
    write_bytes(out, content)
    if key_format == "peft":
        write_json(out.parent / ADAPTER_CONFIG, adapter_config(read.modules, family.lora_components[0]))
    pairs = read.modules.values()
    return Converted(
        out, hash_bytes(content), read.sha256, read.keys.formats, key_format, len(pairs),
        tuple(sorted({pair.rank for pair in pairs})), tuple(sorted({short_number(pair.alpha) for pair in pairs})),
        tuple(sorted({kinds["down"] for kinds in types.values()})), any(pair.magnitude is not None for pair in pairs),
        tuple(loader_notes(family, key_format, read.modules)),
    )  # fmt: skip


def _read(
    lora: Path, base: Path, family: Family, modules: Mapping[str, Shape], judgement: Judgement | None
) -> LoraFile:
    read = read_lora(lora, family, modules)
    if judgement is not None and judgement.lora != read.sha256:
        raise InputError(f"{lora}: accepted the file that row {judgement.row} judged ({judgement.lora[:12]}), got "
                         f"other bytes ({read.sha256[:12]}); next: run the same command again")  # fmt: skip
    beside = _config_beside(read, family)
    if beside is not None:
        if judgement is not None:
            raise InputError(f"{lora}: accepted a judged file with its own alpha, got one that {ADAPTER_CONFIG} beside "
                             "it changes since; next: move that away")  # fmt: skip
        read = read_lora(lora, family, modules, beside)
    shapes = {name: pair.weight_shape() for name, pair in read.modules.items() if name in modules}
    problems = [
        *(f"tensor {name[:120]} without a place" for name in read.keys.unknown),
        *(f"{name[:120]}, which is no module of it" for name in sorted(set(read.keys.modules) - set(modules))),
        *(f"{name} that {reason}" for name, reason in sorted(read.broken.items())),
        *(f"{name} {shape} where it has {modules[name]}" for name, shape in shapes.items()
          if _bare(shape) != _bare(modules[name])),
        *(f"{name} in {kinds['down']}" for name, kinds in _types(read).items() if "F64" in kinds.values()),
    ]  # fmt: skip
    if problems or not read.modules:
        more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
        raise InputError(f"{lora}: accepted a LoRA for {base.name} ({family.name}), got "
                         f"{problems[0] if problems else 'none'}{more}; next: pass --base and --family")  # fmt: skip
    recorded = read.metadata.get("lifeos.base_hash")
    own = None if recorded is None else base_hash(base)
    if recorded != own:
        raise InputError(f"{lora}: accepted a LoRA of {base.name} ({str(own)[:12]}), got one that says it was trained "
                         f"on base {str(recorded)[:12]}; next: pass --base FOLDER")  # fmt: skip
    return read


def _config_beside(read: LoraFile, family: Family) -> AdapterMetadata | None:
    """Return what peft's ``adapter_config.json`` says of a file that has only peft's names and no alpha of its own."""
    path = read.path.parent / ADAPTER_CONFIG
    if read.keys.formats != ("peft",) or AdapterMetadata.read(read.metadata) is not None or not path.is_file():
        return None
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return AdapterMetadata({f"{family.lora_components[0]}.{name}": value for name, value in values.items()})
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise InputError(f"{path}: accepted peft's configuration, got none that can be read; next: move it away"
                         ) from error  # fmt: skip


def _layers_to_write(
    read: LoraFile, family: Family, modules: Mapping[str, Shape], key_format: WrittenFormat
) -> list[Layer]:
    if key_format == "peft":
        others = {name.split(".", 1)[0] for name in read.modules} - {family.lora_components[0]}
        if others:
            raise InputError(f"{read.path}: accepted a LoRA of {family.lora_components[0]} alone, as a peft file is of "
                             f"one model, got {', '.join(sorted(others))} too; next: --to diffusers")  # fmt: skip
    if key_format == "kohya" and family.name in WRITES_CHECKPOINT_NAMES:
        layers = checkpoint_layers(family.name, modules)
        return [layer for layer in layers if any(part in read.modules for part in layer.parts)]
    return [Layer(name.split(".", 1)[1], (name,)) for name in sorted(read.modules)]


def _pair_of(read: LoraFile, layer: Layer, modules: Mapping[str, Shape]) -> Pair:
    pairs = [_as_pair(read.modules.get(part)) for part in layer.parts]
    if len(pairs) > 1:
        try:
            pair = stack(pairs, [modules[part][0] for part in layer.parts])
        except ValueError as error:
            kinds = ", ".join(part.rsplit(".", 1)[1] for part in layer.parts)
            raise InputError(f"{read.path}: accepted {kinds} that one {layer.name} holds exactly, got {error}; "
                             "next: --to diffusers") from error  # fmt: skip
    else:
        found = pairs[0]
        assert found is not None
        pair = found
    if layer.swapped:
        norms = None if pair.magnitude is None else swap_halves(pair.magnitude)
        pair = pair._replace(up=swap_halves(pair.up), magnitude=norms)
    return pair


def _as_pair(module: LoraModule | None) -> Pair | None:
    return None if module is None else Pair(module.down, module.up, module.alpha, module.magnitude)


def _types(read: LoraFile) -> _Types:
    entries = read_header(read.path).entries
    return {name: {part: entries[tensor].dtype for part, tensor in read.keys.modules[name].parts.items()}
            for name in read.modules}  # fmt: skip


def _widest(types: _Types, layer: Layer) -> dict[Part, str]:
    """Return the types of a layer's tensors: its modules' own, or float32, which holds both types of 16 bits."""
    parts: tuple[Part, ...] = ("down", "up", "magnitude")
    kinds = {part: {types[name][part] for name in layer.parts if part in types.get(name, {})} for part in parts}
    return {part: found.pop() if len(found) == 1 else "F32" for part, found in kinds.items()}


def _magnitude(values: npt.NDArray[np.float32], key_format: WrittenFormat, dimensions: int) -> npt.NDArray[np.float32]:
    """Return ``[out]`` in the shape that the format's loaders multiply with; see ``lora_file`` for what they are."""
    if key_format == "kohya":
        return values.reshape(-1, *[1] * (dimensions - 1))
    return values.reshape(1, -1, 1, 1) if dimensions == 4 else values


def _bare(shape: Shape) -> Shape:
    # kohya writes 1x1 convolutions where the base has a linear layer, and the other way round.
    return shape[:2] if shape[2:] == (1, 1) else shape
