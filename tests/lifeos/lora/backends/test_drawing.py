import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lifeos.errors import InputError
from lifeos.lora.backends import drawing
from lifeos.lora.sample import missing_images, planned_images, sample_plan
from lifeos.lora.store import ImageStore

pytestmark = pytest.mark.filterwarnings("ignore")

ROOT = Path(__file__).parents[4]
KINDS = ("comfyui", "a1111")


@pytest.fixture
def large_base(monkeypatch):
    """The base counts as one that is not run here unless asked for."""
    monkeypatch.setattr(drawing, "SMALL_BASE_BYTES", 0)


def pixels(result):
    return np.stack([np.asarray(Image.open(image.path)) for image in result.images]).astype(int)


def refused(plan, base, lora, folder, said):
    store = ImageStore(folder)
    with pytest.raises(InputError, match=said) as caught:
        sample_plan(plan, base, lora, store, threads=1)
    assert "\n" not in str(caught.value)
    assert "; next: " in str(caught.value)
    assert missing_images(plan, base, lora, store) == len(plan.requests())


@pytest.mark.parametrize(("kind", "sampler"), [
    ("comfyui", "dpmsolver++"), ("comfyui", "ddim"), ("a1111", "dpmsolver++"), ("a1111", "ddim"), ("a1111", "euler")])
def test_a_server_draws_what_diffusers_draws(serve, make_plan, converted, lora, tmp_path, kind, sampler):
    server, seen = serve(kind), []
    plan = make_plan(server, kind, sampler=sampler, strength=0.8)
    store = ImageStore(tmp_path)
    result = sample_plan(plan, converted, lora, store, lambda *told: seen.append(told), threads=1)
    here = sample_plan(replace(plan, backend="diffusers", server=None), converted, lora, store, threads=1)
    assert np.abs(pixels(result) - pixels(here)).max() <= 2
    assert {image.key for image in result.images}.isdisjoint(image.key for image in here.images)
    assert result.made == 4
    assert seen == [("sampling", done, 4) for done in range(5)]
    facts = store.facts(result.images[-1].key)
    shown = ["known answer"] if kind == "comfyui" else ["sha256", "known answer"]
    assert facts["backend"] == kind
    assert facts["backend_version"] == {"comfyui": "0.9.9", "a1111": "v1.99"}[kind]
    assert facts["shown_by"] == {"base": shown, "lora": shown}
    # What the server wrote into the file stays out of the store.
    assert set(Image.open(result.images[0].path).text) == {"lifeos"}
    # Drawn twice, bare, at strength 0 and 1, and the other three.
    assert server.drawn == 8
    assert sample_plan(plan, converted, lora, store).made == 0
    assert server.drawn == 8


@pytest.mark.parametrize("kind", KINDS)
def test_the_base_alone_needs_no_lora_on_the_server(serve, make_plan, converted, lora, tmp_path, kind):
    server = serve(kind)
    server.loras.clear()
    plan = make_plan(server, kind, strength=0.0)
    result = sample_plan(plan, converted, lora, ImageStore(tmp_path), threads=1)
    assert (result.made, server.drawn) == (4, 5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("lies", "said"), [
    ({"noise": True}, "accepted the same image for the same request"),
    ({"no_lora": True}, "accepted another image with the LoRA than without"),
    ({"size": True}, "accepted 32x32 pixels, got 32x24"),
    ({"jpeg": True}, "accepted a PNG file"),
    ({"html": True}, r"got 502: a web page \(Bad gateway\)"),
    ({"fails": True}, "CUDA out of memory")])  # fmt: skip
def test_a_server_that_fails_or_lies_is_refused_and_nothing_is_kept(
    serve, make_plan, converted, lora, tmp_path, kind, lies, said
):
    refused(make_plan(serve(kind, **lies), kind), converted, lora, tmp_path, said)


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_base_behind_the_right_name_and_hash_is_found_by_the_known_answer(
    serve, make_plan, converted, another, lora, tmp_path, kind
):
    plan = make_plan(serve(kind, other_base=another), kind)
    refused(plan, converted, lora, tmp_path, r"accepted the base's image within 4 of 255 of .*, got 4\d")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lie", ["other_lora", "strength"])
