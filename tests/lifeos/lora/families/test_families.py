"""Each family against plain diffusers: the same images, the same loss, a file that its loader takes."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from evals.atomic import write_bytes
from lifeos.errors import InputError
from lifeos.lora import train
from lifeos.lora.families import FAMILIES, get_family
from lifeos.lora.families.random_base import write_flux, write_stable_diffusion_3
from lifeos.lora.recipe import Recipe
from lifeos.lora.safetensors_file import encode, read_header
from lifeos.lora.sample import sample_plan
from lifeos.lora.sample_plan import PlannedPrompt, SamplePlan
from lifeos.lora.store import ImageStore
from lifeos.lora.train import train_lora
from lifeos.lora.weights import GATES, inspect_lora

pytestmark = pytest.mark.filterwarnings("ignore")

PROMPTS = (PlannedPrompt("B01", "photo of a zeph person, facing left"), PlannedPrompt("B02", "red"))


def plan_for(family, **changes):
    sampler = get_family(family).samplers[0]
    return SamplePlan(**{"prompts": PROMPTS, "seeds": (0, 5), "sampler": sampler, "steps": 3, "guidance": 3.0,
                         "width": 32, "height": 32, "family": family, **changes})  # fmt: skip


def ours(plan, base, lora, folder):
    result = sample_plan(plan, base, lora, ImageStore(folder), threads=1)
    return np.stack([np.asarray(Image.open(image.path)) for image in result.images]).astype(int)


def theirs(pipeline, plan):
    import torch

    requests = plan.requests()
    extra = {}
    if plan.family == "flux":
        # The noise that the pipeline draws from a generator is packed already; ours is packed by the model's file.
        noise = torch.cat([torch.randn((1, 8, 8, 8), generator=torch.Generator().manual_seed(each.seed))
                           for each in requests])  # fmt: skip
        extra["latents"] = pipeline._pack_latents(noise, len(requests), 8, 8, 8)
    else:
        extra["generator"] = [torch.Generator("cpu").manual_seed(each.seed) for each in requests]
    images = pipeline([each.prompt.text for each in requests], num_inference_steps=plan.steps, output_type="np",
                      guidance_scale=plan.guidance, width=plan.width, height=plan.height, **extra).images  # fmt: skip
    return (images * 255).round().astype(int)


@pytest.mark.parametrize("family", FAMILIES)
def test_images_are_those_of_the_diffusers_pipeline_with_a_lora_and_without(
    bases, family, plain_pipeline, random_lora, tmp_path
):
    plan, base, lora, kind = plan_for(family), bases[family], random_lora(family), get_family(family)
    pipeline = plain_pipeline(base)
    if kind.weighs_by_snr:
        pipeline.scheduler = kind.make_scheduler(kind.load(base), plan.sampler)
    plain = theirs(pipeline, plan)
    assert np.abs(ours(plan, base, None, tmp_path / "plain") - plain).max() <= 2
    pipeline.load_lora_weights(str(lora.parent), weight_name=lora.name, adapter_name="persona")
    with_lora = theirs(pipeline, plan)
    assert np.abs(ours(plan, base, lora, tmp_path / "lora") - with_lora).max() <= 2
    # The comparison means something only when LoRA, prompt and seed change the picture.
    assert np.abs(plain - with_lora).max() > 10
    assert len(np.unique(with_lora.reshape(4, -1), axis=0)) == 4


@pytest.mark.parametrize("writer", ["schnell", "without T5"])
def test_variants_of_a_family_are_sampled_as_diffusers_does(writer, plain_pipeline, tmp_path):
    absent = {}
    if writer == "schnell":
        base, family = write_flux(tmp_path / "base", 3, guidance_embeds=False), "flux"
    else:
        base, family = write_stable_diffusion_3(tmp_path / "base", 3, with_t5=False), "sd3"
        absent = dict.fromkeys(("text_encoder_3", "tokenizer_3"))
    plan = plan_for(family)
    assert np.abs(ours(plan, base, None, tmp_path / "s") - theirs(plain_pipeline(base, **absent), plan)).max() <= 2


def recipe_for(family, base, dataset, **changes):
    return Recipe.model_validate({
        "base": base, "dataset": dataset, "trigger": "zeph", "family": family, "steps": 4, "batch_size": 2, "rank": 2,
        "alpha": 4.0, "checkpoint_every": 2, "threads": 1, "save_dtype": "float32", "caption_dropout": 0.3,
        "optimizer": {"name": "adamw", "learning_rate": 3e-2}, **changes,
    })  # fmt: skip


TEXT = {"train_text_encoder": True,
        "optimizer": {"name": "adamw", "learning_rate": 3e-2, "text_encoder_learning_rate": 6e-2}}  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_a_step_of_adamw_is_fused_but_for_the_base_that_demo_personas_are_calibrated_on(
    bases, small_dataset, family, monkeypatch, tmp_path
):
    steps = []

    def step(run, number):
        steps.append(bool(run.optimizer.param_groups[0]["fused"]))
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "_step", step)
    recipe = recipe_for(family, bases[family], small_dataset, optimizer={"name": "adamw", "learning_rate": 1e-3})
    with pytest.raises(KeyboardInterrupt):
        train_lora(recipe, tmp_path / "x.safetensors", tmp_path / "run")
    assert steps == [family != "tiny_base"]


@pytest.mark.parametrize("changes", [{}, TEXT, {"dora": True}], ids=["denoiser", "text", "dora"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_killed_training_ends_in_the_same_bytes_and_what_was_saved_is_what_is_sampled(
    bases, small_dataset, family, changes, plain_pipeline, tmp_path
):
    class KilledError(Exception):
        pass

    def killed(stage, done, total):
        if stage == "training" and done == 3:
            raise KilledError

    recipe = recipe_for(family, bases[family], small_dataset, **changes)
    whole = train_lora(recipe, tmp_path / "whole.safetensors", tmp_path / "a")
    with pytest.raises(KilledError):
        train_lora(recipe, tmp_path / "resumed.safetensors", tmp_path / "b", killed)
    resumed = train_lora(recipe, tmp_path / "resumed.safetensors", tmp_path / "b")
    assert (resumed.resumed_from, resumed.path.read_bytes()) == (2, whole.path.read_bytes())
    verdicts = inspect_lora(whole.path, bases[family], get_family(family)).verdicts
    assert {gate: verdict.outcome for gate, verdict in verdicts.items()} == dict.fromkeys(GATES, "passed")

    plan, kind = plan_for(family, strength=4.0), get_family(family)
    pipeline = plain_pipeline(bases[family])
    if kind.weighs_by_snr:
        pipeline.scheduler = kind.make_scheduler(kind.load(bases[family]), plan.sampler)
    plain = theirs(pipeline, plan)
    pipeline.load_lora_weights(str(tmp_path), weight_name="whole.safetensors", adapter_name="persona")
    pipeline.set_adapters(["persona"], [4.0])
    loaded = theirs(pipeline, plan)
    assert np.abs(ours(plan, bases[family], whole.path, tmp_path / "s") - loaded).max() <= 2
    assert np.abs(plain - loaded).max() > 2


@pytest.mark.parametrize("family", ["sd15", "sdxl", "sd3", "flux"])
def test_text_encoders_learn_where_something_reads_them(bases, family):
    import torch

    kind = get_family(family)
    components = kind.load(bases[family])
    parameters = kind.add_lora(components, 2, 2.0, "full", 0, text_encoders=True)
    trained = {name.rsplit(".", 2)[0] for name in parameters}
    expected = set(kind.expected_modules(bases[family], "full"))
    of_text = {name for name in kind.modules(bases[family]) if name.split(".")[0] in kind.text_components
               and name.endswith(("q_proj", "k_proj", "v_proj", "out_proj"))}  # fmt: skip
    assert trained == expected | of_text
    generator = torch.Generator().manual_seed(0)
    shape = kind.latent_shape(components, 32, 32)
    latents, noise = (torch.randn((2, *shape), generator=generator) for _ in range(2))
    text = kind.embed_text(components, kind.tokenize(components, [prompt.text for prompt in PROMPTS]))
    timesteps = kind.draw_timesteps(components, 2, shape, generator)
    kind.loss(components, latents=latents, text=text, noise=noise, timesteps=timesteps, gamma=None).mean().backward()
    ups = {name.removesuffix(".lora_B.weight"): each for name, each in parameters.items() if ".lora_B." in name}
    still = {name for name, each in ups.items() if each.grad is None or float(each.grad.abs().max()) == 0.0}
    assert still == kind.may_be_dead(kind.modules(bases[family])) & trained


@pytest.mark.parametrize("family", ["sd15", "flux"])
def test_a_file_without_the_text_encoders_it_trained_is_told_and_draws_something_else(
    bases, small_dataset, family, tmp_path
):
    base, kind = bases[family], get_family(family)
    trained = train_lora(recipe_for(family, base, small_dataset, **TEXT), tmp_path / "x.safetensors", tmp_path / "run")
    container = read_header(trained.path)
    kept = {name: ("F32", array) for name, array in container.read().items() if not name.startswith("text_encoder")}
    write_bytes(tmp_path / "cut.safetensors", encode(kept, container.metadata))
    verdict = inspect_lora(tmp_path / "cut.safetensors", base, kind).verdicts["weights_keys"]
    assert verdict.outcome == "failed"
    assert "first text_encoder.text_model.encoder.layers.0" in verdict.reason
    plan = plan_for(family, strength=4.0)
    images = [ours(plan, base, tmp_path / name, tmp_path / "s") for name in ("x.safetensors", "cut.safetensors")]
    assert np.abs(images[0] - images[1]).max() > 2


@pytest.mark.parametrize("family", ["sdxl", "sd3", "flux"])
def test_text_encoders_learn_in_bfloat16_beside_a_t5_that_keeps_its_type(bases, small_dataset, family, tmp_path):
    import torch

    kind = get_family(family)
    recipe = recipe_for(family, bases[family], small_dataset, **TEXT, dtype="bfloat16", steps=2)
    train_lora(recipe, tmp_path / "x.safetensors", tmp_path / "run")
    report = inspect_lora(tmp_path / "x.safetensors", bases[family], kind)
    assert report.verdicts["weights_effect"].outcome == "passed"
    components = kind.load(bases[family])
    kind.prepare_training(components, "bfloat16", False, text_encoders=True)
    assert components.text_encoder.dtype == torch.bfloat16
    t5 = {"sd3": "text_encoder_3", "flux": "text_encoder_2"}.get(family)
    if t5 is not None:
        assert getattr(components, t5).dtype == torch.float32
        tokens = kind.tokenize(components, ["red"])
        exact = kind.encode_text(components, ["red"])["states"]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(kind.embed_text(components, tokens)["states"][:, -64:], exact[:, -64:])


@pytest.mark.parametrize("family", ["sd3", "flux"])
def test_the_loss_of_a_flow_is_the_error_of_its_velocity(bases, family, plain_pipeline):
    import torch

    kind, pipeline = get_family(family), plain_pipeline(bases[family])
    components, generator = kind.load(bases[family]), torch.Generator().manual_seed(0)
    shape = kind.latent_shape(components, 32, 32)
    latents, noise = (torch.randn((2, *shape), generator=generator) for _ in range(2))
    timesteps = torch.tensor([200.0, 900.0])
    text = kind.encode_text(components, ["red", "photo"])
    loss = kind.loss(components, latents=latents, text=text, noise=noise, timesteps=timesteps, gamma=None)
    scheduler = pipeline.scheduler
    scheduler.sigmas, scheduler.timesteps = timesteps / 1000, timesteps
    noisy = scheduler.scale_noise(latents, timesteps, noise)
    if family == "sd3":
        states, _, pooled, _ = pipeline.encode_prompt(["red", "photo"], None, None)
        predicted = pipeline.transformer(noisy, states, pooled, timesteps).sample
    else:
        states, pooled, text_ids = pipeline.encode_prompt(["red", "photo"], None)
        packed = pipeline._pack_latents(noisy, 2, *shape)
        places = pipeline._prepare_latent_image_ids(2, 4, 4, "cpu", torch.float32)
        answer = pipeline.transformer(packed, states, pooled, timesteps / 1000, places, text_ids, torch.ones(2)).sample
        predicted = pipeline._unpack_latents(answer, 32, 32, 4)
    torch.testing.assert_close(loss, (predicted - (noise - latents)).square().mean(dim=(1, 2, 3)), rtol=1e-4, atol=1e-5)


def test_noise_levels_move_with_the_image_where_the_base_says_so():
    import torch

    flux, sd3 = get_family("flux"), get_family("sd3")
    dynamic = {"use_dynamic_shifting": True, "base_shift": 0.5, "max_shift": 1.15}
    small, large = (flux.shift_factor(dynamic, (16, side, side)) for side in (32, 128))
    assert (small, large) == pytest.approx((np.exp(0.5), np.exp(1.15)))
    assert sd3.shift_factor({"shift": 3.0}, (16, 32, 32)) == sd3.shift_factor({"shift": 3.0}, (16, 128, 128)) == 3.0

    class Parts:
        scheduler_config = {"shift": 3.0}  # noqa: RUF012

    drawn = sd3.draw_timesteps(Parts, 20_000, (16, 128, 128), torch.Generator().manual_seed(0))
    # The median of a logit-normal is one half, which a shift of 3 moves to 3/4.
    assert float(drawn.median()) == pytest.approx(750.0, abs=8.0)
    assert 0.0 < float(drawn.min()) < float(drawn.max()) < 1000.0


@pytest.mark.parametrize(("sampling", "shift", "median", "quarter"), [
    # Quartiles of the logit-normal: the sigmoid of those of the normal; a shift s moves t to s t / (1 + (s - 1) t).
    ("logit_normal", 1.0, 0.5, 0.3375), ("uniform", 1.0, 0.5, 0.25), ("uniform", None, 0.75, 0.5),
    (None, 2.0, 2 / 3, 0.5047), ("flux_shift", None, 0.7595, 0.6167),
])  # fmt: skip
def test_a_recipe_chooses_the_noise_levels_of_a_flow(sampling, shift, median, quarter):
    import torch

    class Parts:
        scheduler_config = {"shift": 3.0}  # noqa: RUF012

    drawn = get_family("sd3").draw_timesteps(
        Parts, 40_000, (16, 128, 128), torch.Generator().manual_seed(0), sampling, shift
    )
    assert float(drawn.median()) == pytest.approx(1000 * median, abs=8.0)
    assert float(drawn.quantile(0.25)) == pytest.approx(1000 * quarter, abs=8.0)


def test_what_nothing_reads_may_stay_zero(bases):
    dead = {family: get_family(family).may_be_dead(get_family(family).modules(bases[family])) for family in FAMILIES}
    assert dead["tiny_base"] == dead["sd15"] == dead["flux"] == frozenset()
    assert dead["sd3"] == {"transformer.transformer_blocks.1.attn.add_q_proj"}
    attention = {f"text_encoder.text_model.encoder.layers.1.self_attn.{name}" for name in
                 ("q_proj", "k_proj", "v_proj", "out_proj")}  # fmt: skip
    assert dead["sdxl"] == attention | {f"text_encoder.text_model.encoder.layers.1.mlp.fc{number}" for number in (1, 2)}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_base_of_another_family_is_refused_before_anything_is_loaded(bases, family):
    other = bases["flux" if family != "flux" else "sdxl"]
    with pytest.raises(InputError, match=f"accepted a base of family {family}"):
        get_family(family).modules(other)
    with pytest.raises(InputError, match=f"accepted a base of family {family}"):
        get_family(family).load(other)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_base_without_a_part_is_refused_in_one_line(bases, family, tmp_path):
    base, kind = tmp_path / "base", get_family(family)
    shutil.copytree(bases[family], base)
    denoiser = base / kind.lora_components[0]
    for shard in denoiser.glob("*.safetensors"):
        shard.unlink()
    with pytest.raises(InputError, match="next: ") as caught:
        kind.load(base)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="got no safetensors file there"):
        kind.modules(base)


def test_an_empty_prompt_of_sdxl_is_what_its_index_says(bases, tmp_path):
    kind, base = get_family("sdxl"), tmp_path / "base"
    text = kind.encode_text(kind.load(bases["sdxl"]), ["", "red"])
    assert float(text["states"][0].abs().max()) == float(text["pooled"][0].abs().max()) == 0.0
    assert float(text["pooled"][1].abs().max()) > 0.0
    shutil.copytree(bases["sdxl"], base)
    index = json.loads((base / "model_index.json").read_text(encoding="utf-8"))
    (base / "model_index.json").write_text(json.dumps({**index, "force_zeros_for_empty_prompt": False}), "utf-8")
    text = kind.encode_text(kind.load(base), [""])
    assert float(text["pooled"].abs().max()) > 0.0


@pytest.mark.parametrize(("family", "sizes"), [("sd15", (36, 32)), ("sdxl", (32, 36)), ("sd3", (36, 32)),
                                               ("flux", (32, 36))])  # fmt: skip
def test_a_size_that_the_base_cannot_divide_is_refused(bases, family, sizes):
    kind = get_family(family)
    with pytest.raises(InputError, match="accepted multiples of 8"):
        kind.latent_shape(kind.load(bases[family]), *sizes)


def test_an_unknown_family_lists_those_there_are():
    with pytest.raises(InputError, match="tiny_base, sd15, sdxl, sd3, flux, got 'sd2'"):
        get_family("sd2")
