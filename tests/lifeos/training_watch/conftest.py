"""The random base, dataset and recipe of training, and a judge that reads likeness off a picture's brightness."""

from types import SimpleNamespace

import numpy as np
import pytest

from evals.images import read_image
from evals.selection import Candidate
from lifeos.candidate_judge import JudgedCandidate
from lifeos.lora.recipe import EarlyStopSettings
from lifeos.lora.sample import sample_plan
from lifeos.lora.sample_plan import PlannedPrompt, SamplePlan
from lifeos.lora.store import ImageStore
from lifeos.measure import ImageToMeasure
from lifeos.training_watch.watcher import PersonaWatcher
from tests.lifeos.lora.conftest import base, dataset, recipe

__all__ = ["base", "dataset", "recipe"]

PLAN = SamplePlan((PlannedPrompt("A1", "a photo of zeph person"), PlannedPrompt("A2", "zeph person")), (5,), "ddim", 2,
                  1.0, 32, 32)  # fmt: skip


class BrightnessJudge:
    """Likeness is the mean of a picture's pixels; ``script`` overrides likeness and copies by step."""

    training = ()

    def __init__(self, script=None):
        self.script = script or {}

    def judge(self, name, images, strength, progress):
        step = int(name.removeprefix("step "))
        likeness, copies, ruled_out = self.script.get(step, (None, 0, ()))
        rows = []
        for number, image in enumerate(images):
            value = float(np.mean(read_image(image.path))) / 255 if likeness is None else likeness
            metrics = {"likeness": value, "face_count": 1.0, "skin_z": None, "copy_image": float(number < copies)}
            rows.append({"metrics": metrics})
        mean = float(np.mean([row["metrics"]["likeness"] for row in rows]))
        ruled = dict.fromkeys(ruled_out or (["copy_image"] if copies else []), "made to")
        return JudgedCandidate(Candidate(name, mean, None, ruled, len(rows)), rows, [{} for _ in rows])


@pytest.fixture
def watching(tmp_path):
    """Make watchers of one store; ``made`` counts the images drawn, ``published`` the calls."""
    seen = SimpleNamespace(made=0, published=[])

    def sample(plan, base, lora):
        import torch

        torch.rand(1)  # as a base may that fills a layer at random before its weights are read
        result = sample_plan(plan, base, lora, ImageStore(tmp_path / "samples"), threads=1)
        seen.made += result.made
        return [ImageToMeasure(image.path, image.request.prompt.id, image.request.seed) for image in result.images]

    def make(recipe, script=None):
        return PersonaWatcher(
            "w" * 64, recipe, PLAN, BrightnessJudge(script), sample,
            lambda folder, points, log: seen.published.append((len(points), len(log))),
        )  # fmt: skip

    return SimpleNamespace(of=make, seen=seen)


@pytest.fixture
def stopping(recipe):
    """Nine steps, each looked at, that may end early."""
    return recipe.model_copy(
        update={"steps": 9, "sample_every": 1, "early_stop": EarlyStopSettings(window=2, margin=0.05)}
    )
