"""xformers is refused where its kernel does not run; nothing here runs one."""

import importlib.util

import pytest

from lifeos.errors import InputError
from lifeos.lora.families import get_family
from lifeos.lora.families.xformers_attention import TOLERANCE, _error_share, head_widths, use_xformers

pytestmark = pytest.mark.filterwarnings("ignore")


def attend(query, key, value):
    import torch

    out = torch.nn.functional.scaled_dot_product_attention(*(each.transpose(1, 2) for each in (query, key, value)))
    return out.transpose(1, 2)


@pytest.mark.skipif(importlib.util.find_spec("xformers") is not None, reason="xformers is here: a GPU test tries it")
@pytest.mark.parametrize("family", ["sd15", "sd3", "flux"])
def test_without_the_package_it_is_refused_in_one_line(bases, family):
    kind = get_family(family)
    with pytest.raises(InputError, match='got no xformers package; next: attention = "sdpa"') as caught:
        kind.prepare_training(kind.load(bases[family]), "float32", False, attention="xformers")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("family", "widths"), [("sd15", [8]), ("sdxl", [8]), ("sd3", [8]), ("flux", [16])])
def test_the_widths_that_are_tried_are_those_of_the_denoiser(bases, family, widths):
    kind = get_family(family)
    assert head_widths(getattr(kind.load(bases[family]), kind.lora_components[0])) == widths


def test_a_kernel_is_held_against_pytorchs_attention_forward_and_backward():
    import torch

    assert _error_share(attend, 40, torch.bfloat16, "cpu") < TOLERANCE
    assert _error_share(lambda query, key, value: attend(query, key, value) * 1.1, 40, torch.float32, "cpu") > TOLERANCE
    assert _error_share(lambda *qkv: attend(*qkv) * float("nan"), 40, torch.float32, "cpu") == float("inf")

    def blind_backward(query, key, value):
        return attend(query, key, value) + (query - query.detach())

    assert _error_share(blind_backward, 40, torch.float32, "cpu") > TOLERANCE


def test_a_kernel_that_fails_or_is_wrong_is_refused(bases, monkeypatch):
    import sys
    from types import ModuleType

    import torch

    xformers, ops = ModuleType("xformers"), ModuleType("xformers.ops")
    xformers.__version__, xformers.ops = "0.0", ops
    monkeypatch.setitem(sys.modules, "xformers", xformers)
    monkeypatch.setitem(sys.modules, "xformers.ops", ops)
    unet = get_family("sd15").load(bases["sd15"]).unet

    def absent(*_):
        raise NotImplementedError("No operator found for\n`memory_efficient_attention_forward`")

    ops.memory_efficient_attention = absent
    with pytest.raises(InputError, match="without a kernel for head width 8: No operator found for `memory"):
        use_xformers(unet, torch.float32, "cpu")
    ops.memory_efficient_attention = lambda query, key, value: query
    with pytest.raises(InputError, match="off at head width 8; next: "):
        use_xformers(unet, torch.float32, "cpu")


def test_the_family_chooses_attention_only_where_the_recipe_leaves_it(bases):
    from diffusers.models.attention_processor import AttnProcessor, AttnProcessor2_0

    def processors(**named):
        kind = get_family("sd15")
        components = kind.load(bases["sd15"])
        kind.prepare_training(components, channels_last=False, **named)
        return {type(each) for each in components.unet.attn_processors.values()}

    assert processors(dtype="bfloat16") == {AttnProcessor}
    assert processors(dtype="bfloat16", attention="sdpa") == {AttnProcessor2_0}
    assert processors(dtype="float32") == {AttnProcessor2_0}
