import sys
from types import ModuleType

import pytest

from lifeos.lora.training_log import LogEntry
from lifeos.training_watch import tensorboard
from lifeos.training_watch.tensorboard import EVENTS_FOLDER, EventFiles, writes_events
from tests.lifeos.training_watch.test_curve import point


def log(count):
    return [LogEntry(step, 0.1 * step, 1e-3, 0.2, 3.0, None, 0.5) for step in range(1, count + 1)]


@pytest.fixture
def written(monkeypatch):
    """Stands for the package: what was written, by (folder's name, first step that is kept)."""
    seen = {}

    class SummaryWriter:
        def __init__(self, folder, purge_step):
            self.values = seen.setdefault((folder, purge_step), [])

        def add_scalar(self, name, value, step):
            self.values.append((name, value, step))

        def flush(self):
            pass

    module = ModuleType("tensorboardX")
    module.SummaryWriter = SummaryWriter
    monkeypatch.setitem(sys.modules, "tensorboardX", module)
    monkeypatch.setattr(tensorboard, "find_spec", lambda name: object())
    return seen


def test_every_step_and_every_look_is_written_once(tmp_path, written):
    events = EventFiles()
    events.add(tmp_path, [point(2)], log(2))
    events.add(tmp_path, [point(2), point(4, skin_z=None)], log(4))
    ((place, values),) = written.items()
    assert place == (str(tmp_path / EVENTS_FOLDER), 1)
    assert [step for name, _, step in values if name == "training/loss"] == [1, 2, 3, 4]
    assert [(value, step) for name, value, step in values if name == "judge/likeness"] == [(0.5, 2), (0.5, 4)]
    assert [step for name, _, step in values if name == "judge/skin_z"] == [2]
    assert not [name for name, *_ in values if name in ("training/d", "training/step")]


def test_a_resumed_run_takes_what_it_repeats_off_the_chart(tmp_path, written):
    EventFiles().add(tmp_path, [point(2), point(4)], log(4))
    assert list(written) == [(str(tmp_path / EVENTS_FOLDER), 3)]
    assert [step for name, _, step in next(iter(written.values())) if name == "training/loss"] == [3, 4]


def test_without_the_package_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(tensorboard, "find_spec", lambda name: None)
    EventFiles().add(tmp_path, [point(2)], log(2))
    assert list(tmp_path.iterdir()) == []
    assert not writes_events()


@pytest.mark.skipif(not writes_events(), reason="the package is not in this environment")
def test_the_real_package_leaves_a_file_of_events(tmp_path):
    EventFiles().add(tmp_path, [point(2)], log(2))
    (file,) = (tmp_path / EVENTS_FOLDER).iterdir()
    assert b"judge/likeness" in file.read_bytes()
