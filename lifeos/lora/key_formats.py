"""Names of LoRA tensors as diffusers, peft, kohya and ComfyUI write them: which module, and which part of its pair.

What ComfyUI reads beside kohya's names (its generic format, and OneTrainer's) was read from Comfy-Org/ComfyUI 17358c8,
``comfy/lora.py``.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from lifeos.lora.families.component_files import published_name
from lifeos.lora.key_maps import Layer

KeyFormat = Literal["diffusers", "peft", "kohya", "comfyui"]
WrittenFormat = Literal["diffusers", "peft", "kohya"]
WRITTEN_FORMATS: tuple[WrittenFormat, ...] = get_args(WrittenFormat)
"""Formats that ``tensor_names`` writes."""
Part = Literal["down", "up", "alpha", "magnitude"]

KOHYA_MAGNITUDE = ".dora_scale"
"""Ending of a DoRA magnitude as LyCORIS and ComfyUI name it; diffusers and peft write the others."""

# The attention processors of old diffusers put the projection's name before "_lora" and drop the ".0" of to_out.
_OLD_PROJECTION = re.compile(r"^(?P<stem>.+?)(?:\.processor)?\.(?P<projection>to_q|to_k|to_v|to_out)_lora$")
_ENDINGS: tuple[tuple[str, Part], ...] = (
    (".lora_A.weight", "down"),
    (".lora_B.weight", "up"),
    (".lora_A.default.weight", "down"),
    (".lora_B.default.weight", "up"),
    (".lora.down.weight", "down"),
    (".lora.up.weight", "up"),
    (".lora_linear_layer.down.weight", "down"),
    (".lora_linear_layer.up.weight", "up"),
    (".lora_down.weight", "down"),
    (".lora_up.weight", "up"),
    (".down.weight", "down"),
    (".up.weight", "up"),
    (".alpha", "alpha"),
    (".lora_magnitude_vector", "magnitude"),
    (".lora_magnitude_vector.weight", "magnitude"),
    (".lora_magnitude_vector.default", "magnitude"),
    (".lora_magnitude_vector.default.weight", "magnitude"),
    (KOHYA_MAGNITUDE, "magnitude"),
)
_PEFT_PREFIX = "base_model.model."
# OneTrainer: kohya's endings with the names of diffusers' transformer.
_ONETRAINER_PREFIX = "lora_transformer_"
# Stands for the first text encoder where there are more, too.
_KOHYA_TEXT_PREFIX = "lora_te_"
_COMFYUI_DENOISER = "diffusion_model."
_COMFYUI_TEXT = {
    "text_encoders.clip_l.transformer.": "text_encoder",
    "text_encoders.clip_g.transformer.": "text_encoder_2",
}
_DENOISERS = ("unet", "transformer")
_WRITTEN_ENDINGS: dict[WrittenFormat, dict[Part, str]] = {
    "diffusers": {"down": ".lora_A.weight", "up": ".lora_B.weight", "magnitude": ".lora_magnitude_vector"},
    "peft": {"down": ".lora_A.weight", "up": ".lora_B.weight", "magnitude": ".lora_magnitude_vector"},
    "kohya": {"down": ".lora_down.weight", "up": ".lora_up.weight", "alpha": ".alpha", "magnitude": KOHYA_MAGNITUDE},
}


@dataclass
class ModuleKeys:
    """The tensor names that make up one LoRA module.

    ``alpha`` is absent in most diffusers files, ``magnitude`` in everything but DoRA. ``layer`` is the checkpoint's
    layer that the tensors belong to, where that is not just this module: its parts share them.
    """

    name: str
    parts: dict[Part, str] = field(default_factory=dict)
    layer: Layer | None = None


@dataclass
class KeyReading:
    """What the names of a file say.

    Args:
        formats: formats seen, sorted.
        modules: ``component.module`` -> names of its tensors. The module need not exist in any base.
        unknown: names that fit no format, or name a part twice.
    """

    formats: tuple[KeyFormat, ...]
    modules: dict[str, ModuleKeys]
    unknown: tuple[str, ...]


def read_keys(
    names: Iterable[str],
    components: Iterable[str],
    kohya_prefixes: Mapping[str, str],
    base_modules: Iterable[str],
    layers: Iterable[Layer] = (),
) -> KeyReading:
    """Sort tensor names into LoRA modules.

    Args:
        names: tensor names of the file.
        components: components that diffusers keys begin with; the first one owns keys of a peft file without any.
        kohya_prefixes: kohya's prefix -> component.
        base_modules: ``component.module`` of the target base; needed because kohya turns every dot into an underscore,
            which only a list of real names can undo.
        layers: of the base as published checkpoints name them; their names are read where kohya and ComfyUI use them.
    """
    places = _Places(tuple(components), kohya_prefixes, base_modules, layers)
    formats: set[KeyFormat] = set()
    modules: dict[str, ModuleKeys] = {}
    unknown: list[str] = []
    for name in sorted(names):
        read = places.read(name)
        if read is None:
            unknown.append(name)
            continue
        key_format, layer, part = read
        of_layer = [modules.setdefault(module, ModuleKeys(module)) for module in layer.parts]
        if any(part in keys.parts for keys in of_layer):
            unknown.append(name)
            continue
        for keys in of_layer:
            keys.parts[part] = name
            keys.layer = layer if len(layer.parts) > 1 or layer.swapped else keys.layer
        formats.add(key_format)
    return KeyReading(tuple(sorted(formats)), modules, tuple(unknown))


def tensor_names(key_format: WrittenFormat, layer: Layer, kohya_prefixes: Mapping[str, str]) -> dict[Part, str]:
    """Return how a format names the tensors of a layer; diffusers and peft hold alpha in no tensor.

    Args:
        key_format: to write.
        layer: for diffusers and peft of one module.
        kohya_prefixes: kohya's prefix -> component; of several for one the first is written.
    """
    if key_format == "kohya":
        prefix = next(prefix for prefix, component in kohya_prefixes.items() if component == layer.component)
        stem = prefix + layer.name.replace(".", "_")
    else:
        stem = layer.parts[0]
        if key_format == "peft":
            stem = _PEFT_PREFIX + stem.split(".", 1)[1]
    return {part: stem + ending for part, ending in _WRITTEN_ENDINGS[key_format].items()}


def module_kind(module: str) -> str:
    """Return the part of a module's name that all blocks share: ``to_q``, ``to_out.0``, ``net.2``, ``conv1``."""
    found = re.search(r"[^.\d][^.]*(?:\.\d+)?$", module)
    return found.group(0) if found else module


