"""Budget, signals, exit status and the stop command; time is simulated, processes are real."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lifeos.pods import guard, supervise
from lifeos.pods.guard import follow
from lifeos.pods.supervise import EXIT_BUDGET, EXIT_NOT_STOPPED, RealClock, least_seconds
from lifeos.settings import project_root

if os.name != "posix":
    pytest.skip("pods run Linux", allow_module_level=True)

STOP = ["stop-the-pod"]
PATIENCE = 60.0  # seconds of a busy machine, not a measure of anything


class FakeClock:
    """Hours pass in no time, once ``ready`` exists; every wait also does what it is told."""

    def __init__(self, ready=None, stride=600.0, then=None):
        self.time, self.ready, self.stride, self.then = 0.0, ready, stride, then

    def now(self):
        return self.time

    def wait(self, process, seconds):
        if self.ready is not None:
            wait_for(self.ready.exists)
            self.ready = None
        if self.then is not None:
            then, self.then = self.then, None
            then()
        try:
            return process.wait(timeout=0.02)
        except subprocess.TimeoutExpired:
            self.time += self.stride
            return None


class Stopper:
    """A stop command that remembers its calls."""

    def __init__(self, works=True):
        self.works, self.calls = works, []

    def __call__(self, command):
        self.calls.append(list(command))
        return self.works


class NoGuard:
    """In place of the second process, where it is not what is tested."""

    def __init__(self, stop, grace=0.0):
        self.events = []

    def watch(self, group):
        self.events.append(group)

    def release(self):
        self.events.append("released")


@pytest.fixture
def alone(monkeypatch):
    monkeypatch.setattr(supervise, "Guard", NoGuard)


def wait_for(condition):
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, "the other process never came so far"
        time.sleep(0.02)


def run(script, *arguments, limit=float("inf"), stop=STOP, stopper=None, clock=None, grace=30.0):
    stopper = stopper or Stopper()
    command = ["sh", "-c", script, "sh", *map(str, arguments)]
    done = supervise.supervise(command, limit=limit, stop=stop, clock=clock, grace=grace, stopper=stopper)
    return done, stopper


@pytest.mark.parametrize(
    ("script", "status"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137), ("kill -TERM $$", 143)]
)
def test_the_exit_status_passes_through_and_the_pod_is_stopped(alone, script, status):
    done, stopper = run(script)
    assert (done.status, done.over_budget, done.stopped) == (status, False, True)
    assert stopper.calls == [STOP]


def test_without_a_stop_command_none_is_called(alone):
    done, stopper = run("exit 0", stop=[])
    assert (done.status, done.stopped, stopper.calls) == (0, None, [])


def test_the_budget_ends_the_command_in_time_for_the_stop(alone, tmp_path, capsys):
    ready = tmp_path / "ready"
    clock = FakeClock(ready, stride=60.0)
    done, stopper = run('touch "$1"; exec sleep 100000', ready, limit=7200.0, clock=clock)
    assert (done.status, done.over_budget) == (EXIT_BUDGET, True)
    assert stopper.calls == [STOP]
    assert 7200 - least_seconds() <= clock.time <= 7200
    assert "the budget is used up" in capsys.readouterr().err


def test_a_command_that_will_not_end_is_ended(alone, tmp_path):
    ready = tmp_path / "ready"
    clock = FakeClock(ready, stride=10.0)
    done, stopper = run('trap "" TERM; touch "$1"; while :; do sleep 0.05; done', ready, limit=1000.0, clock=clock)
    assert done.status == EXIT_BUDGET
    assert stopper.calls == [STOP]
    assert clock.time <= 1000


def test_what_the_command_started_ends_with_it(alone, tmp_path):
    ready, left = tmp_path / "ready", tmp_path / "left"
    script = '(sleep 100000 & echo $! > "$2"); touch "$1"; exit 0'
    run(script, ready, left)
    process = int(left.read_text())
    wait_for(lambda: not alive(process))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_go_to_the_command_and_the_pod_is_stopped(alone, tmp_path, number):
    ready = tmp_path / "ready"
    clock = FakeClock(ready, stride=0.5, then=lambda: os.kill(os.getpid(), number))
    script = 'trap "exit 33" TERM INT HUP; touch "$1"; while :; do sleep 0.05; done'
    before = signal.getsignal(number)
    done, stopper = run(script, ready, clock=clock, grace=1e6)
    assert (done.status, done.over_budget) == (33, False)
    assert stopper.calls == [STOP]
    assert signal.getsignal(number) is before


def test_a_signal_the_command_ignores_still_ends_it(alone, tmp_path):
    ready = tmp_path / "ready"
    clock = FakeClock(ready, stride=10.0, then=lambda: os.kill(os.getpid(), signal.SIGTERM))
    done, stopper = run('trap "" TERM; touch "$1"; while :; do sleep 0.05; done', ready, clock=clock)
    assert done.status == 137
    assert stopper.calls == [STOP]


def test_a_signal_while_stopping_does_not_stop_the_stopping(alone):
    stopper = Stopper()

    def stop(command):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        return stopper(command)

    done, _ = run("exit 4", stopper=stop)
    assert (done.status, stopper.calls) == (4, [STOP])


def test_a_signal_ignored_from_outside_stays_ignored(alone, tmp_path):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        done, _ = run('kill -HUP "$PPID"; sleep 0.2; exit 5')
    finally:
        signal.signal(signal.SIGHUP, before)
    assert done.status == 5


def test_a_stop_that_fails_is_its_own_status(alone):
    done, stopper = run("exit 0", stopper=Stopper(works=False))
    assert (done.status, done.stopped) == (EXIT_NOT_STOPPED, False)
    assert stopper.calls == [STOP]


@pytest.mark.parametrize(("command", "status"), [("no such command at all", 127), ("/", 126)])
def test_a_command_that_cannot_start_leaves_no_pod_running(alone, command, status):
    stopper = Stopper()
    done = supervise.supervise([command], limit=1e9, stop=STOP, stopper=stopper)
    assert (done.status, stopper.calls) == (status, [STOP])


def test_a_crash_of_our_own_stops_the_pod_and_the_command(alone, tmp_path):
    class Broken(FakeClock):
        def wait(self, process, seconds):
            wait_for((tmp_path / "ready").exists)
            self.process = process
            raise RuntimeError("a fault of ours")

    clock, stopper = Broken(), Stopper()
    with pytest.raises(RuntimeError):
        run('touch "$1"; exec sleep 100000', tmp_path / "ready", clock=clock, stopper=stopper)
    assert stopper.calls == [STOP]
    assert clock.process.wait(timeout=PATIENCE) == -signal.SIGKILL


def test_a_stopper_that_crashes_leaves_it_to_the_guard(monkeypatch):
    guards = []

    def make(*arguments):
        guards.append(NoGuard(*arguments))
        return guards[-1]

    def broken(_):
        raise OSError("a fault of ours")

    monkeypatch.setattr(supervise, "Guard", make)
    with pytest.raises(OSError, match="a fault of ours"):
        supervise.supervise(["true"], limit=1e9, stop=STOP, stopper=broken)
    assert "released" not in guards[0].events
    assert guards[0].events[-1] is None


def test_the_real_clock_goes_on():
    clock = RealClock()
    assert clock.now() <= clock.now()
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
    assert clock.wait(process, 0.01) is None
    process.kill()
    assert clock.wait(process, PATIENCE) == -signal.SIGKILL


def alive(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().split(")")[-1].split()[0] != "Z"
    except OSError:
        return False


SUPERVISOR = """
import sys
from lifeos.pods.supervise import supervise
stop = [sys.executable, "-c", "import sys; open(sys.argv[1], 'a').write('stopped ')", sys.argv[1]]
command = ["sh", "-c", 'echo $$ > "$1.part"; mv "$1.part" "$1"; exec sleep 100000', "sh", sys.argv[2]]
done = supervise(command, limit=float("inf"), stop=stop, grace=1.0)
sys.exit(done.status)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_supervisor_leaves_neither_command_nor_pod(tmp_path, number):
    stopped, ready = tmp_path / "stopped", tmp_path / "pid"
    process = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, str(stopped), str(ready)], cwd=project_root(), stderr=subprocess.DEVNULL
    )
    try:
        wait_for(ready.exists)
        command = int(ready.read_text())
        process.send_signal(number)
        status = process.wait(timeout=PATIENCE)
        wait_for(stopped.exists)
        wait_for(lambda: not alive(command))
    finally:
        process.kill()
    assert status == (-signal.SIGKILL if number == signal.SIGKILL else 143)
    wait_for(lambda: stopped.read_text() == "stopped ")


