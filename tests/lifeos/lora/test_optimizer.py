import math
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeos.errors import InputError
from lifeos.lora.optimizer import build_optimizer, learning_rate_factor, learning_rates, parameter_groups
from lifeos.lora.recipe import OptimizerSettings

pytestmark = pytest.mark.filterwarnings("ignore")

SCHEDULES = ("constant", "constant_with_warmup", "linear", "cosine", "cosine_with_restarts")


def settings(schedule="constant", warmup=0, cycles=1, name="prodigy"):
    return OptimizerSettings(name=name, schedule=schedule, warmup_steps=warmup, schedule_cycles=cycles)


def test_prodigy_has_its_authors_arguments():
    import torch

    group = build_optimizer(OptimizerSettings(), [torch.nn.Parameter(torch.ones(2))]).param_groups[0]
    assert (group["lr"], group["weight_decay"], tuple(group["betas"])) == (1.0, 0.01, (0.9, 0.99))
    assert group["decouple"]
    assert group["use_bias_correction"]
    assert group["safeguard_warmup"]
    other = OptimizerSettings(bias_correction=False, safeguard_warmup=False)
    group = build_optimizer(other, [torch.nn.Parameter(torch.ones(2))]).param_groups[0]
    assert not group["use_bias_correction"]
    assert not group["safeguard_warmup"]


def test_a_step_on_a_gpu_is_taken_for_all_parameters_together():
    import torch

    chosen, weight = settings(name="adamw"), torch.nn.Parameter(torch.ones(2))
    groups = [build_optimizer(chosen, [weight], device).param_groups[0] for device in ("cpu", "cuda")]
    assert [(group["foreach"], group["fused"]) for group in groups] == [(False, None), (None, True)]


def test_adamw8bit_without_its_package_is_refused_in_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    monkeypatch.setitem(sys.modules, "bitsandbytes.optim", None)
    with pytest.raises(InputError, match=r"bitsandbytes can be imported, got .*; next: lifeos gate pod") as caught:
        build_optimizer(settings(name="adamw8bit"), [])
    assert "\n" not in str(caught.value)


def test_adamw_of_float16_weights_moves_what_has_no_gradient_yet_nowhere():
    import torch

    weights = [torch.nn.Parameter(torch.ones(3, dtype=torch.float16)) for _ in range(2)]
    chosen = OptimizerSettings(name="adamw", learning_rate=1e-2, weight_decay=0.0)
    optimizer = build_optimizer(chosen, weights)
    weights[0].grad, weights[1].grad = torch.zeros_like(weights[0]), torch.full_like(weights[1], 0.5)
    optimizer.step()
    assert weights[0].tolist() == [1.0] * 3
    assert weights[1].tolist() == pytest.approx([0.99] * 3, abs=1e-3)


def test_text_encoders_have_their_own_rate_where_one_is_given():
    import torch

    parameters = {f"{component}.q.lora_A.weight": torch.nn.Parameter(torch.ones(2)) for component in
                  ("text_encoder", "text_encoder_2", "unet")}  # fmt: skip
    text = ("text_encoder", "text_encoder_2")
    chosen = OptimizerSettings(name="adamw", learning_rate=1e-2, text_encoder_learning_rate=3e-2, weight_decay=0.0)
    assert learning_rates(chosen) == (1e-2, 3e-2)
    optimizer = build_optimizer(chosen, parameter_groups(chosen, parameters, text))
    for each in parameters.values():
        each.grad = torch.ones(2)
    optimizer.step()
    # AdamW's first step is the rate itself, whatever the gradient.
    moved = {name.split(".")[0]: 1.0 - float(each[0].detach()) for name, each in parameters.items()}
    assert moved == pytest.approx({"text_encoder": 3e-2, "text_encoder_2": 3e-2, "unet": 1e-2}, rel=1e-4)
    for same in (OptimizerSettings(name="adamw"), OptimizerSettings(text_encoder_learning_rate=1.0)):
        assert len(learning_rates(same)) == 1
        assert parameter_groups(same, parameters, text) == list(parameters.values())


@given(st.sampled_from(SCHEDULES), st.integers(2, 60), st.integers(0, 20), st.integers(1, 3))
def test_the_factor_stays_positive_and_reaches_the_top_when_the_warm_up_ends(schedule, steps, warmup, cycles):
    chosen = settings(schedule, min(warmup, steps - 1), cycles)
    factors = [learning_rate_factor(chosen, step, steps) for step in range(steps)]
    assert all(0.0 < factor <= 1.0 for factor in factors)
    assert factors[chosen.warmup_steps] == 1.0
    assert factors[: chosen.warmup_steps] == sorted(factors[: chosen.warmup_steps])


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_after_the_warm_up_it_is_the_schedule_that_diffusers_has_under_that_name(schedule):
    import torch
    from diffusers.optimization import get_scheduler

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
    theirs = get_scheduler(schedule, optimizer, num_warmup_steps=5, num_training_steps=25, num_cycles=2)
    chosen = settings(schedule, 0 if schedule == "constant" else 5, 2)
    for step in range(25):
        if step >= 5:
            assert math.isclose(learning_rate_factor(chosen, step, 25), theirs.get_last_lr()[0], abs_tol=1e-12), step
        optimizer.step()
        theirs.step()


def test_fused_adamw_moves_float32_weights_as_the_other_does():
    import torch

    chosen, moved = OptimizerSettings(name="adamw", learning_rate=1e-2), []
    for keeps_rounding in (True, False):
        weight = torch.nn.Parameter(torch.linspace(-1.0, 1.0, 64))
        optimizer = build_optimizer(chosen, [weight], "cpu", keeps_rounding)
        assert bool(optimizer.param_groups[0]["fused"]) != keeps_rounding
        for step in range(3):
            weight.grad = torch.sin(torch.arange(64.0) + step)
            optimizer.step()
        moved.append(weight.detach())
    torch.testing.assert_close(*moved)
