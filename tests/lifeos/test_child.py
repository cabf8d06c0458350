"""One child for equal requests: failures, kills, limits and several askers."""

import subprocess
import sys
import threading
import time

import pytest

from lifeos.child import ChildFailedError, obtain, read_result
from lifeos.settings import project_root

MODULE = "tests.lifeos.slow_child"


def request(tmp_path, **behaviour):
    return {"artifacts": str(tmp_path), **behaviour}


def runs(folder):
    return (folder / "runs.log").read_text(encoding="utf-8").count("run")


def ask(tmp_path, attempt="one", seconds=60.0, **behaviour):
    return obtain(tmp_path / "run", MODULE, request(tmp_path, **behaviour), attempt, timeout_seconds=seconds)


def test_a_result_is_made_once(tmp_path):
    assert ask(tmp_path) == {"answer": 42}
    assert ask(tmp_path, attempt="two") == {"answer": 42}
    assert runs(tmp_path / "run") == 1


def test_several_askers_share_one_child(tmp_path):
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(ask(tmp_path, pause=0.5))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [{"answer": 42}] * 3
    assert runs(tmp_path / "run") == 1


def test_a_failure_is_remembered_for_the_attempt_only(tmp_path):
    for _ in range(2):
        with pytest.raises(ChildFailedError, match="ZeroDivisionError"):
            ask(tmp_path, fail="crash")
    assert runs(tmp_path / "run") == 1
    assert ask(tmp_path, attempt="two") == {"answer": 42}


def test_an_input_error_keeps_its_line(tmp_path):
    with pytest.raises(ChildFailedError, match=r"^recipe: accepted x, got y; next: z$"):
        ask(tmp_path, fail="input")


def test_a_child_that_vanishes_and_one_that_never_ends(tmp_path):
    with pytest.raises(ChildFailedError, match="status 9"):
        ask(tmp_path, fail="vanish")
    with pytest.raises(ChildFailedError, match="ran past"):
        ask(tmp_path, attempt="two", seconds=1.5, pause=60)


def test_a_damaged_result_is_made_again(tmp_path):
    ask(tmp_path)
    path = tmp_path / "run" / "result.json"
    path.write_text(path.read_text(encoding="utf-8").replace("42", "43"), encoding="utf-8")
    assert read_result(tmp_path / "run") is None
    assert ask(tmp_path, attempt="two") == {"answer": 42}


def test_the_child_dies_with_the_one_who_asked(tmp_path):
    asker = "import sys, pathlib; from tests.lifeos.test_child import ask; ask(pathlib.Path(sys.argv[1]), pause=60)"
    process = subprocess.Popen([sys.executable, "-c", asker, str(tmp_path)], cwd=project_root())
    pid_file = tmp_path / "run" / "pid"
    _wait(pid_file.exists)
    pid = int(pid_file.read_text(encoding="ascii"))
    process.kill()
    process.wait()
    _wait(lambda: not _alive(pid))
    assert ask(tmp_path, attempt="two") == {"answer": 42}


def _wait(condition, seconds=30.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


def _alive(pid):
    import psutil

    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
