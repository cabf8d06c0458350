"""The loss scale against PyTorch's own."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifeos.lora import loss_scale
from lifeos.lora.loss_scale import LossScale

pytestmark = pytest.mark.filterwarnings("ignore")


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from([1.0, 1.0, 1.0, float("inf"), float("nan")]), max_size=12))
def test_the_factor_moves_as_that_of_pytorch(gradients):
    import torch

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loss_scale, "_GROWTH_INTERVAL", 3)
        ours, theirs = LossScale(), torch.amp.GradScaler("cpu", growth_interval=3)
        weight = torch.nn.Parameter(torch.zeros(2))
        other = torch.nn.Parameter(torch.zeros(1))
        optimizer = torch.optim.SGD([weight], lr=1.0)
        theirs.scale(torch.zeros(1))
        for gradient in gradients:
            factor = ours.factor
            assert theirs.get_scale() == factor
            weight.grad = torch.tensor([factor, gradient * factor])
            assert ours.restore([other, weight]) is (gradient == 1.0)
            if gradient == 1.0:
                assert weight.grad.tolist() == [1.0, 1.0]
            weight.grad = torch.tensor([factor, gradient * factor])
            theirs.step(optimizer)
            theirs.update()
        assert theirs.get_scale() == ours.factor


def test_a_resumed_scale_goes_on_where_it_was():
    first, second = LossScale(factor=512.0, steps=7), LossScale()
    second.resume(first.state())
    assert second == first
