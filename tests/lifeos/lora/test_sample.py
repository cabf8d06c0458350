import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lifeos.errors import InputError
from lifeos.lora import sample as sampling
from lifeos.lora.families import base_hash, get_family
from lifeos.lora.lora_file import read_lora
from lifeos.lora.sample import encode_references, round_trip, sample_plan
from lifeos.lora.sample_plan import PlannedPrompt, SamplePlan, image_key
from lifeos.lora.store import ImageStore

pytestmark = pytest.mark.filterwarnings("ignore")

ROOT = Path(__file__).parents[3]
PROMPTS = (PlannedPrompt("B01", "photo of a zeph person, facing left"), PlannedPrompt("B02", "photo of a zeph person"))


def make_plan(**changes):
    values = {"prompts": PROMPTS, "seeds": (0, 1, 5), "sampler": "dpmsolver++", "steps": 4, "guidance": 3.0,
              "width": 32, "height": 32, **changes}
    return SamplePlan(**values)


def pixels(result):
    return np.stack([np.asarray(Image.open(image.path)) for image in result.images]).astype(int)


@pytest.mark.parametrize("sampler", ["dpmsolver++", "sde-dpmsolver++", "ddim", "euler"])
@pytest.mark.parametrize("guidance", [3.0, 1.0])
def test_images_are_those_of_the_diffusers_pipeline(base, write_lora, tmp_path, sampler, guidance):
    import torch
    from diffusers import StableDiffusionPipeline

    lora = write_lora("diffusers", rank=3, edit=lambda t: {n: (d, a * 3) for n, (d, a) in t.items()})
    plan = make_plan(sampler=sampler, guidance=guidance, strength=0.8)
    ours = pixels(sample_plan(plan, base, lora, ImageStore(tmp_path / "s"), threads=1))
    pipeline = StableDiffusionPipeline.from_pretrained(str(base), torch_dtype=torch.float32, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    family = get_family("tiny_base")
    pipeline.scheduler = family.make_scheduler(family.load(base), sampler)
    plain = run_pipeline(pipeline, plan)
    pipeline.load_lora_weights(str(lora.parent), weight_name=lora.name, adapter_name="persona")
    pipeline.set_adapters(["persona"], [0.8])
    theirs = run_pipeline(pipeline, plan)
    assert np.abs(ours - theirs).max() <= 2
    # The comparison means something only when LoRA, prompt and seed change the picture.
    assert np.abs(plain - theirs).max() > 10
    assert len(np.unique(ours.reshape(6, -1), axis=0)) == 6


def run_pipeline(pipeline, plan):
    import torch

    requests = plan.requests()
    images = pipeline(
        [request.prompt.text for request in requests], num_inference_steps=plan.steps, guidance_scale=plan.guidance,
        width=plan.width, height=plan.height, output_type="np",
        generator=[torch.Generator("cpu").manual_seed(request.seed) for request in requests],
    ).images
    return (images * 255).round().astype(int)


@pytest.mark.parametrize("style", ["diffusers_old", "kohya"])
def test_other_key_formats_act_as_in_diffusers(base, write_lora, style):
    from diffusers import StableDiffusionPipeline

    lora = write_lora(style, preset="attention_feedforward")
    family = get_family("tiny_base")
    modules = read_lora(lora, family, family.modules(base)).modules
    pipeline = StableDiffusionPipeline.from_pretrained(str(base), local_files_only=True)
    pipeline.load_lora_weights(str(lora.parent), weight_name=lora.name, adapter_name="persona")
    for name, layer in pipeline.unet.named_modules():
        if hasattr(layer, "lora_A"):
            expected = layer.get_delta_weight("persona").detach().numpy()
            np.testing.assert_allclose(modules.pop(f"unet.{name}").delta(), expected, rtol=1e-3, atol=1e-6)
    assert not modules


def test_batching_moves_no_pixel_by_more_than_two(base, write_lora, tmp_path):
    lora, plan = write_lora(), make_plan()
    one = pixels(sample_plan(plan, base, lora, ImageStore(tmp_path / "1"), threads=1, batch_size=1))
    all_at_once = pixels(sample_plan(plan, base, lora, ImageStore(tmp_path / "6"), threads=1, batch_size=6))
    assert np.abs(one - all_at_once).max() <= 2


def test_bfloat16_is_near_float32_and_has_keys_of_its_own(base, tmp_path):
    store = ImageStore(tmp_path)
    full = sample_plan(make_plan(), base, None, store, threads=1)
    half = sample_plan(make_plan(dtype="bfloat16"), base, None, store, threads=1)
    assert {image.key for image in full.images}.isdisjoint(image.key for image in half.images)
    assert np.abs(pixels(full) - pixels(half)).mean() < 4


def test_an_interrupted_plan_goes_on_where_it_was(base, tmp_path):
    class KilledError(Exception):
        pass

    def progress(stage, done, total):
        if done == 4:
            raise KilledError

    store, plan = ImageStore(tmp_path), make_plan()
    with pytest.raises(KilledError):
        sample_plan(plan, base, None, store, progress, threads=1, batch_size=2)
    result = sample_plan(plan, base, None, store, threads=1, batch_size=2)
    assert (result.made, result.reused) == (2, 4)
    again = sample_plan(plan, base, None, store)
    assert (again.made, again.reused, again.sampling_seconds) == (0, 6, 0.0)
    # A picture swapped behind the store's back is made again.
    first = result.images[0].path
    original = first.read_bytes()
    first.write_bytes(result.images[1].path.read_bytes())
    assert sample_plan(plan, base, None, store, threads=1).made == 1
    assert first.read_bytes() == original


@pytest.mark.parametrize("renames", [1, 2, 3])
def test_an_image_on_the_disk_is_never_drawn_again(base, tmp_path, monkeypatch, renames):
    """Killed at one rename or the next of a batch: what lies there when the kill falls stays as it is."""

    class KilledError(BaseException):
        pass

    def replace_then_die(*names, left=iter(range(renames - 1, -1, -1))):
        real(*names)
        if next(left) == 0:
            raise KilledError

    def lying_there():
        return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in tmp_path.rglob("*.png")}

    plan, real = make_plan(), os.replace
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace_then_die)
        with pytest.raises(KilledError):
            sample_plan(plan, base, None, ImageStore(tmp_path), threads=1)
    drawn = lying_there()
    assert 1 <= len(drawn) < 6
    result = sample_plan(plan, base, None, ImageStore(tmp_path), threads=1)
    assert (result.made, result.reused) == (6 - len(drawn), len(drawn))
    assert drawn.items() <= lying_there().items()


