from pathlib import Path

import pytest

from lifeos import memory_shortage
from lifeos.errors import InputError
from lifeos.lora.recipe import Recipe
from lifeos.lora.shortages import memory_told
from lifeos.memory_shortage import shortage_answered
from lifeos.pods.probe import nvml
from lifeos.pods.vram.fit import out_of_memory_advice
from lifeos.settings import project_root

BASE = project_root() / "models" / "tiny-base"

pytestmark = pytest.mark.filterwarnings("ignore")


def recipe(**changes):
    return Recipe.model_validate({"base": BASE, "dataset": BASE, "trigger": "pstch", "steps": 100, "device": "cuda",
                                  "dtype": "bfloat16", "batch_size": 8, **changes})  # fmt: skip


def run_out(of, folder):
    """End as training ends whose GPU is full."""
    import torch

    with memory_told(of, folder, "at step 1 of 100", "training"):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")


def on_a_gpu(monkeypatch, free):
    gpu = nvml.GpuReading("NVIDIA A40", 2 * free, free, (8, 6))
    monkeypatch.setattr(nvml, "read_machine", lambda: nvml.Machine((gpu,), "570.1", (12, 8)))


def test_a_gpu_that_is_full_is_answered_with_what_is_predicted_to_fit(tmp_path, monkeypatch):
    on_a_gpu(monkeypatch, 1_000_000_000)
    with pytest.raises(InputError) as caught, shortage_answered(recipe(), tmp_path):
        run_out(recipe(), tmp_path)
    said = str(caught.value)
    assert "CUDA out of memory" in said
    predicted = out_of_memory_advice(recipe(), 1_000_000_000, tmp_path, (8, 6))
    assert said.endswith(f"; predicted for NVIDIA A40, unmeasured: {'; '.join(predicted)}")
    assert " (saves " in said
    assert "\n" not in said


def test_without_a_gpu_to_ask_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(nvml, "read_machine", lambda: nvml.Machine(problem="no GPU can be asked: none"))
    with pytest.raises(InputError, match="what fits cannot be predicted here: no GPU can be asked"), \
            shortage_answered(recipe(), tmp_path):  # fmt: skip
        run_out(recipe(), tmp_path)


def test_a_base_without_configs_costs_no_message(tmp_path, monkeypatch):
    on_a_gpu(monkeypatch, 1_000_000_000)
    lost = recipe(base=Path("nowhere"))
    with pytest.raises(InputError, match=r"CUDA out of memory.*what fits cannot be predicted: "), \
            shortage_answered(lost, tmp_path):  # fmt: skip
        run_out(lost, tmp_path)


@pytest.mark.parametrize("error", ["dataset: accepted images, got none; next: check dataset"])
def test_other_complaints_and_processors_stay_as_they_are(tmp_path, monkeypatch, error):
    monkeypatch.setattr(memory_shortage, "_predicted", lambda *_: pytest.fail("asked"))
    with pytest.raises(InputError, match=error), shortage_answered(recipe(), tmp_path):
        raise InputError(error)
    on_processor = recipe(device="cpu", dtype="float32")
    with pytest.raises(InputError, match="the memory of this machine"), shortage_answered(on_processor, tmp_path):
        run_out(on_processor, tmp_path)
