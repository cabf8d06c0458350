"""Known failures that a LoRA file shows: of its numbers, of its scales, and of the names that loaders look for."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from evals.known_failures import detects
from evals.verdict import Outcome

if TYPE_CHECKING:
    from packaging.version import Version

    from lifeos.lora.families import Shape
    from lifeos.lora.lora_file import LoraFile, LoraModule
    from lifeos.lora.weights import WeightsReport
    from lifeos.persona import Persona

_OTHER_ADAPTERS = (".hada_w", ".lokr_w", "dora_scale", "lora_magnitude_vector")
_NESTED = "text_encoder.text_model."


@detects("lora-b-all-zero")
def nothing_changes(weights: "WeightsReport") -> str | None:
    """Return whether no module changes anything."""
    norms = weights.delta_norms
    return f"all {len(norms)} modules change nothing" if norms and not any(norms.values()) else None


@detects("unet-only-down-blocks-zero")
def down_blocks_change_nothing(weights: "WeightsReport") -> str | None:
    """Return whether every module going down changes nothing and those going up do."""
    down, up = (
        [norm for name, norm in weights.delta_norms.items() if name.startswith(f"unet.{side}_blocks.")]
        for side in ("down", "up")
    )
    if not down or any(down) or not any(up):
        return None
    return f"all {len(down)} modules of the down blocks change nothing; {sum(map(bool, up))} of the up blocks do"


@detects("sdxl-te1-last-layer-legit-zero")
def another_layer_is_dead(
    weights: "WeightsReport", persona: "Persona", base_modules: "Mapping[str, Shape]"
) -> str | None:
    """Return the dead modules of SDXL's first text encoder that have no such excuse as its last layer has."""
    from lifeos.lora.families import get_family

    if persona.family != "sdxl":
        return None
    spared = get_family(persona.family).may_be_dead(base_modules)
    norms = {name: norm for name, norm in weights.delta_norms.items() if name.startswith(_NESTED)}
    dead = [name for name, norm in norms.items() if norm == 0.0 and name not in spared]
    return _shown("modules of the first text encoder change nothing", dead) if any(norms.values()) else None


@detects("alpha-not-saved")
def alpha_not_saved(lora: "LoraFile") -> str | None:
    """Return a module that the file's metadata give another alpha than a loader takes, which reads none of these."""
    for name, module in sorted(_without_alpha(lora).items()):
        trained = _trained_alpha(lora.metadata, module.rank)
        if trained is not None and trained != module.alpha:
            return (f"{name}: trained with alpha {trained:g} at rank {module.rank}; the file states none, and a loader "
                    f"takes {module.alpha:g}")  # fmt: skip
    return None


@detects("mixed-rank-no-alpha")
def ranks_differ_without_alpha(lora: "LoraFile") -> str | None:
    """Return a component whose modules differ in rank and state no alpha."""
    ranks: dict[str, set[int]] = {}
    for name, module in _without_alpha(lora).items():
        ranks.setdefault(name.split(".", 1)[0], set()).add(module.rank)
    mixed = next((component for component, found in sorted(ranks.items()) if len(found) > 1), None)
    return None if mixed is None else f"{mixed}: ranks {', '.join(map(str, sorted(ranks[mixed])))} and no alpha"


@detects("comfy-lora-key-not-loaded")
def kohya_names_with_a_tail(lora: "LoraFile", base_modules: "Mapping[str, Shape]") -> str | None:
    """Return names of kohya's kind that would be a module's but for an underscore at their end."""
    return _shown("kohya names end in an underscore that no module has", _with_a_tail(lora, base_modules))


@detects("diffusers-prefix-silent-noop")
def names_without_a_component(lora: "LoraFile", base_modules: "Mapping[str, Shape]") -> str | None:
    """Return names that are a module's of the base, without the component in front."""
    inner = {name.split(".", 1)[1] for name in base_modules}
    bare = [name for name in lora.keys.unknown if name.split(".lora", 1)[0] in inner]
    return _shown("names lack their component (unet., text_encoder.)", bare)


@detects("clip-flatten-te-lora-dropped")
def text_encoder_named_otherwise(
    lora: "LoraFile", persona: "Persona", base_modules: "Mapping[str, Shape]",
    pod_version: "Callable[[str], Version | None]",
) -> str | None:  # fmt: skip
    """Return names of CLIP's text model that the pod's transformers does not have and its diffusers does not change.

    transformers 5.6 dropped the level ``text_model``; diffusers strips it from a file's names from 0.41.0 on:
    ``loaders/lora_base.py`` of the wheels. The encoders of SD3 and the second one of SDXL, which are of another class,
    kept it.
    """
    transformers = pod_version("transformers")
    if transformers is None or persona.family == "sd3":
        return None
    if transformers < _version("5.6"):
        what = f"text encoder names lack text_model., which transformers {transformers} has"
        return _shown(what, _flattened(lora, base_modules))
    nested = [name for name, keys in lora.keys.modules.items() if name.startswith(_NESTED) and name in base_modules
              and any("text_model" in tensor for tensor in keys.parts.values())]  # fmt: skip
    if not nested:
        return None
    return _below(pod_version, "0.41", f"{len(nested)} modules named text_encoder.text_model beside {transformers}")