def test_a_rendered_plan_needs_no_torch(base, write_lora, tmp_path):
    lora, plan = write_lora(), make_plan(seeds=(0,))
    sample_plan(plan, base, lora, ImageStore(tmp_path / "s"), threads=1)
    code = ("import sys, json; from pathlib import Path; from lifeos.lora.sample import *;"
            "plan = SamplePlan.from_json(json.loads(sys.argv[1]));"
            "from lifeos.lora.store import ImageStore;"
            "result = sample_plan(plan, Path(sys.argv[2]), Path(sys.argv[3]), ImageStore(Path(sys.argv[4])));"
            "assert result.made == 0 and len(result.images) == 2;"
            "from lifeos.lora.weights import inspect_lora; from lifeos.lora.families import get_family;"
            "inspect_lora(Path(sys.argv[3]), Path(sys.argv[2]), get_family('tiny_base'));"
            "import lifeos.lora.recipe, lifeos.lora.train_once, lifeos.lora.dataset;"
            "heavy = {'torch', 'diffusers', 'transformers', 'peft'} & set(sys.modules); assert not heavy, heavy")
    import json

    arguments = [json.dumps(plan.to_json()), str(base), str(lora), str(tmp_path / "s")]
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, cwd=ROOT)


def test_strength_zero_shares_the_images_of_the_base(base, write_lora, tmp_path):
    store = ImageStore(tmp_path)
    bare = sample_plan(make_plan(), base, None, store, threads=1)
    null = sample_plan(make_plan(strength=0.0), base, write_lora(), store)
    assert [image.key for image in null.images] == [image.key for image in bare.images]
    assert null.made == 0


def test_the_key_follows_what_pixels_depend_on(base):
    plan, known = make_plan(), base_hash(base)
    request = plan.requests()[0]
    key = image_key(plan, request, known, "a" * 64)
    changes = [make_plan(steps=5), make_plan(guidance=2.0), make_plan(sampler="ddim"), make_plan(dtype="bfloat16"),
               make_plan(strength=0.9), make_plan(seeds=(1,)), make_plan(prompts=PROMPTS[1:]), make_plan(width=64)]
    keys = {image_key(changed, changed.requests()[0], known, "a" * 64) for changed in changes}
    assert len(keys | {key, image_key(plan, request, known, "b" * 64), image_key(plan, request, "c" * 64, "a" * 64)}) \
        == len(changes) + 3
    renamed = make_plan(prompts=(PlannedPrompt("other id", PROMPTS[0].text),))
    assert image_key(renamed, renamed.requests()[0], known, "a" * 64) == key
    assert SamplePlan.from_json(plan.to_json()) == plan


