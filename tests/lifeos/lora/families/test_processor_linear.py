"""Layers by oneDNN and joined pairs against PyTorch's and peft's own, and where they are used."""

import copy

import pytest

from lifeos.lora.families import get_family, processor_linear
from lifeos.lora.families.processor_linear import join_pairs, use_onednn

pytestmark = pytest.mark.filterwarnings("ignore")


def changed(model):
    return {name for name, module in model.named_modules() if "forward" in vars(module)}


def run(model, values, learns_below=True):
    """Return outputs, and gradients of every parameter that learns and of the input if that does."""
    values = values.clone().requires_grad_(learns_below)
    out = model(values)
    out.square().sum().backward()
    gradients = {name: each.grad for name, each in model.named_parameters() if each.requires_grad}
    return {"out": out.detach(), **gradients, **({"values": values.grad} if learns_below else {})}


def counted(monkeypatch):
    """Count the products by oneDNN from here on."""
    calls, products = [], processor_linear._products()
    for name in ("frozen", "paired"):
        kind = getattr(products, name)
        apply = kind.apply
        monkeypatch.setattr(kind, "apply", lambda *given, name=name, apply=apply: calls.append(name) or apply(*given))
    return calls


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(5, 12), (2, 7, 12)])
def test_a_layer_gives_what_pytorchs_own_gives(bias, shape, monkeypatch):
    import torch

    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(12, 20, bias=bias), torch.nn.GELU(), torch.nn.Linear(20, 3, bias=bias))
    model.requires_grad_(False)
    values = torch.randn(shape)
    expected = run(model, values)
    without = model(values)
    use_onednn(model)
    assert changed(model) == {"0", "2"}
    calls = counted(monkeypatch)
    found = run(model, values)
    assert calls == ["frozen", "frozen"]
    for name, each in expected.items():
        torch.testing.assert_close(found[name], each)
    torch.testing.assert_close(model(values), without)
    # A copy answers from its own weights.
    other = copy.deepcopy(model)
    other[2].weight.data.zero_()
    assert float(model(values).std()) > 0.0
    assert float(other(values).std(dim=tuple(range(len(shape) - 1))).max()) == 0.0
    halves = copy.deepcopy(model).to(torch.bfloat16)
    torch.testing.assert_close(halves(values.bfloat16()).float(), without, atol=0.05, rtol=0.05)


@pytest.mark.parametrize("learns_below", [True, False])
def test_a_pair_gives_what_peft_gives(learns_below, monkeypatch):
    import torch
    from peft import LoraConfig, inject_adapter_in_model

    torch.manual_seed(0)
    layers = torch.nn.Linear(12, 20), torch.nn.Linear(20, 4, bias=False)
    plain = torch.nn.Sequential(*layers).requires_grad_(False)
    plain = inject_adapter_in_model(LoraConfig(r=3, lora_alpha=6, target_modules=["0", "1"]), plain)
    for name, each in plain.named_parameters():
        if "lora_" in name:
            each.data = torch.randn(each.shape)
    joined = copy.deepcopy(plain)
    use_onednn(torch.nn.ModuleList(layer.base_layer for layer in joined))
    join_pairs(joined)
    calls = counted(monkeypatch)
    values = torch.randn(2, 7, 12)
    expected, found = run(plain, values, learns_below), run(joined, values, learns_below)
    assert calls == ["paired", "paired"]
    assert len(expected) == 5 + learns_below
    for name, each in expected.items():
        torch.testing.assert_close(found[name], each, rtol=1e-4, atol=1e-3)


def prepared(bases, family, dtype="float32", **lora):
    kind = get_family(family)
    components = kind.load(bases[family])
    kind.prepare_training(components, dtype, False)
    kind.add_lora(components, 2, 4.0, "attention", 0, **lora)
    return components.unet


@pytest.mark.parametrize("family", ["sd15", "sdxl"])
def test_training_and_sampling_in_float32_use_both(bases, family):
    unet = prepared(bases, family)
    assert any(name.endswith("to_q") for name in changed(unet))
    assert any(name.endswith("ff.net.2") for name in changed(unet))
    dora = changed(prepared(bases, family, dora=True))
    assert dora
    assert not any(name.endswith("to_q") for name in dora)
    assert not changed(prepared(bases, family, "bfloat16"))
    kind = get_family(family)
    for dtype in ("float32", "bfloat16"):
        components = kind.load(bases[family])
        kind.prepare_sampling(components, dtype, "cpu")
        assert bool(changed(components.unet)) == (dtype == "float32")


def test_the_demo_keeps_its_rounding(bases):
    assert not changed(prepared(bases, "tiny_base"))
    kind = get_family("tiny_base")
    components = kind.load(bases["tiny_base"])
    kind.prepare_sampling(components, "float32", "cpu")
    assert not changed(components.unet)


def test_a_compiler_meets_pytorchs_own_layers():
    import torch

    model = torch.nn.Sequential(torch.nn.Linear(3, 3)).requires_grad_(False)
    use_onednn(model)
    values = torch.ones(2, 3, requires_grad=True)
    # Any node of autograd that is not PyTorch's own would part the graph.
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    assert "Frozen" in type(model(values).grad_fn).__name__
    assert "Frozen" not in type(compiled(values).grad_fn).__name__


def test_other_processors_are_left_alone(monkeypatch):
    import torch

    model = torch.nn.Sequential(torch.nn.Linear(3, 3))
    monkeypatch.setattr(processor_linear.platform, "machine", lambda: "arm64")
    use_onednn(model)
    assert not changed(model)
