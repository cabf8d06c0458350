"""What the entries' twins leave out: published names on a pod that drops them, and files that concern no rule."""

from types import SimpleNamespace

import pytest
from packaging.version import Version

from lifeos.lora.detectors.lora_files import (
    alpha_not_saved,
    flux_text_encoder_dropped,
    modules_absent,
    ranks_differ_without_alpha,
    text_encoder_named_otherwise,
)

NESTED = "text_encoder.text_model.encoder.layers.0.self_attn.q_proj"
BASE = {NESTED: (8, 8)}


def lora(*names, tensors=(), metadata=None, ranks=None, alpha=4.0, parts=(), level="text_model."):
    ranks = ranks or dict.fromkeys(names, 4)
    modules = {name: SimpleNamespace(rank=ranks[name], alpha=alpha) for name in names}
    own = {name: name.replace("text_model.", level) for name in names}
    keys = SimpleNamespace(modules={name: SimpleNamespace(parts=dict.fromkeys(("down", *parts), own[name]))
                                    for name in names}, unknown=())  # fmt: skip
    return SimpleNamespace(keys=keys, modules=modules, tensors=dict.fromkeys(tensors), metadata=metadata or {})


def pod(**versions):
    return lambda package: Version(versions[package]) if package in versions else None


@pytest.mark.parametrize(
    ("family", "versions", "found"),
    [
        ("sd15", {"transformers": "5.6.0", "diffusers": "0.40.0"}, True),
        ("sd15", {"transformers": "5.6.0", "diffusers": "0.41.0"}, False),
        ("sd15", {"transformers": "5.5.4", "diffusers": "0.40.0"}, False),
        ("sd3", {"transformers": "5.6.0", "diffusers": "0.40.0"}, False),
        ("sd15", {}, False),
    ],
)
def test_published_names_are_dropped_by_a_diffusers_that_knows_no_flat_model(family, versions, found):
    seen = text_encoder_named_otherwise(lora(NESTED), SimpleNamespace(family=family), BASE, pod(**versions))
    assert (seen is not None) is found


@pytest.mark.parametrize(("transformers", "found"), [("5.5.4", True), ("5.6.0", False)])
def test_flat_names_are_dropped_by_a_transformers_that_has_the_level(transformers, found):
    both = pod(transformers=transformers, diffusers="0.41.0")
    flat = lora(NESTED, level="")
    assert (text_encoder_named_otherwise(flat, SimpleNamespace(family="sd15"), BASE, both) is not None) is found
    assert text_encoder_named_otherwise(flat, SimpleNamespace(family="sd15"), BASE, pod()) is None
    assert text_encoder_named_otherwise(lora(NESTED), SimpleNamespace(family="sd15"), BASE, both) is None


def test_names_that_fit_nothing_are_not_called_flat():
    stray = lora("text_encoder.encoder.layers.9.self_attn.q_proj", level="")
    assert text_encoder_named_otherwise(stray, SimpleNamespace(family="sd15"), BASE, pod(transformers="5.0")) is None


def test_kohya_names_may_be_flat_too():
    flat = lora("text_encoder.encoder_layers_0_self_attn_q_proj")
    seen = text_encoder_named_otherwise(flat, SimpleNamespace(family="sd15"), BASE, pod(transformers="5.0"))
    assert seen.startswith("1 text encoder")


@pytest.mark.parametrize(("family", "found"), [("flux", True), ("sdxl", False)])
def test_only_flux_drops_the_first_text_encoder_by_its_prefix(family, found):
    file = lora(tensors=["lora_te1_text_model_encoder_layers_0_self_attn_q_proj.alpha"])
    seen = flux_text_encoder_dropped(file, SimpleNamespace(family=family), pod(diffusers="0.36.0"))
    assert (seen is not None) is found


@pytest.mark.parametrize(
    ("metadata", "found"),
    [
        ({"ss_network_dim": "4", "ss_network_alpha": "8"}, True),
        ({"ss_network_dim": "4", "ss_network_alpha": "4.0"}, False),
        ({"ss_network_dim": "16", "ss_network_alpha": "8"}, False),
        ({"ss_network_dim": "4", "ss_network_alpha": "Dynamic"}, False),
        ({}, False),
    ],
)
def test_alpha_is_lost_where_the_metadata_of_this_rank_say_another(metadata, found):
    assert (alpha_not_saved(lora("unet.a", metadata=metadata)) is not None) is found
    assert alpha_not_saved(lora("unet.a", metadata=metadata, parts=("alpha",))) is None


def test_ranks_may_differ_between_components():
    one_each = lora("unet.a", "text_encoder.b", ranks={"unet.a": 4, "text_encoder.b": 2})
    both = lora("unet.a", "unet.b", ranks={"unet.a": 4, "unet.b": 2})
    assert ranks_differ_without_alpha(one_each) is None
    assert ranks_differ_without_alpha(both) == "unet: ranks 2, 4 and no alpha"


def test_a_file_that_is_not_understood_is_not_called_a_part():
    report, file = SimpleNamespace(found=2, expected=4), lora(NESTED)
    file.broken = {}
    assert modules_absent(report, file, BASE) == "2 of 4 modules are there, and a loader takes them without a word"
    assert modules_absent(report, file, {}) is None
    file.broken = {NESTED: "has no up matrix"}
    assert modules_absent(report, file, BASE) is None
    file.broken, file.keys.unknown = {}, ("lora_unet_a.hada_w1_a",)
    assert modules_absent(report, file, BASE) is None
