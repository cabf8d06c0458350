import contextlib
import errno
import threading

import filelock
import pytest
from filelock import FileLock, Timeout

from evals import history_lock
from evals.errors import InputError
from evals.history_lock import locked


@pytest.fixture
def log(tmp_path):
    return tmp_path / "eval_history.jsonl"


@pytest.fixture
def lock(log):
    """The file of the lock, as a writer before left it."""
    path = log.with_name(log.name + ".lock")
    path.touch()
    return path


def is_taken(lock):
    try:
        FileLock(lock, blocking=False).acquire()
    except Timeout:
        return True
    return False


def test_writers_come_one_at_a_time(log, lock):
    inside, most = 0, 0

    def write():
        nonlocal inside, most
        for _ in range(20):
            with locked(log):
                inside += 1
                most = max(most, inside)
                threading.Event().wait(0.0005)
                inside -= 1

    writers = [threading.Thread(target=write) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert most == 1


@pytest.mark.parametrize("is_there", [True, False])
def test_it_is_the_lock_that_filelock_takes_and_ends_with_the_block(log, lock, is_there):
    if not is_there:
        lock.unlink()
    with contextlib.suppress(ZeroDivisionError), locked(log):
        assert is_taken(lock)
        raise ZeroDivisionError
    assert not is_taken(lock)


def test_a_history_that_stays_taken_is_refused(log, lock, monkeypatch):
    monkeypatch.setattr(history_lock, "LOCK_SECONDS", 0.1)
    with FileLock(lock), pytest.raises(InputError, match=r"one locked for 0\.1 s; next: wait"), locked(log):
        pytest.fail("two writers at once")


def test_a_lock_whose_file_was_removed_meanwhile_keeps_nobody_out_and_is_taken_anew(log, lock, monkeypatch):
    real = filelock.lock_descriptor

    def late(descriptor, **how):
        lock.unlink()
        return real(descriptor, **how)

    monkeypatch.setattr(filelock, "lock_descriptor", late)
    with locked(log):
        assert is_taken(lock)


def test_where_a_file_system_has_no_locks_the_other_way_is_taken(log, lock, monkeypatch):
    def without(descriptor, **how):
        raise OSError(errno.ENOSYS, "no locks here")

    monkeypatch.setattr(filelock, "lock_descriptor", without)
    with locked(log):
        assert is_taken(lock)


def test_a_free_lock_is_taken_without_what_filelock_does_around_it(log, lock, monkeypatch):
    monkeypatch.setattr(filelock, "FileLock", None)
    with locked(log):
        assert is_taken(lock)
