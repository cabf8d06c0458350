"""What is refused where it cannot run, and that everything asked of a device is asked in one place."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from lifeos.errors import InputError
from lifeos.lora import train
from lifeos.lora.placement import Placement, compiling, place
from lifeos.lora.recipe import Recipe
from lifeos.lora.sample import named_images, render_images
from lifeos.lora.sample_plan import PlannedPrompt, SamplePlan
from lifeos.lora.store import ImageStore
from lifeos.lora.train import train_lora
from lifeos.lora.training_log import read_log
from lifeos.pods.vram.cuda_semantics import TracedDevice

pytestmark = pytest.mark.filterwarnings("ignore")

ROOT = Path(__file__).parents[3]


def test_a_gpu_that_is_not_there_is_told_before_anything_is_loaded(recipe, tmp_path, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    asked = Recipe.model_validate({**recipe.model_dump(), "device": "cuda"})
    with pytest.raises(InputError, match="accepted a machine with a GPU that PyTorch sees, got none") as caught:
        train_lora(asked, tmp_path / "x.safetensors", tmp_path / "run")
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "run").iterdir())


def test_sampling_on_a_gpu_that_is_not_there_is_told_before_anything_is_loaded(tmp_path, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    plan = SamplePlan((PlannedPrompt("B01", "a"),), (0,), "ddim", 1, 1.0, 32, 32, device="cuda")
    lacking, store = tmp_path / "no base", ImageStore(tmp_path / "samples")
    asked = named_images(plan, lacking, None, store, "b" * 64, None)
    said = r'got none with torch .* or device = "cpu" in \[sampler\] of persona.toml$'
    with pytest.raises(InputError, match=said) as caught:
        render_images(asked, asked.images, store)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="no base"):  # on a processor it gets as far as that
        render_images(replace(asked, plan=replace(plan, device="cpu")), asked.images, store)


def test_a_processor_loads_float32_and_a_gpu_what_it_computes_in(recipe):
    assert place(recipe.model_copy(update={"dtype": "bfloat16"})).load_dtype == "float32"
    assert Placement("cuda", "bfloat16", offload=False).load_dtype == "bfloat16"


@pytest.mark.parametrize(("dtype", "expected"), [("float32", "float32"), ("bfloat16", "bfloat16"),
                                                 ("float16", "float16")])
def test_a_forward_pass_computes_in_the_type_of_the_recipe(dtype, expected):
    import torch

    with Placement("cpu", dtype, offload=False).autocast():
        assert str((torch.ones(2, 2) @ torch.ones(2, 2)).dtype) == f"torch.{expected}"


def test_a_compiler_that_fails_is_one_line():
    import torch

    def broken(*_):
        raise RuntimeError("no compiler\nat all")

    compiled = torch.compile(lambda tensor: tensor + 1, backend=broken)
    said = r"works, got BackendCompilerFailed: .*no compiler at all"
    with pytest.raises(InputError, match=said) as caught, compiling(True):
        compiled(torch.ones(1))
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith("next: compile = false in the recipe")
    with pytest.raises(ValueError, match="another"), compiling(True):
        raise ValueError("another")


class AsOnGpu(Placement):
    """Chooses as on a GPU, and computes on the processor."""

    def autocast(self):
        return Placement("cpu", self.dtype, self.offload).autocast()


def read_from(step, reads):
    """Return ``step``, noting the storages of which single numbers are read meanwhile."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    class Reading(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, arguments=(), options=None):
            if function is torch.ops.aten._local_scalar_dense.default:
                reads[-1].add(arguments[0].untyped_storage().data_ptr())
            return function(*arguments, **(options or {}))

    def reading(*arguments):
        reads.append(set())
        with Reading():
            return step(*arguments)

    return reading


def test_a_step_on_a_gpu_fetches_its_numbers_together_and_learns_the_same(recipe, tmp_path, monkeypatch):
    changes = {"gradient_accumulation": 2, "optimizer": {"name": "adamw"}}
    asked, reads = Recipe.model_validate({**recipe.model_dump(), **changes}), []
    expected = train_lora(asked, tmp_path / "cpu.safetensors", tmp_path / "cpu")
    monkeypatch.setattr(train, "place", lambda _: AsOnGpu(TracedDevice("cpu"), "float32", False))
    monkeypatch.setattr(train, "_step", read_from(train._step, reads))
    train_lora(asked, tmp_path / "gpu.safetensors", tmp_path / "gpu")
    assert [len(each) for each in reads] == [1] * expected.steps
    first, second = (read_log(tmp_path / folder) for folder in ("cpu", "gpu"))
    for name in ("loss", "gradient_norm", "weight_norm"):
        wanted = [getattr(each, name) for each in first]
        assert [getattr(each, name) for each in second] == pytest.approx(wanted, rel=1e-4)


def test_training_asks_for_a_device_in_one_place():
    training = [ROOT / "lifeos" / "lora" / f"{name}.py" for name in
                ("train", "conditioning", "optimizer", "checkpoint", "loss_scale", "training_inputs")]  # fmt: skip
    for path in training:
        assert not re.search(r"torch\.cuda|\.cuda\(|autocast\(\"", path.read_text(encoding="utf-8")), path.name
