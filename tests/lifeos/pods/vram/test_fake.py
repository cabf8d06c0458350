"""Traces of the real steps on random bases: what they hold, that they repeat, that nothing of them stays behind."""

import gc

import pytest
import torch

from lifeos.pods.vram.fake import GPU, FakeWatch, trace_sampling, trace_training, watched
from lifeos.pods.vram.replay import replay
from lifeos.pods.vram.steps import plan_for, sampling_steps, training_steps
from lifeos.pods.vram.tracer import ACTIVATIONS, AVERAGE, GRADIENTS, LORA, OPTIMIZER, WEIGHTS
from tests.lifeos.pods.vram.conftest import FAMILIES

SIZE = (32, 32)
pytestmark = pytest.mark.filterwarnings("ignore")


def traced(architecture, recipe, size=SIZE):
    with architecture.folder() as folder:
        return trace_training(folder, recipe, size)


@pytest.fixture(scope="module")
def usual(random_bases, make_recipe):
    return traced(random_bases["sdxl"], make_recipe("sdxl"))


def bytes_of(trace, kind):
    return sum(size for size, of in zip(trace.sizes, trace.kinds, strict=True) if of == kind)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_training_step_holds_weights_lora_and_its_optimizer(family, random_bases, make_recipe):
    trace = traced(random_bases[family], make_recipe(family))
    lora = bytes_of(trace, LORA)
    assert lora > 0
    # AdamW: two moments and a step, float32, and one gradient, all as large as the LoRA; the second step has its own.
    assert 2 * lora <= bytes_of(trace, OPTIMIZER) < 2 * lora + 8 * len(trace.sizes)
    assert bytes_of(trace, GRADIENTS) == 2 * lora
    assert bytes_of(trace, WEIGHTS) > lora
    assert [name for name, _ in trace.phases] == ["encoding", "preparing", "step 1", "step 2"]