class _Places:
    """Where the names of a file may point to in one base."""

    def __init__(
        self,
        components: tuple[str, ...],
        kohya_prefixes: Mapping[str, str],
        base_modules: Iterable[str],
        layers: Iterable[Layer],
    ) -> None:
        self._starts = tuple(f"{component}." for component in components)
        self._first = components[0]
        self._denoiser = next((name for name in components if name in _DENOISERS), components[0])
        self._kohya = {**kohya_prefixes, _ONETRAINER_PREFIX: self._denoiser, _KOHYA_TEXT_PREFIX: "text_encoder"}
        self._flat: dict[tuple[str, str], Layer] = {}
        self._dotted: dict[tuple[str, str], Layer] = {}
        for layer in layers:
            self._dotted[layer.component, layer.name] = layer
            self._flat[layer.component, layer.name.replace(".", "_")] = layer
        for module in base_modules:
            component, inner = module.split(".", 1)
            # The checkpoint's own name comes first: it stands for the whole layer.
            self._flat.setdefault((component, inner.replace(".", "_")), Layer(inner, (module,)))

    def read(self, name: str) -> tuple[KeyFormat, Layer, Part] | None:
        """Return what a tensor's name says; the module need not exist. None: the name fits no format."""
        ending = next(((end, part) for end, part in _ENDINGS if name.endswith(end)), None)
        if ending is None:
            return None
        stem, part = name.removesuffix(ending[0]), ending[1]
        for prefix, component in self._kohya.items():
            if stem.startswith(prefix):
                flat = stem.removeprefix(prefix)
                return "kohya", self._flat.get((component, flat), Layer(flat, (f"{component}.{flat}",))), part
        for prefix, component in {_COMFYUI_DENOISER: self._denoiser, **_COMFYUI_TEXT}.items():
            if stem.startswith(prefix):
                inner = stem.removeprefix(prefix)
                return "comfyui", self._dotted.get((component, inner), Layer(inner, (f"{component}.{inner}",))), part
        key_format: KeyFormat = "diffusers"
        if stem.startswith(_PEFT_PREFIX):
            key_format, stem = "peft", stem.removeprefix(_PEFT_PREFIX)
            if not stem.startswith(self._starts):
                stem = f"{self._first}.{stem}"
        if not stem.startswith(self._starts):
            return None
        old = _OLD_PROJECTION.match(stem)
        if old:
            projection = old["projection"]
            stem = f"{old['stem']}.{'to_out.0' if projection == 'to_out' else projection}"
        component, inner = stem.split(".", 1)
        # diffusers writes what transformers calls its modules, and CLIP's lost their "text_model." in transformers 5.6.
        inner = published_name(component, inner)
        return key_format, Layer(inner, (f"{component}.{inner}",)), part
