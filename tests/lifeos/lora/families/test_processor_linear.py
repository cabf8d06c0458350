"""Layers by oneDNN and joined pairs against PyTorch's and peft's own, and where they are used."""

import copy

import pytest

from lifeos.lora.families import get_family, processor_linear
from lifeos.lora.families.processor_linear import join_pairs, use_onednn

pytestmark = pytest.mark.filterwarnings("ignore")


def run(model, values, learns_below=True):
    """Return outputs, and gradients of every parameter that learns and of the input if that does."""
    values = values.clone().requires_grad_(learns_below)
    out = model(values)
    out.square().sum().backward()
    gradients = {name: each.grad for name, each in model.named_parameters() if each.requires_grad}
    return {"out": out.detach(), **gradients, **({"values": values.grad} if learns_below else {})}


def node(out):
    return type(out.grad_fn).__name__


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(5, 12), (2, 7, 12)])
def test_a_layer_gives_what_pytorchs_own_gives(bias, shape):
    import torch

    torch.manual_seed(0)
    plain = torch.nn.Sequential(torch.nn.Linear(12, 20, bias=bias), torch.nn.GELU(), torch.nn.Linear(20, 3, bias=bias))
    plain.requires_grad_(False)
    model, values = copy.deepcopy(plain), torch.randn(shape)
    use_onednn(model)
    expected, found = run(plain, values), run(model, values)
    assert node(model(values.requires_grad_())) == "FrozenBackward"
    for name, each in expected.items():
        torch.testing.assert_close(found[name], each)
    # A copy answers from its own weights, in whatever type they are.
    other = copy.deepcopy(model).double()
    other[2].weight.data.zero_()
    assert float(other(values.double()).std(dim=tuple(range(len(shape) - 1))).max()) == 0.0
    torch.testing.assert_close(model(values), expected["out"])
    # A node of autograd that is not PyTorch's own would part a compiler's graph.
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    assert node(compiled(values)) != "FrozenBackward"


@pytest.mark.parametrize("learns_below", [True, False])
def test_a_pair_gives_what_peft_gives(learns_below):
    import torch
    from peft import LoraConfig, inject_adapter_in_model

    torch.manual_seed(0)
    layers = torch.nn.Linear(12, 20), torch.nn.Linear(20, 4, bias=False)
    plain = torch.nn.Sequential(*layers).requires_grad_(False)
    plain = inject_adapter_in_model(LoraConfig(r=3, lora_alpha=6, target_modules=["0", "1"]), plain)
    for name, each in plain.named_parameters():
        if "lora_" in name:
            each.data = torch.randn(each.shape)
    joined, values = copy.deepcopy(plain), torch.randn(2, 7, 12)
    use_onednn(torch.nn.ModuleList(layer.base_layer for layer in joined))
    join_pairs(joined)
    assert node(joined(values)) == "PairedBackward"
    expected, found = run(plain, values, learns_below), run(joined, values, learns_below)
    assert len(expected) == 5 + learns_below
    for name, each in expected.items():
        torch.testing.assert_close(found[name], each, rtol=1e-4, atol=1e-3)


def changed(bases, family, dtype, dora=None):
    """Return the endings of layers that are not PyTorch's or peft's own: sampling, or training with a LoRA or DoRA."""
    kind = get_family(family)
    components = kind.load(bases[family])
    if dora is None:
        kind.prepare_sampling(components, dtype, "cpu")
    else:
        kind.prepare_training(components, dtype, False)
        kind.add_lora(components, 2, 4.0, "attention", 0, dora=dora)
    names = {name for name, module in components.unet.named_modules() if "forward" in vars(module)}
    return {ending for ending in ("to_q", "ff.net.2") if any(name.endswith(ending) for name in names)}


@pytest.mark.parametrize("family", ["sd15", "sdxl"])
def test_training_and_sampling_in_float32_use_both(bases, family):
    assert changed(bases, family, "float32") == changed(bases, family, "float32", False) == {"to_q", "ff.net.2"}
    assert changed(bases, family, "float32", True) == {"ff.net.2"}
    assert not changed(bases, family, "bfloat16") | changed(bases, family, "bfloat16", False)


def test_the_demo_keeps_its_rounding(bases):
    assert not changed(bases, "tiny_base", "float32") | changed(bases, "tiny_base", "float32", False)


def test_other_processors_are_left_alone(bases, monkeypatch):
    monkeypatch.setattr(processor_linear.platform, "machine", lambda: "arm64")
    assert not changed(bases, "sdxl", "float32")
