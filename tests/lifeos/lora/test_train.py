import json

import numpy as np
import pytest

from lifeos.errors import InputError
from lifeos.lora import loss_scale, train
from lifeos.lora.checkpoint import load_newest_checkpoint
from lifeos.lora.families import base_hash, get_family
from lifeos.lora.families.tiny_base import TinyBase
from lifeos.lora.recipe import OptimizerSettings, Recipe
from lifeos.lora.recipe.sections import CaptionShuffleSettings, EmaSettings
from lifeos.lora.safetensors_file import read_header
from lifeos.lora.train import train_lora
from lifeos.lora.training_log import read_log
from lifeos.lora.weights import GATES, inspect_lora
from tests.lifeos.killed_training import KilledError, killed_at

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("optimizer", ["adamw", "prodigy"])
def test_a_resumed_run_ends_in_the_same_bytes(recipe, tmp_path, optimizer):
    settings = {"adamw": recipe.optimizer, "prodigy": OptimizerSettings(schedule="cosine")}
    recipe = recipe.model_copy(update={"optimizer": settings[optimizer], "caption_dropout": 0.3})
    whole = train_lora(recipe, tmp_path / "whole.safetensors", tmp_path / "a")
    with pytest.raises(KilledError):
        train_lora(recipe, tmp_path / "resumed.safetensors", tmp_path / "b", killed_at(3))
    # Killed again while it goes on, and a damaged newest checkpoint is passed over.
    with pytest.raises(KilledError):
        train_lora(recipe, tmp_path / "resumed.safetensors", tmp_path / "b", killed_at(5))
    newest = max((tmp_path / "b" / "checkpoints").iterdir())
    newest.write_bytes(newest.read_bytes()[:-5])
    resumed = train_lora(recipe, tmp_path / "resumed.safetensors", tmp_path / "b")
    assert (whole.resumed_from, resumed.resumed_from) == (0, 2)
    assert whole.path.read_bytes() == resumed.path.read_bytes()
    assert not list((tmp_path / "b" / "checkpoints").iterdir())


def test_the_file_passes_every_weights_gate_and_says_what_it_is(recipe, tmp_path):
    result = train_lora(recipe, tmp_path / "x.safetensors", tmp_path / "run")
    family = get_family("tiny_base")
    report = inspect_lora(result.path, recipe.base, family)
    assert {gate: verdict.outcome for gate, verdict in report.verdicts.items()} == dict.fromkeys(GATES, "passed")
    assert (report.rank, report.alpha, report.scale, report.preset) == (2, 4.0, 2.0, "full")
    metadata = read_header(result.path).metadata
    assert metadata["ss_network_dim"] == "2"
    assert metadata["ss_network_alpha"] == "4"
    assert metadata["modelspec.prediction_type"] == "v"
    assert metadata["lifeos.base_hash"] == base_hash(recipe.base) == result.base_hash
    assert json.loads(metadata["lifeos.recipe"])["targets"] == "full"
    assert "modelspec.date" not in metadata
    again = train_lora(recipe, tmp_path / "y.safetensors", tmp_path / "run")
    assert again.reused
    assert again.path.read_bytes() == result.path.read_bytes()


def test_diffusers_loads_it_with_its_scale(recipe, tmp_path):
    from diffusers import StableDiffusionPipeline

    result = train_lora(recipe, tmp_path / "x.safetensors", tmp_path / "run")
    pipeline = StableDiffusionPipeline.from_pretrained(str(recipe.base), local_files_only=True)
    pipeline.load_lora_weights(str(tmp_path), weight_name="x.safetensors", adapter_name="persona")
    layers = {name: module for name, module in pipeline.unet.named_modules() if hasattr(module, "lora_A")}
    assert {f"unet.{name}" for name in layers} == set(get_family("tiny_base").expected_modules(recipe.base, "full"))
    assert {layer.scaling["persona"] for layer in layers.values()} == {2.0}
    stored = read_header(result.path).read()
    for name, layer in layers.items():
        np.testing.assert_array_equal(layer.lora_B["persona"].weight.detach().numpy(),
                                      stored[f"unet.{name}.lora_B.weight"])


