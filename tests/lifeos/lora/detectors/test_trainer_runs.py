"""What logs of trainers show over many lines, and what only looks like it."""

import pytest

from lifeos.lora.detectors.trainer_runs import d_fell, d_stuck, memory_ends_while_sampling, steps_start_again
from lifeos.lora.training_text import TrainingText

BAR = "Steps:  10%|#         | {}/{} [00:01<00:09, loss=0.1]"
OUT_OF_MEMORY = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."


def log(tmp_path, lines):
    return TrainingText(tmp_path / "train.log", "\n".join(lines))


@pytest.mark.parametrize(("lines", "found"), [
    ([f"step={n} d=1e-06" for n in range(1, 101)], "1.0e-06 at most after 100 steps"),
    ([f"step={n} d=1e-06" for n in range(1, 100)], None),  # too short to tell
    ([f"steps: 1%|#| {n}/2000 [d=1e-06]" for n in range(1, 151)], None),  # a tenth of 2000 is not reached
    ([f"step={n} d={1e-6 * n}" for n in range(1, 101)], None),
    # Every tenth step is logged.
    ([f"step={n} d=1e-06" for n in range(10, 210, 10)], "after 200 steps"),
    # A rate that falls is no d that does not grow.
    ([f"lr={1 - n / 101:.3g}, d*lr={(1 - n / 101) * 1e-3:.3g}" for n in range(100)], None),
    ([f"lr=1.0, d*lr=1e-06 at {n}" for n in range(100)], "1.0e-06 at most"),
    (["lr=1e-6"] * 200, None),  # AdamW
])  # fmt: skip
def test_a_d_that_never_grows(tmp_path, lines, found):
    said = d_stuck(log(tmp_path, lines))
    assert said is None if found is None else found in said


@pytest.mark.parametrize(("values", "found"), [
    ([1e-6, 1e-4, 1e-3, 1e-6], "from 1.0e-03 to 1.0e-06 at reading 4"),
    ([1e-6, 1e-4, 9e-5], None),
    ([1e-3, 1e-3], None),
])  # fmt: skip
def test_a_d_that_falls(tmp_path, values, found):
    said = d_fell(log(tmp_path, [f"d={value}" for value in values]))
    assert said is None if found is None else found in said


def test_a_rate_that_falls_is_no_d_that_falls(tmp_path):
    lines = [f"lr={rate}, d*lr={rate * 1e-3}" for rate in (1.0, 0.5, 0.01, 1.0, 0.0)]
    assert d_fell(log(tmp_path, lines)) is None


@pytest.mark.parametrize(("lines", "found"), [
    (["Resuming from checkpoint checkpoint-500", BAR.format(1, 1000)], "at step 500 and counts on from 1 of 1000"),
    (["Resuming from checkpoint checkpoint-500", BAR.format(501, 1000)], None),
    (["Resuming from checkpoint checkpoint-500", BAR.format(500, 500)], "nothing is left to train"),
    (["resume training from local state: out/x-step00000150-state", BAR.format(0, 400)], "resumes at step 150"),
    # Which step the fourth epoch ended with is not said.
    (["resume training from local state: out/x-000004-state", BAR.format(0, 400)], None),
    ([BAR.format(500, 1000), BAR.format(1, 1000)], None),
    # It went on, and what follows is another run.
    (["Resuming from checkpoint checkpoint-500", BAR.format(501, 1000), BAR.format(1, 300)], None),
    # Other bars count other things.
    (["Resuming from checkpoint checkpoint-500", "Loading: 10%|#| 1/7 [00:01]", BAR.format(501, 1000)], None),
])  # fmt: skip
def test_steps_that_start_again(tmp_path, lines, found):
    said = steps_start_again(log(tmp_path, lines))
    assert said is None if found is None else found in said


@pytest.mark.parametrize(("lines", "found"), [
    ([BAR.format(1, 9), "Running validation...", "  0%| | 0/25", OUT_OF_MEMORY], True),
    ([BAR.format(1, 9), '  File "train.py", line 9, in log_validation', OUT_OF_MEMORY], True),
    ([BAR.format(1, 9), "generating sample images at step: 1", OUT_OF_MEMORY], True),
    ([BAR.format(1, 9), OUT_OF_MEMORY], False),  # in training itself: another failure
    (["Running validation...", BAR.format(2, 9), OUT_OF_MEMORY], False),
    ([BAR.format(1, 9), "Running validation...", BAR.format(2, 9)], False),
])  # fmt: skip
def test_memory_that_ends_while_sampling(tmp_path, lines, found):
    assert (memory_ends_while_sampling(log(tmp_path, lines)) is not None) == found
