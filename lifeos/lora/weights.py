"""Is this LoRA file whole, finite, made for this base, complete, and does it do anything: numpy only, no torch."""

import contextlib
import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evals.verdict import Verdict, failed, not_evaluated, passed
from lifeos.errors import InputError
from lifeos.lora.families import Family, Shape, base_hash
from lifeos.lora.key_formats import module_kind
from lifeos.lora.lora_file import AdapterMetadata, LoraFile, LoraModule, read_lora
from lifeos.lora.safetensors_file import NotSafetensorsError

__all__ = ["GATES", "LoraFile", "LoraModule", "WeightsReport", "inspect_lora", "read_lora"]

GATES = ("weights_whole", "weights_finite", "weights_base", "weights_keys", "weights_effect")


@dataclass(frozen=True)
class WeightsReport:
    """What is known of a LoRA file against a base.

    Args:
        path: the file.
        sha256: of its bytes; None when it could not be read.
        family: name of the base's family.
        formats: key formats seen (diffusers, peft, kohya, comfyui).
        preset: target preset the file was held against; None when none fits (then every module of the kinds seen).
        rank, alpha, scale: of all modules; None where modules differ or there are none.
        expected, found: modules expected in the base, and those of them that the file holds.
        delta_norms: ``component.module`` -> Frobenius norm of what it adds; of a DoRA, before the norms are set.
        notes: remarks that decide nothing.
        verdicts: gate id -> verdict, for every id of ``GATES``.
    """

    path: Path
    sha256: str | None
    family: str
    formats: tuple[str, ...]
    preset: str | None
    rank: int | None
    alpha: float | None
    scale: float | None
    expected: int
    found: int
    delta_norms: Mapping[str, float]
    notes: tuple[str, ...]
    verdicts: Mapping[str, Verdict]


def inspect_lora(path: Path, base: Path, family: Family) -> WeightsReport:
    """Judge a LoRA file against a base.

    Gates: ``weights_whole`` (readable safetensors), ``weights_finite`` (no NaN, no infinity), ``weights_base`` (names
    and shapes fit this base, and the file does not say it was made for another), ``weights_keys`` (every tensor
    understood, every pair complete, no expected module absent, a magnitude in all of a component or nowhere),
    ``weights_effect`` (every module changes something; a DoRA whose direction is unchanged counts as dead: training
    moves both, and against a rounded magnitude nothing can be told).
    An absent file leaves all five not evaluated; an unreadable one fails the first and leaves the others so.

    Raises:
        InputError: the base cannot be read.
    """
    path = Path(path)
    base_modules = family.modules(base)
    try:
        lora = read_lora(path, family, base_modules)
    except NotSafetensorsError as error:
        return _unread(path, family, failed(str(error)), f"the file cannot be read: {error}")
    except InputError as error:
        return _unread(path, family, not_evaluated(str(error)), str(error))
    preset, expected = _expected(lora, base, family, base_modules)
    found = sum(name in lora.modules for name in expected)
    norms = {name: module.delta_norm() for name, module in lora.modules.items()}
    finite = _judge_finite(lora)
    verdicts = {
        "weights_whole": passed(f"{len(lora.tensors)} tensors, all bytes accounted for", value=len(lora.tensors)),
        "weights_finite": finite,
        "weights_base": _judge_base(lora, base, family, base_modules),
        "weights_keys": _judge_keys(lora, expected, base_modules, preset),
        "weights_effect": _judge_effect(lora, norms, finite, family.may_be_dead(base_modules)),
    }
    return WeightsReport(
        path=path, sha256=lora.sha256, family=family.name, formats=lora.keys.formats, preset=preset,
        rank=_common([module.rank for module in lora.modules.values()]),
        alpha=_common([module.alpha for module in lora.modules.values()]),
        scale=_common([module.scale for module in lora.modules.values()]),
        expected=len(expected), found=found, delta_norms=norms, notes=_notes(lora), verdicts=verdicts,
    )