def test_bfloat16_trains(recipe, tmp_path):
    recipe = recipe.model_copy(update={"dtype": "bfloat16", "channels_last": True, "steps": 2})
    result = train_lora(recipe, tmp_path / "x.safetensors", tmp_path / "run")
    report = inspect_lora(result.path, recipe.base, get_family("tiny_base"))
    assert report.verdicts["weights_effect"].outcome == "passed"


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_loss_that_is_not_finite_stops_with_one_line(recipe, tmp_path, monkeypatch, dtype):
    recipe = recipe.model_copy(update={"dtype": dtype})
    # The normalisation layers keep even absurd recipes finite, so the fault is planted.
    loss, calls = TinyBase.loss, []

    def failing(*arguments, **named):
        calls.append(1)
        return loss(*arguments, **named) * (float("nan") if len(calls) >= 3 else 1.0)

    monkeypatch.setattr(TinyBase, "loss", failing)
    with pytest.raises(InputError, match="a finite loss, got nan at step 3 of 6") as caught:
        train_lora(recipe, tmp_path / "x.safetensors", tmp_path / "run")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "x.safetensors").exists()


def test_a_caption_beyond_the_context_is_refused(recipe, tmp_path, dataset):
    import shutil

    folder = tmp_path / "data"
    shutil.copytree(dataset, folder)
    (folder / "0000.txt").write_text("zeph " + "red " * 30, encoding="utf-8")
    with pytest.raises(InputError, match="accepted 20 tokens, got"):
        train_lora(recipe.model_copy(update={"dataset": folder}), tmp_path / "x.safetensors", tmp_path / "run")


@pytest.mark.parametrize("changes", [{"cache_text": False}, {"train_text_encoder": True}])
def test_it_is_refused_before_the_first_step_where_text_is_embedded_at_every_step(
    recipe, tmp_path, dataset, changes
):
    import shutil

    folder = tmp_path / "data"
    shutil.copytree(dataset, folder)
    (folder / "0004.txt").write_text("zeph " + "red " * 30, encoding="utf-8")
    with pytest.raises(InputError, match="accepted 20 tokens, got"):
        train_lora(recipe.model_copy(update={"dataset": folder, **changes}), tmp_path / "x.safetensors",
                   tmp_path / "run")  # fmt: skip
    assert read_log(tmp_path / "run") == []


def test_text_encoders_learn_from_shuffled_and_dropped_captions(recipe, tmp_path):
    plain = recipe.model_copy(update={"train_text_encoder": True, "steps": 3, "save_dtype": "float32"})
    shuffled = plain.model_copy(update={"caption_shuffle": CaptionShuffleSettings(keep_first=0),
                                        "caption_dropout": 0.4})  # fmt: skip
    weights = []
    for number, each in enumerate((plain, shuffled)):
        result = train_lora(each, tmp_path / f"{number}.safetensors", tmp_path / str(number))
        report = inspect_lora(result.path, recipe.base, get_family("tiny_base"))
        assert report.verdicts["weights_effect"].outcome == "passed"
        weights.append(read_header(result.path).read())
    assert any(np.any(weights[0][name] != weights[1][name]) for name in weights[0] if name.startswith("text_encoder"))


def test_the_min_snr_loss_is_that_of_the_paper(base):
    import torch
    from diffusers import DDPMScheduler
    from diffusers.training_utils import compute_snr

    family = get_family("tiny_base")
    components = family.load(base)
    generator = torch.Generator().manual_seed(0)
    latents, noise = (torch.randn((3, 8, 8, 8), generator=generator) for _ in range(2))
    text, timesteps = torch.randn((3, 20, 16), generator=generator), torch.tensor([10, 400, 990])
    loss = family.loss(components, latents=latents, text={"states": text}, noise=noise, timesteps=timesteps, gamma=5.0)
    scheduler = DDPMScheduler.from_pretrained(str(base / "scheduler"))
    snr = compute_snr(scheduler, timesteps)
    predicted = components.unet(scheduler.add_noise(latents, noise, timesteps), timesteps, text).sample
    squares = (predicted - scheduler.get_velocity(latents, noise, timesteps)).pow(2).mean(dim=[1, 2, 3])
    expected = squares * torch.minimum(snr, torch.full_like(snr, 5.0)) / (snr + 1)
    torch.testing.assert_close(loss, expected)


def every_setting(recipe):
    """What a step can do beside the plain one, all at once."""
    return recipe.model_copy(update={
        "gradient_accumulation": 2, "noise_offset": 0.1, "ema": EmaSettings(decay=0.5), "save_every": 2,
        "gradient_checkpointing": True,
        "optimizer": OptimizerSettings(schedule="cosine_with_restarts", schedule_cycles=2, warmup_steps=2),
    })  # fmt: skip


