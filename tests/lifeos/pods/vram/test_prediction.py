"""Questions and kept answers: what changes the key, what is refused before tracing, what an interrupt leaves."""

import json

import pytest

from lifeos.errors import InputError
from lifeos.pods.vram import prediction
from lifeos.pods.vram.prediction import Sampling, predict, predict_part, question, trained_size, unmodelled
from lifeos.pods.vram.replay import Usage

USAGE = Usage(5, 4, 6, (), {"weights": 5}, {}, "step 1", "mul", (1, 5), 2)


@pytest.fixture
def counted(monkeypatch):
    calls = []

    def trace(asked, part, progress):
        calls.append(part)
        return part

    monkeypatch.setattr(prediction, "_trace", trace)
    monkeypatch.setattr("lifeos.pods.vram.replay.replay", lambda trace, sizes: USAGE)
    return calls


def test_equal_questions_are_traced_once(counted, random_bases, make_recipe, ampere, tmp_path):
    asked = question(random_bases["sdxl"], make_recipe("sdxl"), ampere)
    first = predict(asked, ampere, tmp_path)
    assert counted == ["training", "sampling"]
    later = question(random_bases["sdxl"], make_recipe("sdxl", steps=99, trigger="other", seed=5), ampere)
    assert predict(later, ampere, tmp_path) == first
    assert counted == ["training", "sampling"]


@pytest.mark.parametrize("settings", [
    {"rank": 8}, {"batch_size": 2}, {"targets": "full"}, {"gradient_checkpointing": True}, {"dtype": "float32"},
    {"optimizer": {"name": "prodigy"}}, {"train_text_encoder": True}, {"offload": True}, {"dora": True},
    {"cache_latents": False}, {"resolution": {"sides": [64]}}, {"ema": {"decay": 0.5}}, {"mask": {}},
    {"gradient_accumulation": 2}, {"caption_shuffle": {}},
])  # fmt: skip
def test_whatever_moves_memory_is_another_question(settings, random_bases, make_recipe, ampere):
    usual = question(random_bases["sdxl"], make_recipe("sdxl"), ampere)
    other = question(random_bases["sdxl"], make_recipe("sdxl", **settings), ampere)
    assert other.key("training") != usual.key("training")
    assert other.key("sampling") == usual.key("sampling")


@pytest.mark.parametrize("settings", [
    {"images": 1}, {"prompts": 3}, {"vae_dtype": "bfloat16"}, {"vae_tiling": True}, {"vae_slicing": True},
])  # fmt: skip
def test_how_pictures_are_drawn_is_another_question(settings, random_bases, make_recipe, ampere):
    usual = question(random_bases["sdxl"], make_recipe("sdxl"), ampere)
    other = question(random_bases["sdxl"], make_recipe("sdxl"), ampere, Sampling(**settings))
    assert other.key("sampling") != usual.key("sampling")
    assert other.key("training") == usual.key("training")


@pytest.mark.parametrize("keys", ["", "batch = 3"])
def test_what_the_gate_predicts_is_drawn_at_once(keys, random_bases, make_recipe, ampere, tmp_path, monkeypatch):
    """The batch that the sampler cuts a release into, and the one whose memory is traced."""
    from lifeos.lora import denoise, sample
    from lifeos.lora.families.random_base import write_random_base
    from lifeos.lora.store import ImageStore
    from lifeos.persona import load_persona
    from lifeos.pods.vram import fake
    from lifeos.pods.vram.fit import sampling_of
    from lifeos.release_inputs import release_plan
    from tests.lifeos.simulated_release import make_persona

    folder = make_persona(tmp_path / "persona")
    file = folder / "persona.toml"
    file.write_text(file.read_text(encoding="utf-8").replace("[sampler]", f"[sampler]\n{keys}"), encoding="utf-8")
    persona = load_persona(folder)

    class StopError(Exception):
        pass

    drawn = []

    class Denoiser:
        def __init__(self, *_):
            pass

        def render(self, requests):
            drawn.append(len(requests))
            raise StopError

    monkeypatch.setattr(denoise, "Denoiser", Denoiser)
    base = write_random_base(persona.family, tmp_path / "base")
    with pytest.raises(StopError):
        sample.sample_plan(release_plan(persona), base, None, ImageStore(tmp_path / "images"), threads=1)
    traced = []
    monkeypatch.setattr(fake, "trace_sampling", lambda folder, plan, *more: traced.append(plan))
    asked = question(random_bases[persona.family], make_recipe(persona.family), ampere, sampling_of(persona))
    prediction._trace(asked, "sampling", lambda *_: None)
    assert [plan.batch for plan in traced] == drawn == [3 if keys else sample.BATCH_SIZE]


