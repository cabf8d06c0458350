"""Training on a GPU; where there is none, nothing here runs, and nothing here was run so far."""

import importlib.util

import pytest

from lifeos.lora.families import get_family
from lifeos.lora.recipe import Recipe
from lifeos.lora.safetensors_file import read_header
from lifeos.lora.train import train_lora
from lifeos.lora.training_log import read_log
from lifeos.lora.weights import GATES, inspect_lora

pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(autouse=True)
def gpu():
    """Skip where PyTorch sees no GPU."""
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no GPU here")
    return torch


def on_gpu(recipe, **changes):
    return Recipe.model_validate({**recipe.model_dump(), "device": "cuda", **changes})


def losses(folder):
    return [each.loss for each in read_log(folder)]


ADAMW8BIT = {"name": "adamw8bit", "learning_rate": 1e-2}


@pytest.mark.parametrize("changes", [
    {}, {"dtype": "bfloat16"}, {"dtype": "float16"}, {"dtype": "float16", "full_float16": True}, {"offload": True},
    {"train_text_encoder": True, "dtype": "bfloat16"}, {"dora": True}, {"gradient_checkpointing": True},
    {"compile": True}, {"attention": "xformers", "dtype": "bfloat16"}, {"optimizer": ADAMW8BIT},
    {"optimizer": {"name": "prodigy"}}, {"optimizer": ADAMW8BIT, "dtype": "float16", "full_float16": True},
], ids=str)  # fmt: skip
def test_a_gpu_learns_what_a_processor_learns(recipe, tmp_path, changes):
    for wanted, package in (("xformers", "xformers"), ("adamw8bit", "bitsandbytes")):
        if wanted in str(changes) and importlib.util.find_spec(package) is None:
            pytest.skip(f"no {package} here")
    kept = {name: value for name, value in changes.items() if name in ("train_text_encoder", "dora")}
    train_lora(recipe.model_copy(update=kept), tmp_path / "cpu.safetensors", tmp_path / "cpu")
    result = train_lora(on_gpu(recipe, **changes), tmp_path / "gpu.safetensors", tmp_path / "gpu")
    verdicts = inspect_lora(result.path, recipe.base, get_family("tiny_base")).verdicts
    assert {gate: verdict.outcome for gate, verdict in verdicts.items()} == dict.fromkeys(GATES, "passed")
    assert not [name for name in read_header(result.path).entries if "_orig_mod" in name]
    # Noise, noise levels and the order of pictures are the processor's, so only arithmetic differs.
    assert losses(tmp_path / "gpu")[0] == pytest.approx(losses(tmp_path / "cpu")[0], rel=2e-2)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_resumed_run_on_a_gpu_ends_close_to_one_that_was_not_killed(recipe, tmp_path, dtype):
    class KilledError(Exception):
        pass

    def killed(stage, done, total):
        if stage == "training" and done == 5:
            raise KilledError

    asked = on_gpu(recipe, dtype=dtype)
    train_lora(asked, tmp_path / "x.safetensors", tmp_path / "a")
    with pytest.raises(KilledError):
        train_lora(asked, tmp_path / "y.safetensors", tmp_path / "b", killed)
    assert train_lora(asked, tmp_path / "y.safetensors", tmp_path / "b").resumed_from == 4
    assert losses(tmp_path / "b") == pytest.approx(losses(tmp_path / "a"), rel=1e-3)


def test_with_offload_the_gpu_holds_less(recipe, tmp_path, gpu):
    held = []
    for offload in (False, True):
        gpu.cuda.empty_cache()
        gpu.cuda.reset_peak_memory_stats()

        def look(stage, done, total):
            if stage == "training" and done == 1:
                held.append(gpu.cuda.memory_allocated())

        train_lora(on_gpu(recipe, offload=offload, steps=6), tmp_path / f"{offload}.safetensors",
                   tmp_path / str(offload), look)  # fmt: skip
    assert held[1] < held[0]
