from types import SimpleNamespace

import numpy as np
import pytest

from evals import content_hash
from lifeos.errors import InputError
from lifeos.lora import families
from lifeos.lora.sample import encode_png, planned_images
from lifeos.lora.sample_plan import PlannedPrompt, SamplePlan
from lifeos.lora.store import ImageStore
from lifeos.parameter_sweep import rendering
from lifeos.parameter_sweep.local_engine import LocalEngine, draw_tasks
from lifeos.parameter_sweep.rendering import RenderTask, planned_tasks
from lifeos.persona import load_persona

PNG = encode_png(np.zeros((8, 8, 3), dtype=np.uint8))


@pytest.fixture
def tasks(inputs, lora):
    base = load_persona(inputs.persona).base

    def plan(*prompts, steps=2):
        planned = tuple(PlannedPrompt(f"P{number}", f"text {number}") for number in prompts)
        return RenderTask(SamplePlan(planned, (0, 1), "ddim", steps, 1.0, 64, 64), base, lora)

    return [plan(0, 1), plan(1, 2), plan(0, 1, steps=4)]


def test_a_shared_image_is_drawn_once_and_progress_counts_different_ones(tasks, tmp_path):
    calls, told, store = [], [], ImageStore(tmp_path / "samples")

    def sample(plan, base, lora, store, progress):
        lacking = planned_images(plan, base, lora, store).lacking(store)
        calls.append([(image.request.prompt.id, image.request.seed) for image in lacking])
        total = len(plan.requests())
        for number, image in enumerate(lacking, 1):
            store.put(image.key, PNG, {})
            progress("sampling", total - len(lacking) + number, total)
        return SimpleNamespace(made=len(lacking))

    assert draw_tasks(tasks, store, lambda *event: told.append(event), sample) == 10
    assert [len(call) for call in calls] == [4, 2, 4]
    assert calls[1] == [("P2", 0), ("P2", 1)]
    assert told == [("sampling", done, 10) for done in range(1, 11)]


def test_no_child_is_started_for_what_is_there_and_one_for_all_that_lacks(tasks, tmp_path, monkeypatch):
    children, told, store = [], [], ImageStore(tmp_path / "samples")

    def obtain(folder, module, request, attempt, *, known, progress, grace_seconds):
        assert known() is None
        children.append((module, len(request["tasks"]), len(request["lacking"]), request["total"]))
        for key in request["lacking"][lost:]:
            store.put(key, PNG, {})
        return {"made": len(request["lacking"]) - lost}

    monkeypatch.setattr(rendering, "obtain", obtain)
    lost = 1
    with pytest.raises(InputError, match=r"samples: accepted 10 images that were drawn, got 9; next: the same"):
        LocalEngine().render(tasks, tmp_path, lambda *_: None)
    lost = 0
    done = LocalEngine().render(tasks, tmp_path, lambda *event: told.append(event))
    assert (done.made, done.reused) == (1, 9)
    again = LocalEngine().render(tasks, tmp_path, lambda *_: None)
    assert (again.made, again.reused) == (0, 10)
    assert children == [("lifeos.parameter_sweep.local_engine", 3, lacking, 10) for lacking in (10, 1)]
    assert told == [("sampling", 9, 10), ("sampling", 10, 10)]


def test_keys_are_those_that_sampling_gives(tasks, tmp_path):
    store = ImageStore(tmp_path)
    for task, planned in zip(tasks, planned_tasks(tasks, store), strict=True):
        whole = planned_images(task.plan, task.base, task.lora, store)
        assert [image.key for image in planned.images] == [image.key for image in whole.images]


def test_what_tasks_share_is_read_once(tasks, tmp_path, monkeypatch):
    read = []
    for module, name in ((families, "base_hash"), (content_hash, "hash_file")):
        real = getattr(module, name)
        monkeypatch.setattr(module, name, lambda path, name=name, real=real: read.append(name) or real(path))
    planned_tasks(tasks, ImageStore(tmp_path))
    assert sorted(read) == ["base_hash", "hash_file"]