def test_a_wrong_lora_behind_the_right_name_and_hash_is_found_by_the_known_answer(
    serve, make_plan, make_lora, converted, lora, tmp_path, kind, lie
):
    lies = {"other_lora": make_lora("b.safetensors", seed=4)} if lie == "other_lora" else {"strength": 0.5}
    plan = make_plan(serve(kind, **lies), kind)
    refused(plan, converted, lora, tmp_path, r"accepted the LoRA's image within [\d.]+ of 255")


def one_a_call(server, plan, base, lora, folder):
    """Draw the images of a plan in as many calls, then one of another plan; gives what each call cost."""
    store, held = ImageStore(folder), drawing.HeldServer(threads=1)
    for each in (plan, replace(plan, guidance=2.0)):
        asked = planned_images(each, base, lora, store)
        for image in asked.images if each is plan else asked.images[:1]:
            before = server.drawn
            drawing.draw_on_server(asked, [image], store, lambda *_: None, held)
            yield server.drawn - before


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_shows_its_models_once_for_a_plan_and_one_image_a_call_from_then_on(
    serve, make_plan, converted, lora, tmp_path, kind
):
    server = serve(kind)
    plan = make_plan(server, kind, strength=0.8)
    # Drawn twice, bare, at strength 0 and 1; then one and the image itself; another plan is shown anew.
    assert list(one_a_call(server, plan, converted, lora, tmp_path / "held")) == [5, 2, 2, 2, 5]
    plainly = sample_plan(plan, converted, lora, ImageStore(tmp_path / "plain"), threads=1)
    store = ImageStore(tmp_path / "held")
    assert all(store.path_for(image.key).read_bytes() == image.path.read_bytes() for image in plainly.images)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lie", ["other_base", "other_lora", "no_lora", "strength", "noise"])
def test_a_server_that_changes_after_it_was_believed_is_found_at_the_next_call(
    serve, make_plan, make_lora, converted, another, lora, tmp_path, kind, lie
):
    # No call after the first compares with an image drawn here, and a hash is told of what is not there any more.
    server = serve(kind)
    calls = one_a_call(server, make_plan(server, kind, strength=0.8), converted, lora, tmp_path)
    assert next(calls) == 5
    server.lies[lie] = {"other_base": another, "other_lora": make_lora("b.safetensors", seed=4)}.get(lie, 0.9)
    with pytest.raises(InputError, match=r"accepted the image that it showed its models with, .*; next: leave"):
        next(calls)
    assert len([*tmp_path.rglob("*.png")]) == 3  # one asked for, two drawn here


def test_a_hash_that_is_not_told_any_more_is_not_taken_as_told(
    serve, make_plan, converted, lora, tmp_path, large_base
):
    server = serve("a1111")
    calls = one_a_call(server, make_plan(server, "a1111"), converted, lora, tmp_path)
    next(calls)
    server.lies["lora_hash"] = None
    with pytest.raises(InputError, match=r"shown to be the server's LoRA, .*not evaluated"):
        next(calls)


def test_without_a_known_answer_equal_hashes_are_believed(
    serve, make_plan, converted, another, lora, tmp_path, large_base
):
    # What the page says that hashes alone cannot find.
    result = sample_plan(make_plan(serve("a1111", other_base=another), "a1111"), converted, lora, ImageStore(tmp_path))
    assert result.made == 4


def test_a_server_in_bfloat16_is_near_enough(serve, make_plan, converted, lora, tmp_path):
    assert sample_plan(make_plan(serve("comfyui", dtype="bfloat16")), converted, lora, ImageStore(tmp_path)).made == 4


@pytest.mark.parametrize(("lies", "said"), [
    ({"base_sha256": "bad" + 61 * "0"}, "among its|one checkpoint|accepted a checkpoint with SHA-256 c0ffee111111"),
    ({"lora_hash": "0123456789ab"}, "accepted a LoRA with the hash of .*, got 0123456789ab"),
    ({"info": {"sd_model_hash": "0123456789"}}, r"accepted an image by tiny.safetensors \(c0ffee1111\), got one by"),
    ({"info": {"seed": 6}}, "accepted an image of seed '5', got '6'"),
    ({"info": {"all_prompts": ["photo <lora:other:1>"]}}, "accepted an image of prompt"),
    ({"parameters": ", Schedule type: Karras"}, "an infotext with Schedule type: Simple, got Karras"),
    ({"parameters": ", RNG: NV"}, "an infotext with RNG: CPU, got NV"),
    ({"info": {"infotexts": ["photo\nSteps: 4, RNG: CPU"]}}, "an infotext with Schedule type: Simple, got nothing"),
    ({"info": {"infotexts": []}}, "accepted info with infotexts")])  # fmt: skip