@pytest.mark.parametrize("family", FAMILIES)
def test_sampling_encodes_denoises_and_decodes(family, random_bases):
    with random_bases[family].folder() as folder:
        trace = trace_sampling(folder, plan_for(family, 32, 32, "bfloat16", batch=2))
    usage = replay(trace)
    assert [phase.name for phase in usage.phases] == ["text", "denoising", "decoding"]
    # Text encoders have left before anything is denoised.
    weights = [-(-size // 512) * 512 for size, kind in zip(trace.sizes, trace.kinds, strict=True) if kind == WEIGHTS]
    assert usage.parts[WEIGHTS] < sum(weights)


@pytest.mark.parametrize("sampler", ["dpmsolver++", "sde-dpmsolver++", "ddim", "euler"])
def test_every_sampler_is_traced(sampler, random_bases):
    with random_bases["sd15"].folder() as folder:
        trace = trace_sampling(folder, plan_for("sd15", 32, 32, "bfloat16", sampler=sampler))
    assert [name for name, _ in trace.phases] == ["text", "denoising", "decoding"]


@pytest.mark.parametrize("family", ["sdxl", "flux"])
def test_slicing_and_sixteen_bits_need_less_to_decode_and_tiles_where_the_picture_is_larger(family, random_bases):
    def decoding(side, **how):
        with random_bases[family].folder() as folder:
            usage = replay(trace_sampling(folder, plan_for(family, side, side, "bfloat16", batch=6, **how)))
        return usage.phases[-1].peak_bytes

    usual = decoding(64)
    assert decoding(64, vae_slicing=True) < 0.5 * usual
    assert decoding(64, vae_dtype="bfloat16") < 0.7 * usual
    assert decoding(64, vae_tiling=True) < 0.7 * usual
    # The base's own size: one tile.
    assert decoding(32, vae_tiling=True) == decoding(32)


class WatchTakesBothSteps(FakeWatch):
    def second_step(self, step, optimizer):
        step()


@pytest.mark.parametrize("settings", [
    {"optimizer": {"name": "prodigy"}}, {"optimizer": {"name": "adamw8bit"}},
    {"optimizer": {"name": "adamw"}, "gradient_accumulation": 2, "ema": {"decay": 0.5}},
], ids=["prodigy", "adamw8bit", "adamw"])  # fmt: skip
def test_the_concluded_second_step_is_the_one_that_is_taken(settings, random_bases, make_recipe, monkeypatch):
    recipe = make_recipe("sd15", gradient_checkpointing=True, **settings)
    concluded = replay(traced(random_bases["sd15"], recipe))
    monkeypatch.setattr("lifeos.pods.vram.fake.FakeWatch", WatchTakesBothSteps)
    taken = replay(traced(random_bases["sd15"], recipe))
    assert concluded.peak_bytes == taken.peak_bytes
    assert concluded.reserved_bytes == taken.reserved_bytes
    assert concluded.phases[-1].peak_bytes == taken.phases[-1].peak_bytes


@pytest.mark.parametrize(("settings", "kind", "compare"), [
    ({"rank": 8}, LORA, 1.9), ({"batch_size": 4}, ACTIVATIONS, 1.5), ({"targets": "full"}, LORA, 1.2),
    ({"train_text_encoder": True}, LORA, 1.05), ({"optimizer": {"name": "prodigy"}}, OPTIMIZER, 1.4),
    ({"ema": {"decay": 0.5}}, AVERAGE, 1.0), ({"dtype": "float32"}, WEIGHTS, 1.1),
])  # fmt: skip
def test_what_a_recipe_asks_for_is_seen(settings, kind, compare, usual, random_bases, make_recipe):
    asked = bytes_of(traced(random_bases["sdxl"], make_recipe("sdxl", **settings)), kind)
    assert asked > 0
    assert asked >= compare * bytes_of(usual, kind)


def test_checkpointing_and_offload_lower_the_step(random_bases, make_recipe):
    def step(**settings):
        recipe = make_recipe("sdxl", batch_size=8, **settings)
        return replay(traced(random_bases["sdxl"], recipe)).phases[-1].peak_bytes

    usual = step()
    assert step(gradient_checkpointing=True) < usual
    assert step(offload=True) < usual


def test_a_larger_picture_takes_more(random_bases, make_recipe):
    peaks = [replay(traced(random_bases["sd3"], make_recipe("sd3"), (side, side))).phases[-1].peak_bytes
             for side in (32, 64)]  # fmt: skip
    assert peaks[0] < peaks[1]


def test_nothing_is_left_behind(random_bases, make_recipe):
    def attention():
        query = torch.ones((1, 1, 4, 8))
        return torch.nn.functional.scaled_dot_product_attention(query, query, query)

    before = attention()
    to, apply, normal = torch.nn.Module.to, torch.nn.Module._apply, torch.nn.init.normal_
    state = torch.random.get_rng_state()
    traced(random_bases["sd15"], make_recipe("sd15"))
    assert (torch.nn.Module.to, torch.nn.Module._apply, torch.nn.init.normal_) == (to, apply, normal)
    assert torch.equal(attention(), before)
    assert torch.equal(torch.random.get_rng_state(), state)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        norm = torch.nn.functional.layer_norm(torch.ones((2, 8), dtype=torch.bfloat16), (8,))
    assert norm.dtype == torch.bfloat16
    assert not torch.nn.Linear(2, 2).weight.isnan().any()


def test_an_error_in_a_step_leaves_nothing_behind_either(random_bases):
    to = torch.nn.Module.to
    with pytest.raises(KeyboardInterrupt):
        watched(lambda watch: (_ for _ in ()).throw(KeyboardInterrupt))
    assert torch.nn.Module.to is to


@pytest.mark.parametrize("part", ["training", "sampling"])
def test_the_same_steps_run_for_real(part, random_bases, make_recipe):
    """The measurement's code path on a processor, with counters that stand for a GPU's."""
    from benchmarks.vram.measure import measure
    from lifeos.pods.spec import load_gpus
    from lifeos.pods.vram.prediction import Sampling, question

    calls = []

    class Counters:
        def __getattr__(self, name):
            return lambda: calls.append(name) or 7

    recipe = make_recipe("sdxl", device="cpu", offload=False)
    asked = question(random_bases["sdxl"], recipe, load_gpus()["A100 80GB"], Sampling(images=2))
    measured = measure(asked, part, "cpu", Counters())
    assert (measured.peak_bytes, measured.reserved_bytes) == (7, 7)
    assert (measured.step_seconds is not None and measured.step_seconds > 0.0) is (part == "training")
    assert calls.index("reset_peak_memory_stats") < calls.index("max_memory_allocated")


def test_the_steps_are_one_for_prediction_and_measurement():
    import benchmarks.vram.measure
    import lifeos.pods.vram.fake

    for module in (benchmarks.vram.measure, lifeos.pods.vram.fake):
        assert (module.training_steps, module.sampling_steps) == (training_steps, sampling_steps)


def test_a_gpu_is_no_processor_to_whoever_asks():
    assert GPU == "cuda"
    assert GPU != "cpu"
    assert torch.empty(1, device=GPU).device.type == "cpu"


def test_two_traces_are_equal_whenever_the_garbage_collector_comes(usual, random_bases, make_recipe):
    before = gc.get_threshold()
    gc.set_threshold(50)
    try:
        assert traced(random_bases["sdxl"], make_recipe("sdxl")) == usual
    finally:
        gc.set_threshold(*before)
    assert gc.isenabled()