def _expected(
    lora: LoraFile, base: Path, family: Family, base_modules: Mapping[str, Shape]
) -> tuple[str | None, dict[str, Shape]]:
    declared = _declared_preset(lora.metadata)
    if declared is not None:
        preset, text_encoders = declared
        with contextlib.suppress(InputError):
            return preset, family.expected_modules(base, preset, text_encoders)
    adapter = AdapterMetadata.read(lora.metadata)
    expected: dict[str, Shape] = {}
    for component in family.lora_components:
        targets = adapter.targets(component) if adapter else None
        if targets is not None:
            endings = tuple(f".{target}" for target in targets)
            expected.update({name: shape for name, shape in base_modules.items()
                             if name.startswith(f"{component}.") and name.endswith(endings)})
    if expected:
        return None, expected
    homes = [name for name in lora.keys.modules if name in base_modules]
    kinds = {(name.split(".", 1)[0], module_kind(name)) for name in homes}
    for preset in ("attention", "attention_feedforward", "full"):
        modules = family.expected_modules(base, preset)
        if kinds <= {(name.split(".", 1)[0], module_kind(name)) for name in modules}:
            return preset, modules
    return None, {name: shape for name, shape in base_modules.items()
                  if (name.split(".", 1)[0], module_kind(name)) in kinds}


def _declared_preset(metadata: Mapping[str, str]) -> tuple[str, bool] | None:
    """Return the preset that the file says it was trained with, and whether text encoders were trained too."""
    try:
        recipe = json.loads(metadata["lifeos.recipe"])
        targets, text_encoders = recipe["targets"], recipe.get("train_text_encoder", False)
    except (KeyError, TypeError, ValueError, RecursionError, AttributeError):
        return None
    return (targets, text_encoders is True) if isinstance(targets, str) else None


def _without_magnitude(lora: LoraFile) -> list[str]:
    """Return the modules without a magnitude in components that have some, or that the file says are a DoRA."""
    adapter = AdapterMetadata.read(lora.metadata)
    declared = {} if adapter is None else adapter.values
    plain: dict[str, list[str]] = {}
    found = set()
    for name, module in sorted(lora.modules.items()):
        component = name.split(".", 1)[0]
        if module.magnitude is None:
            plain.setdefault(component, []).append(name)
        else:
            found.add(component)
    return [name for component, names in plain.items()
            if component in found or declared.get(f"{component}.use_dora") is True for name in names]


def _judge_finite(lora: LoraFile) -> Verdict:
    bad = [name for name, tensor in lora.tensors.items()
           if np.issubdtype(tensor.dtype, np.floating) and not bool(np.isfinite(tensor).all())]
    if bad:
        return failed(f"{len(bad)} tensors hold NaN or infinity, first {bad[0]}", value=len(bad), threshold=0,
                      threshold_source="definition")
    return passed("every number is finite", value=0, threshold=0, threshold_source="definition")


def _judge_base(lora: LoraFile, base: Path, family: Family, base_modules: Mapping[str, Shape]) -> Verdict:
    named = set(lora.keys.modules)
    homes = sorted(named & set(base_modules))
    share = len(homes) / len(named) if named else 0.0
    if not homes:
        return failed(f"no tensor belongs to a module of {base.name} ({family.name}): wrong base or prefix",
                      value=share, threshold=0.5, threshold_source="definition")
    misfits = [f"{name} {lora.modules[name].weight_shape()} where the base has {base_modules[name]}"
               for name in homes if name in lora.modules
               and not _fits(lora.modules[name].weight_shape(), base_modules[name])]
    if misfits:
        return failed(f"{len(misfits)} modules have another shape than in {base.name}, first {misfits[0]}",
                      value=(len(homes) - len(misfits)) / len(named), threshold=1.0, threshold_source="definition")
    if share < 0.5:
        return failed(f"only {len(homes)} of {len(named)} modules exist in {base.name}: made for another base",
                      value=share, threshold=0.5, threshold_source="definition")
    recorded = lora.metadata.get("lifeos.base_hash")
    if recorded is not None:
        own = base_hash(base)
        if recorded != own:
            return failed(f"the file says it was trained on base {recorded[:12]}, this one is {own[:12]}", value=share)
    known = "and the file names this base" if recorded else "by name and shape; the file names no base"
    return passed(f"{len(homes)} of {len(named)} modules fit {base.name} {known}", value=share, threshold=0.5,
                  threshold_source="definition")