def test_what_webui_says_of_an_image_must_be_what_was_asked_for(
    serve, make_plan, converted, lora, tmp_path, lies, said
):
    refused(make_plan(serve("a1111", **lies), "a1111"), converted, lora, tmp_path, said)


@pytest.mark.parametrize(("lies", "said"), [
    ({"base_sha256": None}, "abc shown to be the server's checkpoint, .* got neither: not evaluated"),
    ({"lora_hash": None}, "anna.safetensors shown to be the server's LoRA, .* got neither: not evaluated")])
def test_what_webui_does_not_say_is_not_evaluated(serve, make_plan, converted, lora, tmp_path, large_base, lies, said):
    refused(make_plan(serve("a1111", **lies), "a1111"), converted, lora, tmp_path, said)


def test_a_base_of_unknown_origin_and_comfyui_take_a_known_answer(
    serve, make_plan, converted, unrecorded, lora, tmp_path, large_base
):
    said = r"shown to be the server's checkpoint, .*not evaluated; next: sampling_known_answer = \"always\""
    plan = make_plan(serve("a1111"), "a1111", checkpoint="tiny.safetensors")
    refused(plan, unrecorded, lora, tmp_path, said)
    plan = make_plan(serve("comfyui"))
    refused(plan, converted, lora, tmp_path, said)
    asked = make_plan(serve("comfyui"), known_answer=True)
    assert sample_plan(asked, converted, lora, ImageStore(tmp_path), threads=1).made == 4


def test_a_lora_too_weak_to_tell_is_shown_by_its_hash_alone(serve, make_plan, make_lora, converted, tmp_path):
    weak, server, store = make_lora("anna.safetensors", size=0.03), serve("a1111"), ImageStore(tmp_path)
    server.loras["anna"] = weak
    result = sample_plan(make_plan(server, "a1111"), converted, weak, store, threads=1)
    shown = store.facts(result.images[0].key)["shown_by"]
    assert shown == {"base": ["sha256", "known answer"], "lora": ["sha256"]}


def test_a_lora_too_weak_to_tell_is_not_shown_by_an_answer(serve, make_plan, make_lora, converted, tmp_path):
    weak = make_lora("anna.safetensors", size=0.03)
    server = serve("comfyui")
    server.loras["anna.safetensors"] = weak
    refused(make_plan(server), converted, weak, tmp_path, "shown to be the server's LoRA, .*not evaluated")


@pytest.mark.parametrize(("lies", "said"), [
    ({"graph": True}, "accepted the graph that was asked for, in the image"),
    ({"cache": True}, "accepted an image that was drawn anew, got one out of the server's cache"),
    ({"missing": True}, "got 400: Prompt outputs failed validation"),
    ({"forgets": True}, "accepted a run in the server's queue or history")])
def test_what_comfyui_says_of_a_run_must_be_what_was_asked_for(serve, make_plan, converted, lora, tmp_path, lies, said):
    refused(make_plan(serve("comfyui", **lies)), converted, lora, tmp_path, said)


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_dies_half_way_leaves_what_is_there_and_the_rest_is_drawn_then(
    serve, make_plan, converted, lora, tmp_path, kind
):
    store, server = ImageStore(tmp_path), serve(kind, dies_after=6)
    plan = make_plan(server, kind)
    with pytest.raises(InputError, match=r"accepted a connection for .* 3 times; next: start the server"):
        sample_plan(plan, converted, lora, store, threads=1)
    # Strength 1 is the plan's own: one probe less. ComfyUI's sixth image was drawn, and not fetched any more.
    there = 4 - missing_images(plan, converted, lora, store)
    assert there == {"comfyui": 2, "a1111": 3}[kind]
    again = serve(kind)
    result = sample_plan(make_plan(again, kind), converted, lora, store, threads=1)
    assert (result.made, result.reused) == (4 - there, there)