@pytest.mark.parametrize(("family", "dtype", "of_plan", "of_image"), [
    ("tiny_base", "float32", "ee0f4876894e3a41", "30ff54190fe4a8cb"),
    ("sd15", "bfloat16", "0ba4d69879e1163d", "43d4ce6fae206ec0"),
    ("sd3", "float32", "ccecb2e0a9208731", "c9d6ab8aa0575ef5"),
    ("flux", "float32", "3df2cf76200c4324", "9eeb82748a83e0fb"),
])  # fmt: skip
def test_a_plan_that_decodes_as_ever_keeps_the_keys_it_had(family, dtype, of_plan, of_image):
    """Taken down before a plan could say how it decodes: images that are there are found again."""
    sampler = "flow_euler" if family in ("sd3", "flux") else "ddim"
    prompt = PlannedPrompt("B01", "photo of a zeph person")
    plan = SamplePlan((prompt,), (7,), sampler, 4, 3.0, 64, 32, 0.8, dtype, family)
    assert plan.content_hash.startswith(of_plan)
    assert image_key(plan, plan.requests()[0], "b" * 64, "a" * 64).startswith(of_image)


def test_what_moves_memory_alone_is_in_no_key_and_the_rest_is():
    plan = make_plan()
    for changes in ({"vae_slicing": True}, {"batch": 1}):
        other = make_plan(**changes)
        assert other.content_hash == plan.content_hash
        assert image_key(other, other.requests()[0], "b", None) == image_key(plan, plan.requests()[0], "b", None)
    others = [make_plan(vae_tiling=True), make_plan(vae_dtype="bfloat16"), make_plan(vae_dtype="float16")]
    assert len({each.content_hash for each in (plan, *others)}) == 4
    assert len({image_key(each, each.requests()[0], "b", None) for each in (plan, *others)}) == 4
    # The child that draws is told of all of it.
    changed = make_plan(vae_slicing=True, batch=3, vae_tiling=True, vae_dtype="bfloat16")
    assert SamplePlan.from_json(changed.to_json()) == changed


def test_a_plan_says_how_many_are_drawn_at_once(base, tmp_path, monkeypatch):
    from lifeos.lora.denoise import Denoiser

    counts, render = [], Denoiser.render
    monkeypatch.setattr(Denoiser, "render", lambda self, requests: (
        counts.append(len(requests)), render(self, requests))[1])  # fmt: skip
    sample_plan(make_plan(batch=4), base, None, ImageStore(tmp_path), threads=1)
    assert counts == [4, 2]


@pytest.mark.parametrize(("changes", "named"), [
    ({"prompts": ()}, "prompts"), ({"seeds": (1, 1)}, "seeds"), ({"seeds": (-1,)}, "seeds"), ({"steps": 0}, "steps"),
    ({"guidance": float("nan")}, "guidance"), ({"strength": 11.0}, "strength"), ({"width": 4}, "size"),
    ({"dtype": "float16"}, "dtype"), ({"vae_dtype": "float64"}, "vae_dtype"), ({"batch": 0}, "batch")])
def test_a_bad_plan_is_refused(changes, named):
    with pytest.raises(InputError, match=named):
        make_plan(**changes)


@pytest.mark.parametrize(("changes", "named"), [
    ({"sampler": "magic"}, "sampler"), ({"width": 36}, "size"),
    ({"prompts": (PlannedPrompt("long", "red " * 40),)}, "accepted 20 tokens")])
def test_what_the_base_cannot_do_is_refused(base, tmp_path, changes, named):
    with pytest.raises(InputError, match=named):
        sample_plan(make_plan(**changes), base, None, ImageStore(tmp_path), threads=1)


def test_pixels_that_are_not_finite_are_refused(base, write_lora, tmp_path):
    def poison(tensors):
        name = next(iter(tensors))
        tensors[name][1].flat[0] = np.nan
        return tensors

    with pytest.raises(InputError, match="NaN or infinity"):
        sample_plan(make_plan(), base, write_lora(edit=poison), ImageStore(tmp_path / "s"), threads=1)


def test_references_go_through_the_autoencoder(base):
    images = list(np.random.default_rng(0).integers(0, 256, (sampling.BATCH_SIZE + 1, 32, 32, 3), dtype=np.uint8))
    back = round_trip(images, base, threads=1)
    assert back.shape == (len(images), 32, 32, 3)
    assert back.dtype == np.uint8
    latents = encode_references(images, base, threads=1)
    assert latents.shape == (len(images), 8, 8, 8)
    assert latents.dtype == np.float32
    np.testing.assert_array_equal(back, round_trip(images, base, threads=1))
