"""Five steps for real on the processor, and every branch of the verdict."""

from copy import deepcopy

import pytest

from evals.verdict import Outcome
from lifeos.lora.recipe import Recipe, load_recipe
from lifeos.pods.probe.training_smoke import probe, smoke_settings, training_verdict
from tests.lifeos.pods.probe.simulated_pod import SOUND


@pytest.fixture
def one_thread():
    """Two threads over a base this small spend their time waiting where the processor is shared: 16 s instead of 3."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.filterwarnings("ignore")  # of diffusers and transformers
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("optimizer", ["prodigy", "adamw"])
def test_five_steps_on_the_processor(pod, optimizer):
    recipe = load_recipe(pod.persona / "recipe.toml")
    recipe = recipe.model_copy(update={"optimizer": type(recipe.optimizer)(name=optimizer), "min_snr_gamma": None})
    stages = []
    body = probe({"settings": smoke_settings(recipe), "device": "cpu"}, stages.append)
    assert stages[-1] == "training on cpu"
    verdict = training_verdict(body)
    assert verdict.outcome is Outcome.PASSED, verdict.reason
    assert body["device"]["dtype"] == "float32"
    assert len(set(body["device"]["losses"])) == 5


@pytest.mark.parametrize("changes", [{"dtype": "float16"}, {"attention": "xformers"},
                                     {"optimizer": {"name": "adamw8bit"}}], ids=str)  # fmt: skip
def test_what_needs_a_gpu_is_walked_as_the_recipe_says(pod, changes):
    # Left at the processor, such a recipe contradicted itself and no pod could pass.
    recipe = load_recipe(pod.persona / "recipe.toml")
    asked = Recipe.model_validate({**recipe.model_dump(), "device": "cuda", **changes})
    given = {"base": asked.base, "dataset": asked.dataset, "trigger": "zeph", "steps": 5}
    walked = Recipe.model_validate({**smoke_settings(asked), **given})
    for name in ("device", "dtype", "attention", "optimizer"):
        assert getattr(walked, name) == getattr(asked, name)


def judged(**device):
    body = deepcopy(SOUND["training"])
    body["device"].update(device)
    return training_verdict(body)


def test_a_loss_that_is_not_finite_and_weights_that_stand_still():
    assert judged().outcome is Outcome.PASSED
    assert "not finite" in judged(losses=[0.1, None, 0.1, 0.1, 0.1]).reason
    assert judged(losses=[0.1]).outcome is Outcome.FAILED
    assert "move no weight" in judged(moved=0.0).reason


def test_a_file_that_does_not_pass_its_gates():
    body = {**SOUND["training"], "file": {"weights_finite": ["failed", "NaN in x"]}}
    verdict = training_verdict(body)
    assert verdict.outcome is Outcome.FAILED
    assert "weights_finite: NaN in x" in verdict.reason