@detects("te-lora-dropped-by-prefix")
def flux_text_encoder_dropped(
    lora: "LoraFile", persona: "Persona", pod_version: "Callable[[str], Version | None]"
) -> str | None:
    """Return whether the pod's diffusers drops the text encoder of a kohya file for Flux.

    Its converter keeps ``lora_te1_`` from 0.37.0 on: ``loaders/lora_conversion_utils.py`` of the wheels.
    """
    names = [name for name in lora.tensors if name.startswith("lora_te1_")]
    if persona.family != "flux" or not names:
        return None
    return _below(pod_version, "0.37", f"{len(names)} tensors named lora_te1_")


@detects("te2-text-projection-key")
def text_projection_not_renamed(lora: "LoraFile", pod_version: "Callable[[str], Version | None]") -> str | None:
    """Return whether the pod's diffusers stops at a text projection among kohya's names.

    Its converter knows it from 0.29.0 on: ``loaders/lora_conversion_utils.py`` of the wheels.
    """
    names = sorted(name for name in lora.tensors if name.startswith("lora_te2_text_projection"))
    return _below(pod_version, "0.29", names[0]) if names else None


@detects("dora-or-lycoris-keys")
def no_plain_lora(lora: "LoraFile") -> str | None:
    """Return the tensors of LoHa, LoKr and the like that were not understood."""
    return _shown("tensors are of another adapter than a LoRA",
                  [name for name in lora.keys.unknown if any(mark in name for mark in _OTHER_ADAPTERS)])  # fmt: skip


@detects("lora-trained-on-other-base")
def made_for_another_base(
    weights: "WeightsReport", lora: "LoraFile", base_modules: "Mapping[str, Shape]"
) -> str | None:
    """Return why the file does not fit the base, unless its names are only spelled otherwise."""
    verdict = weights.verdicts["weights_base"]
    spelled_otherwise = {*_with_a_tail(lora, base_modules), *_flattened(lora, base_modules)}
    if verdict.outcome is not Outcome.FAILED or not set(lora.keys.modules) - spelled_otherwise:
        return None
    return verdict.reason


@detects("partial-lora-loads-quietly")
def modules_absent(weights: "WeightsReport", lora: "LoraFile", base_modules: "Mapping[str, Shape]") -> str | None:
    """Return how many modules are absent from a file in which everything that is there is sound."""
    if lora.keys.unknown or lora.broken or set(lora.keys.modules) - set(base_modules):
        return None
    if not 0 < weights.found < weights.expected:
        return None
    return f"{weights.found} of {weights.expected} modules are there, and a loader takes them without a word"


def _without_alpha(lora: "LoraFile") -> "dict[str, LoraModule]":
    """Return the modules whose alpha neither a tensor nor the adapter metadata state."""
    from lifeos.lora.lora_file import AdapterMetadata

    adapter = AdapterMetadata.read(lora.metadata)
    stated = {} if adapter is None else adapter.values
    return {name: module for name, module in lora.modules.items()
            if "alpha" not in lora.keys.modules[name].parts
            and f"{name.split('.', 1)[0]}.lora_alpha" not in stated}  # fmt: skip


def _trained_alpha(metadata: Mapping[str, str], rank: int) -> float | None:
    try:
        return float(metadata["ss_network_alpha"]) if int(metadata["ss_network_dim"]) == rank else None
    except (KeyError, ValueError):
        return None


def _with_a_tail(lora: "LoraFile", base_modules: "Mapping[str, Shape]") -> list[str]:
    known = {_undotted(name) for name in base_modules}
    return [name for name in lora.keys.modules if name.endswith("_") and name.rstrip("_") in known]


def _flattened(lora: "LoraFile", base_modules: "Mapping[str, Shape]") -> list[str]:
    known, found = {_undotted(name) for name in base_modules}, []
    for module, keys in lora.keys.modules.items():
        if module in base_modules:
            # The reader knows diffusers' flat names too; the tensors tell which the file has.
            flat = ".text_model." in module and not any("text_model" in name for name in keys.parts.values())
        else:
            flat = _undotted(module.replace(".", ".text_model.", 1)) in known
        found += [module] if flat else []
    return found


def _undotted(name: str) -> str:
    """Return ``component.module`` with the module as kohya's tools write it, which is how a reader leaves it too."""
    component, module = name.split(".", 1)
    return f"{component}.{module.replace('.', '_')}"


def _shown(what: str, names: Iterable[str]) -> str | None:
    found = sorted(names)
    return f"{len(found)} {what}, first {found[0][:120]}" if found else None


def _below(pod_version: "Callable[[str], Version | None]", least: str, what: str) -> str | None:
    version = pod_version("diffusers")
    return None if version is None or version >= _version(least) else f"{what}; the pod has diffusers {version}"


def _version(text: str) -> "Version":
    from packaging.version import Version

    return Version(text)
