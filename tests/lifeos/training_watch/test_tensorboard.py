import sys
from types import ModuleType

import pytest

from lifeos.lora.training_log import LogEntry
from lifeos.training_watch import tensorboard
from lifeos.training_watch.tensorboard import EVENTS_FOLDER, write_event_file, writes_events
from tests.lifeos.training_watch.test_curve import point


def log(count):
    return [LogEntry(step, 0.1 * step, 1e-3, 0.2, 3.0, None, 0.5) for step in range(1, count + 1)]


@pytest.fixture
def written(monkeypatch):
    """Stands for the package: [folder, first step that is kept, name's end, what was written, closed] a file."""
    seen = []

    class SummaryWriter:
        def __init__(self, folder, purge_step, filename_suffix):
            self.file = [folder, purge_step, filename_suffix, [], False]
            seen.append(self.file)

        def add_scalar(self, name, value, step):
            self.file[3].append((name, value, step))

        def close(self):
            self.file[4] = True

    module = ModuleType("tensorboardX")
    module.SummaryWriter = SummaryWriter
    monkeypatch.setitem(sys.modules, "tensorboardX", module)
    monkeypatch.setattr(tensorboard, "find_spec", lambda name: object())
    return seen


def test_every_step_and_every_look_is_written_once(tmp_path, written):
    write_event_file(tmp_path, [point(2)], log(2))
    write_event_file(tmp_path, [point(2), point(4, skin_z=None)], log(4))
    # What a killed run wrote from the first of its steps on is taken off the chart.
    assert [file[:3] for file in written] == [
        [str(tmp_path / EVENTS_FOLDER), 1, ".00000002"], [str(tmp_path / EVENTS_FOLDER), 3, ".00000004"]
    ]  # fmt: skip
    values = [value for file in written for value in file[3]]
    assert [step for name, _, step in values if name == "training/loss"] == [1, 2, 3, 4]
    assert [(value, step) for name, value, step in values if name == "judge/likeness"] == [(0.5, 2), (0.5, 4)]
    assert [step for name, _, step in values if name == "judge/skin_z"] == [2]
    assert not [name for name, *_ in values if name in ("training/d", "training/step")]
    assert all(file[4] for file in written)


def test_without_the_package_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(tensorboard, "find_spec", lambda name: None)
    write_event_file(tmp_path, [point(2)], log(2))
    assert list(tmp_path.iterdir()) == []
    assert not writes_events()


@pytest.mark.skipif(not writes_events(), reason="the package is not in this environment")
def test_the_real_package_leaves_a_file_a_look(tmp_path):
    write_event_file(tmp_path, [point(2)], log(2))
    write_event_file(tmp_path, [point(2), point(4)], log(4))
    files = sorted((tmp_path / EVENTS_FOLDER).iterdir())
    assert len(files) == 2
    assert all(b"judge/likeness" in file.read_bytes() and b"training/seconds" in file.read_bytes() for file in files)
