"""Names of LoRA tensors as diffusers, peft and kohya write them, brought to one: ``component.module`` and a part."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

KeyFormat = Literal["diffusers", "peft", "kohya"]
Part = Literal["down", "up", "alpha", "magnitude"]

KOHYA_MAGNITUDE = ".dora_scale"
"""Ending of a DoRA magnitude as LyCORIS, ComfyUI and A1111 name it; diffusers and peft write the others."""

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


@dataclass
class ModuleKeys:
    """The tensor names that make up one LoRA module.

    ``alpha`` is absent in most diffusers files, ``magnitude`` in everything but DoRA.
    """

    name: str
    parts: dict[Part, str] = field(default_factory=dict)


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
    names: Iterable[str], components: Iterable[str], kohya_prefixes: Mapping[str, str], base_modules: Iterable[str]
) -> KeyReading:
    """Sort tensor names into LoRA modules.

    Args:
        names: tensor names of the file.
        components: components that diffusers keys begin with; the first one owns keys of a peft file without any.
        kohya_prefixes: kohya's prefix -> component.
        base_modules: ``component.module`` of the target base; needed because kohya turns every dot into an underscore,
            which only a list of real names can undo.
    """
    components = tuple(components)
    flattened = {}
    for module in base_modules:
        component, inner = module.split(".", 1)
        flattened[component, inner.replace(".", "_")] = module
    formats: set[KeyFormat] = set()
    modules: dict[str, ModuleKeys] = {}
    unknown: list[str] = []
    for name in sorted(names):
        read = _read_one(name, components, kohya_prefixes, flattened)
        if read is None:
            unknown.append(name)
            continue
        key_format, module, part = read
        keys = modules.setdefault(module, ModuleKeys(module))
        if part in keys.parts:
            unknown.append(name)
            continue
        keys.parts[part] = name
        formats.add(key_format)
    return KeyReading(tuple(sorted(formats)), modules, tuple(unknown))


def module_kind(module: str) -> str:
    """Return the part of a module's name that all blocks share: ``to_q``, ``to_out.0``, ``net.2``, ``conv1``."""
    found = re.search(r"[^.\d][^.]*(?:\.\d+)?$", module)
    return found.group(0) if found else module


def _read_one(
    name: str,
    components: tuple[str, ...],
    kohya_prefixes: Mapping[str, str],
    flattened: Mapping[tuple[str, str], str],
) -> tuple[KeyFormat, str, Part] | None:
    ending = next(((end, part) for end, part in _ENDINGS if name.endswith(end)), None)
    if ending is None:
        return None
    stem, part = name.removesuffix(ending[0]), ending[1]
    for prefix, component in kohya_prefixes.items():
        if stem.startswith(prefix):
            flat = stem.removeprefix(prefix)
            return "kohya", flattened.get((component, flat), f"{component}.{flat}"), part
    key_format: KeyFormat = "diffusers"
    if stem.startswith(_PEFT_PREFIX):
        key_format, stem = "peft", stem.removeprefix(_PEFT_PREFIX)
        if not stem.startswith(tuple(f"{component}." for component in components)):
            stem = f"{components[0]}.{stem}"
    if not stem.startswith(tuple(f"{component}." for component in components)):
        return None
    old = _OLD_PROJECTION.match(stem)
    if old:
        projection = old["projection"]
        stem = f"{old['stem']}.{'to_out.0' if projection == 'to_out' else projection}"
    return key_format, stem, part
