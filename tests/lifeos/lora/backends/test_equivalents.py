import json

import numpy as np
import pytest

from lifeos.errors import InputError
from lifeos.lora.backends.equivalents import equivalent, levels_agree
from lifeos.lora.families.stable_diffusion import _SAMPLERS
from tests.lifeos.lora.backends.sigma_sampler import simple_levels

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("sampler", ["dpmsolver++", "ddim", "euler"])
def test_the_levels_are_those_of_diffusers_for_the_steps_that_are_accepted_and_no_others(sampler):
    import diffusers

    name, settings = _SAMPLERS[sampler]
    scheduler = getattr(diffusers, name)(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", **settings)
    for steps in (*range(1, 52), 100, 125):
        scheduler.set_timesteps(steps)
        ours = [round(float(level)) for level in scheduler.timesteps]
        assert (ours == simple_levels(steps)[1]) == levels_agree(steps), steps


def test_noise_levels_are_those_of_diffusers():
    from diffusers import EulerDiscreteScheduler

    scheduler = EulerDiscreteScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear",
                                       timestep_spacing="trailing")  # fmt: skip
    scheduler.set_timesteps(20)
    np.testing.assert_allclose(simple_levels(20)[0], scheduler.sigmas.numpy(), rtol=1e-4)


def edited(base, folder, **changes):
    (folder / "scheduler").mkdir()
    config = json.loads((base / "scheduler" / "scheduler_config.json").read_text(encoding="utf-8"))
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(config | changes), encoding="utf-8")
    return folder


@pytest.mark.parametrize(("changes", "said"), [
    ({"beta_schedule": "linear"}, "schedule has beta_schedule scaled_linear, got linear"),
    ({"rescale_betas_zero_snr": True}, "rescale_betas_zero_snr"),
    ({"num_train_timesteps": 500}, "num_train_timesteps 1000, got 500"),
    ({"prediction_type": "sample"}, "epsilon or v_prediction, got sample")])  # fmt: skip
def test_a_base_that_no_server_samples_alike_is_refused(converted, make_plan, tmp_path, changes, said):
    with pytest.raises(InputError, match=said):
        equivalent(make_plan(), edited(converted, tmp_path, **changes))


def test_guidance_of_one_and_below_is_none_and_the_prediction_is_the_bases(converted, make_plan):
    how = equivalent(make_plan(guidance=0.0), converted)
    assert (how.guidance, how.prediction, how.zero_empty) == (1.0, "v_prediction", False)
    assert equivalent(make_plan(guidance=3.0, kind="a1111", sampler="euler"), converted).from_unit_variance is False


def test_the_empty_prompt_of_sdxl_is_what_its_index_says(make_plan, tmp_path):
    (tmp_path / "scheduler").mkdir()
    config = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    (tmp_path / "scheduler" / "scheduler_config.json").write_text(json.dumps(config), encoding="utf-8")
    index = tmp_path / "model_index.json"
    index.write_text(json.dumps({}), encoding="utf-8")
    assert equivalent(make_plan(family="sdxl"), tmp_path).zero_empty is True
    index.write_text(json.dumps({"force_zeros_for_empty_prompt": False}), encoding="utf-8")
    assert equivalent(make_plan(family="sdxl"), tmp_path).zero_empty is False
    with pytest.raises(InputError, match="takes zeros for the empty prompt"):
        equivalent(make_plan(family="sdxl", kind="a1111"), tmp_path)