def test_an_image_that_comes_in_drops_is_not_waited_for(serve, make_plan, converted, lora, tmp_path):
    plan = make_plan(serve("a1111", trickle=0.2), "a1111", timeout=0.5)
    refused(plan, converted, lora, tmp_path, r"accepted an answer to /sdapi/v1/sd-models within 0\.5 s, got none")


def test_a_server_that_hangs_is_left_at_the_limit(serve, make_plan, converted, lora, tmp_path):
    plan = make_plan(serve("comfyui", hang=0.5), timeout=0.1)
    refused(plan, converted, lora, tmp_path, r"accepted an answer to /system_stats within 0\.1 s, got none")


def test_no_server_named_and_no_server_there(make_plan, converted, lora, tmp_path):
    refused(make_plan(), converted, lora, tmp_path, "sampling_server: accepted the address")
    refused(make_plan("http://127.0.0.1:9"), converted, lora, tmp_path, "accepted a connection for /system_stats")


@pytest.mark.parametrize("kind", KINDS)
def test_models_that_the_server_does_not_list(serve, make_plan, make_lora, converted, lora, tmp_path, kind):
    absent = make_lora("berta.safetensors")
    said = r"berta.* among its lora.*; next: copy .*berta\.safetensors there as lifeos-[0-9a-f]{16}\.safetensors"
    refused(make_plan(serve(kind), kind), converted, absent, tmp_path, f"(?i){said}")
    refused(make_plan(serve(kind), kind, checkpoint="none.safetensors"), converted, lora, tmp_path, "none.safetensors")


@pytest.mark.parametrize(("changes", "said"), [
    ({"sampler": "sde-dpmsolver++"}, "accepted a sampler that it has too"),
    ({"vae_dtype": "bfloat16"}, "accepted vae_dtype float32 .* got bfloat16"),
    ({"vae_tiling": True}, "got float32 with vae_tiling"),
    ({"steps": 7}, "accepted steps for which its noise levels are ours, such as 8"),
    ({"width": 36}, "size: accepted multiples of"),
    ({"family": "flux"}, "accepted a base of tiny_base, sd15, sdxl, got flux")])
def test_what_has_no_equal_there_is_refused_before_the_server_is_asked(
    serve, make_plan, converted, lora, tmp_path, changes, said
):
    server = serve("comfyui")
    refused(make_plan(server, **changes), converted, lora, tmp_path, said)
    assert not server.requests


def test_a_prompt_that_would_load_another_lora_is_refused_before_anything_is_drawn(
    serve, make_plan, converted, lora, tmp_path
):
    from lifeos.lora.sample_plan import PlannedPrompt

    texts = (PlannedPrompt("B1", "photo"), PlannedPrompt("B2", "a <lora:x:1>"))
    server = serve("a1111")
    refused(make_plan(server, "a1111", prompts=texts), converted, lora, tmp_path, "accepted text without < and >")
    long = (PlannedPrompt("B1", "red " * 40),)
    refused(make_plan(server, "a1111", prompts=long), converted, lora, tmp_path, "accepted 20 tokens, got")
    assert server.drawn == 0


def test_no_torch_is_imported_where_hashes_suffice(serve, make_plan, converted, lora, tmp_path):
    import json

    code = ("import sys, json; from pathlib import Path; from lifeos.lora.sample import *;"
            "from lifeos.lora.backends import drawing; drawing.SMALL_BASE_BYTES = 0;"
            "plan = SamplePlan.from_json(json.loads(sys.argv[1]));"
            "from lifeos.lora.store import ImageStore;"
            "result = sample_plan(plan, Path(sys.argv[2]), Path(sys.argv[3]), ImageStore(Path(sys.argv[4])));"
            "assert result.made == 4;"
            "heavy = {'torch', 'diffusers', 'transformers', 'peft'} & set(sys.modules); assert not heavy, heavy")
    plan = json.dumps(make_plan(serve("a1111"), "a1111").to_json())
    subprocess.run([sys.executable, "-c", code, plan, str(converted), str(lora), str(tmp_path / "s")], check=True,
                   cwd=ROOT)  # fmt: skip
