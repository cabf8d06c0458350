from dataclasses import replace

import pytest

from lifeos.errors import InputError
from lifeos.lora.backends.image_server import ImageServer
from lifeos.lora.sample_plan import PlannedPrompt, SamplePlan, image_key

PLAN = SamplePlan((PlannedPrompt("B01", "photo of a zeph person, facing left"),), (0,), "dpmsolver++", 4, 3.0, 32, 32)


def key(plan, lora="a" * 64):
    return image_key(plan, plan.requests()[0], "b" * 64, lora)


def test_keys_from_before_there_were_backends_stay():
    # As they were at 6c08658: stores and histories of that time name their images so.
    assert PLAN.content_hash == "edb8a1554c763bcfe62953ad31f3e93eb64dca4f6a2f45699058f1502d4d2447"
    assert key(PLAN) == "c0c339777563beeced32fc0990d57c114de0602c7aea62182b162623b6a25efb"
    assert key(PLAN, None) == "bc84114cc8e8685384fcf201836ae5e6304ae1f2258a9fa3aea29451e23b85c2"
    assert not {"backend", "server"} & set(PLAN.to_json())


def test_who_draws_is_part_of_the_plan_and_where_is_not():
    server = ImageServer("http://127.0.0.1:1", "x.safetensors", known_answer=True)
    plan = replace(PLAN, backend="comfyui", server=server)
    elsewhere = replace(plan, server=ImageServer("http://127.0.0.1:2"))
    assert plan == elsewhere
    assert plan.content_hash == elsewhere.content_hash
    assert key(plan) == key(elsewhere)
    different = {key(PLAN), key(plan), key(replace(plan, backend="a1111"))}
    assert len(different) == 3
    assert len({each.content_hash for each in (PLAN, plan, replace(plan, backend="a1111"))}) == 3
    # A child process is told where.
    assert SamplePlan.from_json(plan.to_json()).server == server
    assert SamplePlan.from_json(PLAN.to_json()) == PLAN


def test_another_backend_is_refused():
    with pytest.raises(InputError, match="backend: accepted diffusers, comfyui, a1111, got magic"):
        replace(PLAN, backend="magic")