def _fits(shape: Shape, target: Shape) -> bool:
    # kohya writes 1x1 convolutions where the base has a linear layer, and the other way round.
    def bare(sizes: Shape) -> Shape:
        return sizes[:2] if sizes[2:] == (1, 1) else sizes

    return bare(shape) == bare(target)


def _judge_keys(
    lora: LoraFile, expected: Mapping[str, Shape], base_modules: Mapping[str, Shape], preset: str | None
) -> Verdict:
    share = sum(name in lora.modules for name in expected) / len(expected) if expected else 0.0

    def fail(reason: str) -> Verdict:
        return failed(reason, value=share, threshold=1.0, threshold_source="definition")

    unknown, homeless = lora.keys.unknown, sorted(set(lora.keys.modules) - set(base_modules))
    if unknown:
        return fail(f"{len(unknown)} tensors are no LoRA matrix that can be placed, first {unknown[0][:120]}")
    if homeless:
        return fail(f"{len(homeless)} modules have no home in the base, first {homeless[0]}")
    if lora.broken:
        name, reason = next(iter(sorted(lora.broken.items())))
        return fail(f"{len(lora.broken)} modules are no pair, first {name} {reason}")
    plain = _without_magnitude(lora)
    if plain:
        return fail(f"{len(plain)} of {len(lora.modules)} modules of a DoRA have no magnitude, first {plain[0]}")
    missing = sorted(set(expected) - set(lora.modules))
    what = f"preset {preset}" if preset else "the modules it targets"
    if not expected:
        return fail("the file holds no LoRA module at all")
    if missing:
        return fail(f"{len(missing)} of {len(expected)} modules of {what} are absent, first {missing[0]}")
    return passed(f"all {len(expected)} modules of {what} are there", value=share, threshold=1.0,
                  threshold_source="definition")


def _judge_effect(lora: LoraFile, norms: Mapping[str, float], finite: Verdict, may_be_dead: frozenset[str]) -> Verdict:
    if finite.blocks:
        return not_evaluated(f"the effect of numbers that are not finite is unknown: {finite.reason}")
    if not norms:
        return not_evaluated("the file holds no complete LoRA pair")
    overflow = sorted(name for name, norm in norms.items() if not math.isfinite(norm))
    if overflow:
        return failed(f"{len(overflow)} modules overflow, first {overflow[0]}")
    total = math.sqrt(sum(norm * norm for norm in norms.values()))
    dead = sorted(name for name, norm in norms.items() if norm == 0.0 and name not in may_be_dead)
    if dead:
        return failed(f"{len(dead)} of {len(norms)} modules change nothing, first {dead[0]}", value=total)
    return passed(f"every one of {len(norms)} modules changes its weight", value=total, threshold=0.0,
                  threshold_source="definition")


def _notes(lora: LoraFile) -> tuple[str, ...]:
    notes = []
    if len(lora.keys.formats) > 1:
        notes.append(f"key formats are mixed: {', '.join(lora.keys.formats)}")
    ranks = Counter(module.rank for module in lora.modules.values())
    if len(ranks) > 1:
        notes.append(f"ranks differ: {dict(sorted(ranks.items()))}")
    declared = lora.metadata.get("ss_network_alpha")
    alphas = {module.alpha for module in lora.modules.values()}
    try:
        lost = declared is not None and len(alphas) == 1 and float(declared) not in alphas
    except ValueError:
        lost = False
    if lost:
        notes.append(f"ss_network_alpha says {declared}, a loader will take {alphas.pop():g}")
    return tuple(notes)


def _common(values: list[Any]) -> Any:
    return values[0] if values and all(value == values[0] for value in values) else None


def _unread(path: Path, family: Family, whole: Verdict, reason: str) -> WeightsReport:
    verdicts = dict.fromkeys(GATES, not_evaluated(reason)) | {"weights_whole": whole}
    return WeightsReport(path, None, family.name, (), None, None, None, None, 0, 0, {}, (), verdicts)
