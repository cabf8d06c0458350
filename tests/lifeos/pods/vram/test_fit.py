"""The answer on pods of made-up sizes: fits or not, with changes and pods that were predicted."""

from dataclasses import replace

import pytest

from evals.verdict import Outcome
from lifeos.errors import InputError
from lifeos.pods.spec import load_pod
from lifeos.pods.vram.fit import advice, fit, memory_verdict, out_of_memory_advice, summary
from lifeos.pods.vram.limits import CONTEXT_BYTES, HEADROOM, limit_bytes
from lifeos.pods.vram.prediction import Sampling

MIB = 2**20
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory):
    return tmp_path_factory.mktemp("artifacts")


def pod_of(name, room_mib):
    """A pod whose GPU leaves ``room_mib`` to reserve."""
    pod = load_pod("a100-80")
    memory = -(-int(room_mib * MIB * (1 + HEADROOM) + CONTEXT_BYTES) // MIB)
    gpu = pod.gpu.model_copy(update={"memory_mib": memory, "memory_kind": "driver"})
    return pod.model_copy(update={"name": name, "gpu": gpu})


@pytest.fixture(scope="module")
def asked(random_bases, make_recipe, artifacts):
    def ask(room, rooms=(), **settings):
        recipe = make_recipe("sd15", batch_size=32, resolution={"sides": [64]}, **settings)
        pods = [pod_of(f"pod-{each}", each) for each in rooms]
        return fit(recipe, random_bases["sd15"], pod_of("asked", room), artifacts, pods=pods, sampling=Sampling())

    return ask


def test_a_recipe_that_fits_needs_no_advice(asked):
    found = asked(4000, rooms=(3000, 2000))
    assert found.fits is True
    assert (found.changes, found.exceeding, advice(found)) == ((), [], [])
    assert found.smallest_pod == "pod-2000"
    verdict = memory_verdict(lambda: found)
    assert verdict.outcome is Outcome.PASSED
    assert "unmeasured" in verdict.reason
    assert verdict.value < verdict.threshold


def test_changes_make_it_fit_when_they_are_made(asked, random_bases, make_recipe, artifacts):
    need = asked(4000).prediction.training.reserved_bytes / MIB
    found = asked(0.7 * need, rooms=(2 * need, need / 2, 1.1 * need))
    assert found.fits is False
    assert found.exceeding == ["training"]
    assert found.changes
    assert found.smallest_pod == f"pod-{1.1 * need}"
    verdict = memory_verdict(lambda: found)
    assert verdict.outcome is Outcome.FAILED
    for words in (found.changes[0].edit, "smallest pod that fits it as it is: pod-"):
        assert words in verdict.reason
    settings = {}
    for change in found.changes:
        for edit in change.edit.split(" and "):
            key, value = edit.split(" = ")
            assert "." not in key
            settings[key] = {"true": True}.get(value) or int(value)
    recipe = make_recipe("sd15", **{"batch_size": 32, "resolution": {"sides": [64]}, **settings})
    changed = fit(recipe, random_bases["sd15"], found.pod, artifacts, pods=[], sampling=Sampling())
    assert changed.fits is True


def test_sampling_that_does_not_fit_is_mended_by_the_sampler(random_bases, make_recipe, artifacts):
    def ask(room, **how):
        return fit(make_recipe("sd15"), random_bases["sd15"], pod_of("asked", room), artifacts, pods=[],
                   sampling=Sampling(width=256, height=256, **{"images": 8, **how}))  # fmt: skip

    need = ask(4000).prediction
    assert need.training.reserved_bytes < need.sampling.reserved_bytes
    room = (need.training.reserved_bytes + need.sampling.reserved_bytes) / 2 / MIB
    found = ask(room)
    assert found.exceeding == ["sampling"]
    assert found.changes == ()
    assert [change.edit for change in found.sampling_changes] == ["vae_slicing = true"]
    assert advice(found)[0].startswith("[sampler] vae_slicing = true (saves ")
    assert found.to_json()["sampling_fixes"][0]["edit"] == "vae_slicing = true"
    assert ask(room, vae_slicing=True).fits is True


def test_sampling_on_a_processor_takes_nothing_of_the_gpu(random_bases, make_recipe, artifacts):
    def ask(room, device, **settings):
        sampling = Sampling(width=256, height=256, images=8, device=device)
        return fit(make_recipe("sd15", **settings), random_bases["sd15"], pod_of("asked", room), artifacts, pods=[],
                   sampling=sampling)  # fmt: skip

    need = ask(4000, "cuda").prediction
    room = (need.training.reserved_bytes + need.sampling.reserved_bytes) / 2 / MIB
    assert ask(room, "cuda").fits is False
    found = ask(room, "cpu")
    assert (found.fits, found.to_json()["sampling"]) == (True, None)
    assert found.prediction.reserved_bytes == need.training.reserved_bytes
    assert "sampling nothing, which the processor does" in summary(found)
    assert any("sampling on the processor" in line for line in found.prediction.assumed)
    # Training that does not fit is not let through with it.
    assert ask(need.training.reserved_bytes / 2 / MIB, "cpu").fits is False
    # Looks are drawn by the process that trains, which holds its memory meanwhile.
    both = (need.training.reserved_bytes + need.sampling.reserved_bytes) / MIB
    assert ask(both - 1, "cuda").fits is True
    beside = ask(both - 1, "cuda", sample_every=5)
    assert (beside.fits, beside.exceeding) == (False, ["training", "sampling"])
    assert any("without sample_every" in line for line in advice(beside))
    assert ask(both + 1, "cuda", sample_every=5).fits is True
    assert ask(both - 1, "cpu", sample_every=5).fits is True


def test_sampling_that_no_change_helps_is_said_to_be(asked):
    found = replace(asked(4000), limit=1)
    assert found.exceeding == ["training", "sampling"]
    assert any(line.startswith("no change of the sampler") for line in advice(found))


def test_what_is_in_no_prediction_is_not_claimed(asked):
    found = asked(4000, rooms=(3000,), compile=True)
    assert (found.fits, found.smallest_pod, advice(found)) == (None, None, [])
    assert memory_verdict(lambda: found).outcome is Outcome.NOT_EVALUATED
    assert found.to_json()["fits"] is None


def test_what_cannot_be_read_is_not_evaluated():
    def judged():
        raise InputError("base: accepted a folder, got none; next: check base")

    assert memory_verdict(judged).outcome is Outcome.NOT_EVALUATED


def test_a_pod_without_bfloat16_is_not_offered_for_it(random_bases, make_recipe, artifacts):
    pod = pod_of("turing", 4000)
    turing = pod.model_copy(update={"gpu": pod.gpu.model_copy(update={"bf16": False, "capability": (7, 5)})})
    found = fit(make_recipe("sd15"), random_bases["sd15"], pod, artifacts, pods=[turing], sampling=Sampling())
    assert (found.fits, found.smallest_pod) == (True, None)


def test_a_recipe_for_the_processor_is_asked_about_on_the_gpu(random_bases, make_recipe, artifacts):
    found = fit(make_recipe("sd15", device="cpu"), random_bases["sd15"], pod_of("asked", 4000), artifacts, pods=[])
    assert found.recipe.device == "cuda"


def test_the_json_keeps_its_contract(asked):
    answer = asked(4000, rooms=(3000,)).to_json()
    assert answer["schema"] == "lifeos.vram/1"
    assert answer["measured"] is False
    assert answer["limit_bytes"] == pytest.approx(4000 * MIB, abs=MIB)
    assert answer["reserved_bytes"] >= answer["peak_bytes"] > 0
    assert (answer["fixes"], answer["smallest_pod"]) == ([], "pod-3000")


def test_context_and_headroom_are_taken_off():
    gpu = load_pod("a100-80").gpu.model_copy(update={"memory_mib": 10_000, "memory_kind": "driver"})
    assert limit_bytes(gpu) * (1 + HEADROOM) + CONTEXT_BYTES == pytest.approx(10_000 * MIB, abs=2)
    nominal = gpu.model_copy(update={"memory_kind": "nominal"})
    assert limit_bytes(nominal) < 0.94 * limit_bytes(gpu)


def test_whoever_ran_out_of_memory_gets_changes_that_were_predicted(random_bases, make_recipe, asked, artifacts):
    need = asked(4000).prediction.training.reserved_bytes
    with random_bases["sd15"].folder() as base:
        recipe = make_recipe("sd15", batch_size=32, resolution={"sides": [64]}).model_copy(update={"base": base})
        lines = out_of_memory_advice(recipe, int(0.7 * need * (1 + HEADROOM)) + CONTEXT_BYTES, artifacts)
        assert lines
        assert all("saves" in line and " = " in line for line in lines)
        nothing = out_of_memory_advice(recipe.model_copy(update={"compile": True}), need, artifacts)
    assert nothing[0].startswith("nothing is predicted: compile")


def test_the_summary_says_unmeasured(asked):
    assert "predicted, unmeasured" in summary(asked(4000))