def test_every_setting_of_a_step_resumes_to_the_same_bytes_too(recipe, tmp_path):
    recipe = every_setting(recipe)
    whole = train_lora(recipe, tmp_path / "whole.safetensors", tmp_path / "a")
    with pytest.raises(KilledError):
        train_lora(recipe, tmp_path / "resumed.safetensors", tmp_path / "b", killed_at(5))
    resumed = train_lora(recipe, tmp_path / "resumed.safetensors", tmp_path / "b")
    assert (resumed.resumed_from, resumed.path.read_bytes()) == (4, whole.path.read_bytes())
    for step in (2, 4):
        kept = [tmp_path / f"{stem}-step-{step:08d}.safetensors" for stem in ("whole", "resumed")]
        assert kept[0].read_bytes() == kept[1].read_bytes() != whole.path.read_bytes()
        assert inspect_lora(kept[0], recipe.base, get_family("tiny_base")).verdicts["weights_keys"].outcome == "passed"
    assert not (tmp_path / "whole-step-00000006.safetensors").exists()
    assert train_lora(recipe, tmp_path / "whole.safetensors", tmp_path / "a").reused
    (tmp_path / "a" / "step-00000002.safetensors").unlink()
    assert not train_lora(recipe, tmp_path / "whole.safetensors", tmp_path / "a").reused


def test_files_asked_for_behind_a_checkpoint_are_trained_again(recipe, tmp_path):
    with pytest.raises(KilledError):
        train_lora(recipe, tmp_path / "x.safetensors", tmp_path / "run", killed_at(5))
    asked = recipe.model_copy(update={"save_every": 3})
    assert train_lora(asked, tmp_path / "x.safetensors", tmp_path / "run").resumed_from == 0
    assert (tmp_path / "x-step-00000003.safetensors").exists()


@pytest.mark.parametrize("change", [
    {"gradient_accumulation": 2}, {"noise_offset": 0.1}, {"ema": EmaSettings(decay=0.5)},
    {"optimizer": OptimizerSettings(name="adamw", learning_rate=1e-2, warmup_steps=3, schedule="linear")},
])
def test_each_setting_changes_what_comes_out(recipe, tmp_path, change):
    recipe = recipe.model_copy(update={"steps": 3})
    plain = train_lora(recipe, tmp_path / "x.safetensors", tmp_path / "a")
    assert train_lora(recipe.model_copy(update=change), tmp_path / "y.safetensors", tmp_path / "b").key != plain.key
    weights, others = read_header(tmp_path / "x.safetensors").read(), read_header(tmp_path / "y.safetensors").read()
    assert any(np.any(weights[name] != others[name]) for name in weights)


def test_checkpointing_recomputes_and_changes_no_bit_that_counts(recipe, tmp_path):
    recipe = recipe.model_copy(update={"save_dtype": "float32"})
    train_lora(recipe, tmp_path / "x.safetensors", tmp_path / "a")
    train_lora(recipe.model_copy(update={"gradient_checkpointing": True}), tmp_path / "y.safetensors", tmp_path / "b")
    others = read_header(tmp_path / "y.safetensors").read()
    for name, weight in read_header(tmp_path / "x.safetensors").read().items():
        np.testing.assert_allclose(weight, others[name], rtol=1e-4, atol=1e-6)


def test_a_step_takes_the_mean_gradient_of_its_batches(recipe, tmp_path, monkeypatch):
    import torch

    batches = []

    def loss(run, batch):
        batches.append(batch)
        return (batch + 1) * sum(each.sum() for name, each in run.parameters.items() if ".lora_B." in name)

    monkeypatch.setattr(train, "_batch_loss", loss)
    monkeypatch.setattr(train, "build_optimizer", lambda _, parameters, *__: torch.optim.SGD(parameters, lr=1.0))
    recipe = recipe.model_copy(update={"steps": 2, "gradient_accumulation": 2, "gradient_clip": None,
                                       "optimizer": OptimizerSettings(name="adamw", learning_rate=1.0)})  # fmt: skip
    train_lora(recipe, tmp_path / "x.safetensors", tmp_path / "run")
    assert batches == [0, 1, 2, 3]
    for name, array in read_header(tmp_path / "x.safetensors").read().items():
        if ".lora_B." in name:
            assert np.all(array == -(1 + 2) / 2 - (3 + 4) / 2)


