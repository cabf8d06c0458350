from types import SimpleNamespace

import pytest

from lifeos.parameter_sweep import ray_node


@pytest.mark.parametrize(("device", "at_once"), [("cpu", 7), ("cuda", 3)])
def test_a_gpu_draws_as_many_at_once_as_the_persona_says_however_large_a_shard_is(monkeypatch, device, at_once):
    seen = []
    monkeypatch.setattr(ray_node, "render_images", lambda *_, batch_size, **__: seen.append(batch_size))
    asked = SimpleNamespace(plan=SimpleNamespace(device=device, batch=3, backend="diffusers"))
    ray_node.draw_with_lora(1)(asked, [None] * 7, None)
    assert seen == [at_once]