def test_the_code_is_part_of_the_question(random_bases, make_recipe, ampere, monkeypatch):
    asked = question(random_bases["sdxl"], make_recipe("sdxl"), ampere)
    before = asked.key("training")
    monkeypatch.setattr(prediction, "code_revision", lambda: "another")
    assert asked.key("training") != before


def test_an_interrupted_trace_leaves_nothing(random_bases, make_recipe, ampere, tmp_path, monkeypatch):
    def trace(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(prediction, "_trace", trace)
    asked = question(random_bases["sdxl"], make_recipe("sdxl"), ampere)
    with pytest.raises(KeyboardInterrupt):
        predict_part(asked, "training", ampere, tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"8519680": {"peak_bytes": 1}}', "\x00"])
def test_a_damaged_answer_is_made_again(content, counted, random_bases, make_recipe, ampere, tmp_path):
    asked = question(random_bases["sdxl"], make_recipe("sdxl"), ampere)
    predict_part(asked, "training", ampere, tmp_path)
    file, = (tmp_path / "vram").iterdir()
    file.write_text(content, encoding="utf-8")
    assert predict_part(asked, "training", ampere, tmp_path) == USAGE
    assert counted == ["training", "training"]
    assert Usage.from_json(json.loads(file.read_text(encoding="utf-8"))["8519680"]) == USAGE


@pytest.mark.parametrize(("settings", "sampling", "reason"), [
    ({"batch_size": 4096, "resolution": {"sides": [1024]}}, {}, "batch_size x picture"),
    ({}, {"images": 10**9}, "images at once x picture"),
])  # fmt: skip
def test_absurd_sizes_are_refused(settings, sampling, reason, random_bases, make_recipe, ampere):
    with pytest.raises(InputError, match=reason):
        question(random_bases["sdxl"], make_recipe("sdxl", **settings), ampere, Sampling(**sampling))


def test_a_base_of_another_family_is_refused(random_bases, make_recipe, ampere):
    with pytest.raises(InputError, match="accepted a base of family flux"):
        question(random_bases["sdxl"], make_recipe("flux"), ampere)


def test_auto_is_what_the_gpu_computes(random_bases, make_recipe, ampere):
    turing = ampere.model_copy(update={"bf16": False, "capability": (7, 5)})
    asked = [question(random_bases["sdxl"], make_recipe("sdxl", dtype="auto"), gpu) for gpu in (ampere, turing)]
    assert [(each.recipe.dtype, each.has_flash) for each in asked] == [("bfloat16", True), ("float32", False)]


def test_the_largest_trained_size(make_recipe):
    assert trained_size(make_recipe("sdxl"), (640, 480)) == (640, 480)
    assert trained_size(make_recipe("sdxl", resolution={"sides": [512, 768]}), (1, 1)) == (768, 768)
    width, height = trained_size(make_recipe("sdxl", resolution={"sides": [512], "buckets": True}), (1, 1))
    assert 0.9 * 512 * 512 < width * height <= 512 * 512


def test_what_is_in_no_prediction(make_recipe):
    assert unmodelled(make_recipe("sdxl")) == []
    assert unmodelled(make_recipe("sdxl", compile=True))[0].startswith("compile: ")
