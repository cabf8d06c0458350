import pytest

from lifeos.lora.families import tiny_base
from lifeos.lora.held_base import HeldBase
from lifeos.lora.sample import planned_images, render_images, sample_plan
from lifeos.lora.sample_plan import PlannedPrompt, SamplePlan
from lifeos.lora.store import ImageStore

pytestmark = pytest.mark.filterwarnings("ignore")

PROMPTS = (PlannedPrompt("B01", "photo of a zeph person, facing left"), PlannedPrompt("B02", "photo of a zeph person"))


def make_plan(**changes):
    return SamplePlan(**{"prompts": PROMPTS, "seeds": (3,), "sampler": "ddim", "steps": 2, "guidance": 3.0,
                         "width": 32, "height": 32, **changes})


def test_a_held_base_draws_what_a_fresh_one_draws_and_is_loaded_once_a_type(base, write_lora, tmp_path, monkeypatch):
    """One LoRA after another, a type that rounds the weights, no LoRA: nothing of the one before stays in the base."""
    lora = write_lora(edit=lambda tensors: {name: (kind, array * 3) for name, (kind, array) in tensors.items()})
    orders = [(make_plan(dtype="bfloat16"), lora), (make_plan(strength=0.5), lora), (make_plan(), None)]
    loaded, real = [], tiny_base.TinyBase.load
    held, store = HeldBase(), ImageStore(tmp_path / "held")
    with monkeypatch.context() as patch:
        patch.setattr(tiny_base.TinyBase, "load", lambda *rest, **named: loaded.append(1) or real(*rest, **named))
        for plan, file in orders:
            asked = planned_images(plan, base, file, store)
            # Two calls for one plan, each with one prompt of it, as shards come.
            for image in asked.images:
                render_images(asked, [image], store, threads=1, denoiser_of=held.denoiser)
    assert len(loaded) == 2  # text encoders are read in the plan's type: once for bfloat16, once for float32
    pictures = set()
    for plan, file in orders:
        fresh = sample_plan(plan, base, file, ImageStore(tmp_path / "fresh"), threads=1, batch_size=1)
        for image in fresh.images:
            assert store.path_for(image.key).read_bytes() == image.path.read_bytes()
            pictures.add(image.path.read_bytes())
    assert len(pictures) == 6