def orders(*lines):
    return io.StringIO("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))


def test_the_guard_does_nothing_when_all_is_done(monkeypatch):
    monkeypatch.setattr(guard, "stop_pod", lambda _: pytest.fail("nothing is to be stopped"))
    assert follow(orders({"stop": STOP}, {"group": 1}, {"group": None}, {"done": True})) == 0


def test_the_guard_stops_the_pod_when_its_orders_break_off(monkeypatch):
    ended, stopped = [], []
    monkeypatch.setattr(guard, "end_group", lambda group, grace: ended.append((group, grace)))
    monkeypatch.setattr(guard, "stop_pod", lambda command: stopped.append(command) or True)
    assert follow(orders({"stop": STOP, "grace": 3}, {"group": 77}, '{"group": nu')) == 0
    assert (ended, stopped) == ([(77, 3.0)], [STOP])
    # A group that has ended may be somebody else's by now.
    assert follow(orders({"stop": STOP}, {"group": 77}, {"group": None})) == 0
    assert len(ended) == 1
    monkeypatch.setattr(guard, "stop_pod", lambda _: False)
    assert follow(orders({"stop": STOP})) == 1
    assert follow(orders({"stop": []})) == 0


def test_the_guard_ends_a_group_that_will_not_end(tmp_path):
    ready = tmp_path / "ready"
    process = subprocess.Popen(
        ["sh", "-c", 'trap "" TERM; touch "$1"; while :; do sleep 0.05; done', "sh", str(ready)],
        start_new_session=True,
    )
    wait_for(ready.exists)
    guard.end_group(process.pid, 0.1)
    assert process.wait(timeout=PATIENCE) == -signal.SIGKILL
    guard.end_group(process.pid, 0.1)