@pytest.mark.parametrize("full", [False, True], ids=["base in float16", "all in float16"])
def test_float16_resumes_to_the_same_bytes_with_its_loss_scale(recipe, tmp_path, full, monkeypatch):
    # A recipe may not ask for it on a processor, where it is slow; the code is the same.
    recipe = recipe.model_copy(update={"dtype": "float16", "full_float16": full, "ema": EmaSettings(decay=0.5),
                                       "save_dtype": "float32", "steps": 7})  # fmt: skip
    monkeypatch.setattr(loss_scale, "_GROWTH_INTERVAL", 3)
    whole = train_lora(recipe, tmp_path / "whole.safetensors", tmp_path / "a")
    with pytest.raises(KilledError):
        train_lora(recipe, tmp_path / "resumed.safetensors", tmp_path / "b", killed_at(5))
    kept = load_newest_checkpoint(tmp_path / "b" / "checkpoints", whole.key)
    assert kept.loss_scale == {"factor": 131072.0, "steps": 1.0}
    assert {str(each.dtype) for each in kept.parameters.values()} == {"torch.float16" if full else "torch.float32"}
    with pytest.raises(KilledError):
        train_lora(recipe, tmp_path / "resumed.safetensors", tmp_path / "b", killed_at(7))
    kept = load_newest_checkpoint(tmp_path / "b" / "checkpoints", whole.key)
    assert kept.loss_scale == {"factor": 262144.0, "steps": 0.0}
    resumed = train_lora(recipe, tmp_path / "resumed.safetensors", tmp_path / "b")
    assert (resumed.resumed_from, resumed.path.read_bytes()) == (6, whole.path.read_bytes())
    assert read_header(whole.path).metadata["ss_mixed_precision"] == "fp16"


def test_an_overflow_lowers_the_loss_scale_and_computes_the_same_step_again(recipe, tmp_path, monkeypatch):
    recipe = recipe.model_copy(update={"dtype": "float16", "steps": 3, "save_dtype": "float32"})
    plain = train_lora(recipe, tmp_path / "x.safetensors", tmp_path / "a")
    scales = []

    def enlarged():
        scales.append(loss_scale.LossScale(factor=2.0**40))
        return scales[0]

    monkeypatch.setattr(train, "LossScale", enlarged)
    again = train_lora(recipe, tmp_path / "y.safetensors", tmp_path / "b")
    assert scales[0].factor < 2.0**40
    logs = [read_log(tmp_path / folder) for folder in "ab"]
    assert [each.step for each in logs[1]] == [1, 2, 3]
    assert logs[0][0].loss == logs[1][0].loss
    others = read_header(again.path).read()
    for name, weight in read_header(plain.path).read().items():
        np.testing.assert_allclose(weight, others[name], rtol=1e-2, atol=1e-3)


def test_gradients_that_overflow_at_any_scale_stop_with_one_line(recipe, tmp_path, monkeypatch):
    loss = TinyBase.loss

    def overflowing(*arguments, **named):
        result = loss(*arguments, **named)
        result.register_hook(lambda gradient: gradient * float("inf"))
        return result

    monkeypatch.setattr(TinyBase, "loss", overflowing)
    with pytest.raises(InputError, match=r"overflow without any loss scale at step 1 of 6 .*loss-nan-run-completes"):
        train_lora(recipe.model_copy(update={"dtype": "float16"}), tmp_path / "x.safetensors", tmp_path / "run")


def test_compiling_changes_no_name(recipe, tmp_path):
    import torch

    recipe = recipe.model_copy(update={"steps": 2})
    plain = train_lora(recipe, tmp_path / "x.safetensors", tmp_path / "a")
    # Without the compiler, which took four minutes here and gave the same losses to five digits.
    with torch.compiler.set_stance("force_eager"):
        compiled = train_lora(recipe.model_copy(update={"compile": True}), tmp_path / "y.safetensors", tmp_path / "b")
    weights, others = read_header(plain.path).read(), read_header(compiled.path).read()
    assert weights.keys() == others.keys()
    assert all(np.array_equal(weights[name], others[name]) for name in weights)


@pytest.mark.parametrize(("changes", "sent_away"), [
    ({}, []), ({"offload": True}, ["place_autoencoder", "place_text_encoders"]),
    ({"offload": True, "cache_latents": False}, ["place_text_encoders"]),
    ({"offload": True, "train_text_encoder": True}, ["place_autoencoder"]),
])  # fmt: skip
def test_offload_sends_away_what_no_step_asks_for(recipe, tmp_path, monkeypatch, changes, sent_away):
    events = []
    for name in ("place_autoencoder", "place_text_encoders", "encode_images", "encode_text", "prepare_training"):
        whole = getattr(TinyBase, name)

        def watched(*arguments, name=name, whole=whole, **named):
            events.append(name)
            return whole(*arguments, **named)

        monkeypatch.setattr(TinyBase, name, watched)
    train_lora(recipe.model_copy(update={"steps": 1, **changes}), tmp_path / "x.safetensors", tmp_path / "run")
    before = events[: events.index("prepare_training")]
    assert before[:2] == ["place_autoencoder", "place_text_encoders"]
    assert [event for event in before[2:] if event.startswith("place_")] == sent_away
    assert before[len(before) - len(sent_away) :] == sent_away


def test_out_must_be_safetensors(recipe: Recipe, tmp_path):
    with pytest.raises(InputError, match="rename OUT"):
        train_lora(recipe, tmp_path / "x.pt", tmp_path / "run")
