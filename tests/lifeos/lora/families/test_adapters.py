"""What is added to the weights against peft, which adds it itself."""

from types import SimpleNamespace

import numpy as np
import pytest

from lifeos.lora.families.adapters import add_adapters, fuse_deltas
from lifeos.lora.lora_file import LoraModule

pytestmark = pytest.mark.filterwarnings("ignore")


def small_model():
    import torch
    from diffusers import AutoencoderKL

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return AutoencoderKL(block_out_channels=(8,), norm_num_groups=4, latent_channels=4).requires_grad_(False)


TARGETS = (("unet", ("to_q", "conv1", "conv_shortcut")),)


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0, -3.0])
@pytest.mark.parametrize("dora", [False, True])
def test_weights_become_those_that_peft_merges(dora, strength):
    import torch

    theirs = SimpleNamespace(unet=small_model())
    parameters = add_adapters(theirs, TARGETS, rank=2, alpha=4.0, seed=0, dora=dora)
    with torch.no_grad():
        for name, each in sorted(parameters.items()):
            generator = torch.Generator().manual_seed(len(name))
            if "magnitude" in name:
                each.mul_(0.5 + torch.rand(each.shape, generator=generator))
            else:
                each.copy_(0.3 * torch.randn(each.shape, generator=generator))
    names = {name.rsplit(".lora_", 1)[0] for name in parameters}
    deltas, magnitudes = {}, {}
    for name in names:
        down, up = (parameters[f"{name}.lora_{part}.weight"].detach().numpy() for part in "AB")
        deltas[name] = strength * LoraModule(name, down, up, alpha=4.0).product()
        if dora:
            magnitudes[name] = parameters[f"{name}.lora_magnitude_vector"].detach().numpy().reshape(-1)
    ours = SimpleNamespace(unet=small_model())
    before = {name: value.clone() for name, value in ours.unet.state_dict().items()}
    fuse_deltas(ours, deltas, magnitudes)
    theirs.unet.set_adapters(["default"], [strength])
    theirs.unet.fuse_lora()
    layers = dict(theirs.unet.named_modules())
    assert {layers[name.removeprefix("unet.")].base_layer.weight.dim() for name in names} == {2, 4}
    for name, weight in ours.unet.state_dict().items():
        module, _, kind = name.rpartition(".")
        layer = layers[module]
        merged = getattr(getattr(layer, "base_layer", layer), kind)
        torch.testing.assert_close(weight, merged, rtol=1e-5, atol=1e-6)
        # DoRA's magnitudes stay at every strength, also at 0: that is what diffusers does.
        changed = kind == "weight" and f"unet.{module}" in names and (strength != 0.0 or dora)
        assert bool((weight != before[name]).any()) == changed


def test_a_magnitude_begins_as_the_norm_of_the_weights():
    import torch

    components = SimpleNamespace(unet=small_model())
    plain = add_adapters(SimpleNamespace(unet=small_model()), TARGETS, rank=2, alpha=4.0, seed=0)
    parameters = add_adapters(components, TARGETS, rank=2, alpha=4.0, seed=0, dora=True)
    assert {name for name in parameters if "magnitude" not in name} == set(plain)
    for name, each in parameters.items():
        if "magnitude" in name:
            weight = components.unet.get_submodule(name.removeprefix("unet.").rsplit(".", 1)[0]).base_layer.weight
            torch.testing.assert_close(each.flatten(), weight.flatten(1).norm(dim=1))
            assert each.shape == ((len(weight),) if weight.dim() == 2 else (1, len(weight), 1, 1))
        else:
            assert torch.equal(each, plain[name])


def test_weights_of_16_bits_are_added_to_in_float32():
    import torch

    components, module = SimpleNamespace(unet=small_model().to(torch.bfloat16)), "encoder.mid_block.attentions.0.to_q"
    weight = components.unet.get_submodule(module).weight
    delta = np.full(tuple(weight.shape), 2e-3, np.float32)
    exact = weight.float() + torch.from_numpy(delta)
    fuse_deltas(components, {f"unet.{module}": delta})
    assert torch.equal(weight, exact.to(torch.bfloat16))
    norms = np.full(len(weight), 2.0, np.float32)
    fuse_deltas(components, {f"unet.{module}": 0.0 * delta}, {f"unet.{module}": norms})
    torch.testing.assert_close(weight.float().norm(dim=1), torch.from_numpy(norms), rtol=1e-2, atol=0.0)
