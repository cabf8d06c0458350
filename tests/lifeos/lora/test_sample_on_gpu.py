"""Sampling on a GPU; where there is none, nothing here runs, and nothing here was run so far."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from lifeos.lora.sample import PlannedPrompt, SamplePlan, sample_plan
from lifeos.lora.store import ImageStore

pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("ignore")]


@pytest.mark.parametrize("sampler", ["ddim", "dpmsolver++", "sde-dpmsolver++"])
def test_a_gpu_draws_what_a_processor_draws_under_keys_of_its_own(base, write_lora, tmp_path, sampler):
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no GPU here")
    prompts = (PlannedPrompt("B1", "a photo of zeph person"), PlannedPrompt("B2", "zeph person, facing left"))
    plan, store = SamplePlan(prompts, (0, 1), sampler, 4, 3.0, 32, 32), ImageStore(tmp_path / "samples")
    drawn = []
    for device in ("cpu", "cuda"):
        result = sample_plan(replace(plan, device=device, batch=3), base, write_lora(), store)
        assert result.made == 4
        drawn.append(np.stack([np.asarray(Image.open(image.path), np.int16) for image in result.images]))
    # Convolutions of float32 keep ten bits on a GPU that has TF32.
    assert np.abs(drawn[0] - drawn[1]).max() <= 8
