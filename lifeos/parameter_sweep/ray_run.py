"""The process that drives a Ray cluster through one run: it hands out shards and knows what each actor holds.

``ray_engine`` starts it as a child, so nothing that Ray writes reaches the terminal, and its memory ends with the run.
"""

import os
import shutil
import signal
import socket
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lifeos.child import child_main
from lifeos.errors import InputError
from lifeos.lora.sample_plan import ImageRequest, SamplePlan, image_key
from lifeos.parameter_sweep.ray_node import DrawnTask, Reach, ShardActor, complaint_of_node, local_reach
from lifeos.parameter_sweep.shards import Shard, ShardQueue, cut_shards
from lifeos.processor import available_cores
from lifeos.progress import Progress, progress_writer

SHARDS_AN_ACTOR = 2
"""In flight: one that is drawn, one that waits beside it."""
DEATHS_A_SHARD = 3
PATIENCE_SECONDS = 300.0
GRACE_SECONDS = 15.0
"""For ending actors, and a Ray of this machine with all its processes: killed at once, it leaves two behind."""
_KNOCK_SECONDS = 10.0
_LOOK_SECONDS = 1.0
_RETRY_NODE_SECONDS = 30.0
_OBJECT_STORE_BYTES = 80 * 2**20  # Ray takes no less than 75 MiB, and a run keeps little more than its plans there

Complaint = Callable[[str, Reach], str | None]


@dataclass
class _Actor:
    handle: Any
    node: str
    is_ready: bool = False


@dataclass
class _Node:
    slots: int
    passed: bool = False
    complaint: str = ""
    asked: float = 0.0
    died_unready: int = 0


@dataclass(frozen=True)
class RunOutcome:
    """Images that actors reported as ``made``, most ``actors`` at a time, ``deaths`` of actors that held shards."""

    made: int
    actors: int
    deaths: int


def slots_of(resources: dict[str, float], *, gpus: bool, cpus: int) -> int:
    """Return how many actors a node has room for: one a GPU, or one for every ``cpus`` CPUs."""
    by_cpus = int(resources.get("CPU", 0.0) // cpus)
    return min(int(resources.get("GPU", 0.0)), by_cpus) if gpus else by_cpus


@contextmanager
def connected(address: str | None) -> Iterator[Any]:
    """Give the module ``ray``, connected to a cluster, or to one of this machine alone that ends with the block.

    Raises:
        InputError: nothing answers at the address, or a cluster of another Ray or Python.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # Ray warns that its next version will do this.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        if address is None:
            ray.init("local", num_cpus=available_cores(), include_dashboard=False, **_object_store(), **options)
        else:
            _knock(address)
            ray.init(address, **options)
    except Exception as error:
        line = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise InputError(f"Ray at {address or 'this machine'}: accepted a cluster that answers, got {line}; "
                         "next: run this on a machine of the cluster, ray status") from error  # fmt: skip
    try:
        yield ray
    finally:
        ray.shutdown()


class ClusterRun:
    """One run: what waits, which actors draw, which machines may."""

    def __init__(
        self, ray: Any, tasks: Sequence[DrawnTask], lacking: set[str], artifacts: Path, folder: Path, *, draw: str,
        cpus: int, images_a_shard: int, patience: float = PATIENCE_SECONDS, complaint: Complaint = complaint_of_node,
    ) -> None:  # fmt: skip
        """Cut the lacking images into shards.

        Args:
            ray: the connected module.
            tasks: with absolute paths.
            lacking: keys to draw; the others of the tasks are there.
            artifacts: shared data folder.
            folder: run folder in it.
            draw: see ``ShardActor``.
            cpus: CPUs, and threads, an actor.
            images_a_shard: at most.
            patience: seconds without anyone that draws after which the run ends.
            complaint: runs on every node before an actor does.
        """
        self._ray, self._folder, self._patience = ray, folder, patience
        self._gpus, self._cpus = any(task.plan.device == "cuda" for task in tasks), cpus
        self._requests: dict[str, ImageRequest] = {}
        keys_of_tasks = []
        for task in tasks:
            keyed = {image_key(task.plan, request, task.base_hash, task.lora_hash): request
                     for request in task.plan.requests()}  # fmt: skip
            keys_of_tasks.append([key for key in keyed if key in lacking])
            self._requests.update({key: keyed[key] for key in keys_of_tasks[-1]})
        self._queue = ShardQueue(cut_shards(keys_of_tasks, images_a_shard))
        self._reach = ray.put(local_reach(folder, uuid.uuid4().hex, tasks))
        self._check = ray.remote(num_cpus=0, max_retries=0)(complaint)
        self._actor_class = ray.remote(ShardActor)
        self._arguments = (ray.put(tuple(tasks)), str(artifacts / "samples"), draw, cpus, str(folder / "actor.log"))
        self._nodes: dict[str, _Node] = {}
        self._actors: dict[str, _Actor] = {}
        self._checks: dict[Any, str] = {}
        self._flying: dict[Any, tuple[str, Shard | None]] = {}
        self._drawing_since = time.monotonic()
        self._made = self._deaths = self._most = 0

    def to_the_end(self, progress: Progress, total: int) -> RunOutcome:
        """Draw every shard.

        Args:
            progress: called with ("sampling", done, total) as shards are finished.
            total: different images of the run, those that were there included.

        Raises:
            InputError: a node cannot reach what it must, what an actor refused, a shard that actors keep dying at, or
                nobody draws for too long.
        """
        done = total - len(self._requests)
        progress("sampling", done, total)
        try:
            self._check_all_nodes()
            looked = -_LOOK_SECONDS
            while not self._queue.finished:
                if time.monotonic() - looked >= _LOOK_SECONDS:
                    self._look()
                    looked = time.monotonic()
                self._hand_out()
                for ref in self._landed(_LOOK_SECONDS / 2):
                    finished = self._settle(ref)
                    if finished:
                        done += finished
                        progress("sampling", done, total)
                self._lose_patience()
        finally:
            for actor in self._actors.values():
                self._kill(actor)
        return RunOutcome(self._made, self._most, self._deaths)

    def _check_all_nodes(self) -> None:
        """Refuse the run where a machine that is there at its start cannot take part."""
        self._look()
        if not self._nodes:
            wanted = f"a GPU and {self._cpus} CPUs" if self._gpus else f"{self._cpus} CPUs"
            raise InputError(f"Ray cluster: accepted a node with {wanted}, got none; next: ray status")
        deadline = time.monotonic() + self._patience
        while self._checks:
            if time.monotonic() > deadline:
                silent = self._described(next(iter(self._checks.values())))
                raise InputError(f"{silent}: accepted an answer in {self._patience:.0f} s, got none; next: ray status")
            for ref in self._landed(_LOOK_SECONDS):
                self._settle(ref)
            for node in self._nodes.values():
                if node.complaint:
                    raise InputError(node.complaint)

    def _look(self) -> None:
        """Ask machines that are new, and fill those that passed with actors."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        alive = {node["NodeID"]: slots_of(node["Resources"], gpus=self._gpus, cpus=self._cpus)
                 for node in self._ray.nodes() if node["Alive"]}  # fmt: skip
        self._nodes = {name: self._nodes.get(name, _Node(slots)) for name, slots in alive.items() if slots}
        for name, node in self._nodes.items():
            place = NodeAffinitySchedulingStrategy(name, soft=False)
            if not node.passed:
                recently = node.complaint and time.monotonic() - node.asked < _RETRY_NODE_SECONDS
                if name not in self._checks.values() and not recently:
                    node.complaint, node.asked = "", time.monotonic()
                    ref = self._check.options(scheduling_strategy=place).remote(name, self._reach)
                    self._checks[ref] = name
                continue
            for _ in range(node.slots - sum(actor.node == name for actor in self._actors.values())):
                handle = self._actor_class.options(
                    num_cpus=self._cpus, num_gpus=1 if self._gpus else 0, max_restarts=0, max_task_retries=0,
                    scheduling_strategy=place,
                ).remote(*self._arguments)  # fmt: skip
                actor = uuid.uuid4().hex
                self._actors[actor] = _Actor(handle, name)
                self._flying[handle.ready.remote()] = (actor, None)

    def _hand_out(self) -> None:
        ready = [(name, actor) for name, actor in self._actors.items() if actor.is_ready]
        self._most = max(self._most, len(ready))
        # One each before anyone gets a second.
        for depth in range(SHARDS_AN_ACTOR):
            for name, actor in ready:
                if len(self._queue.held(name)) == depth and (shard := self._queue.take(name)) is not None:
                    requests = [(key, self._requests[key]) for key in shard.keys]
                    self._flying[actor.handle.draw.remote(shard.task, requests)] = (name, shard)

    def _landed(self, seconds: float) -> list[Any]:
        refs = [*self._flying, *self._checks]
        if not refs:
            time.sleep(seconds)
            return []
        landed: list[Any] = self._ray.wait(refs, num_returns=1, timeout=seconds)[0]
        return landed

    def _settle(self, ref: Any) -> int:
        """Take in an answer; returns how many images it finished."""
        from ray.exceptions import RayError, RayTaskError

        if ref in self._checks:
            self._settle_check(ref)
            return 0
        name, shard = self._flying.pop(ref)
        try:
            answer = self._ray.get(ref)
        except RayTaskError as error:
            # The actor answers its own errors: what comes this way arose before its code ran.
            raise InputError(f"{self._described(self._actors[name].node)}: accepted an actor that draws, got "
                             f"{_last_line(error)}; next: read {self._folder}") from error  # fmt: skip
        except RayError as error:
            self._bury(name, error)
            return 0
        if shard is None:
            self._actors[name].is_ready = True
            return 0
        self._made += answer["made"]
        if answer["error"] is not None:
            raise InputError(answer["error"])
        self._queue.done(name, shard)
        return len(shard.keys)

    def _settle_check(self, ref: Any) -> None:
        from ray.exceptions import RayError, RayTaskError

        name = self._checks.pop(ref)
        node = self._nodes.get(name, _Node(0))
        try:
            complaint = self._ray.get(ref)
        except RayTaskError as error:
            complaint = (f"{self._described(name)}: accepted a node that can import this checkout, got "
                         f"{_last_line(error)}; next: put it at the same path there")  # fmt: skip
        except RayError as error:
            # It went away meanwhile, or the process that looked did; if it is still there it is asked again.
            got = _last_line(error)
            complaint = f"{self._described(name)}: accepted a node that answers, got {got}; next: ray status"
            if name not in {other["NodeID"] for other in self._ray.nodes() if other["Alive"]}:
                self._nodes.pop(name, None)
        node.complaint, node.passed = complaint or "", complaint is None

    def _bury(self, name: str, error: Exception) -> None:
        """Give the shards of a dead actor back; ends the run at one that actors keep dying at."""
        actor = self._actors.pop(name)
        # It may be cut off and not dead.
        self._kill(actor)
        self._flying = {ref: flying for ref, flying in self._flying.items() if flying[0] != name}
        fallen = self._queue.died(name)
        if fallen is None:
            self._note_unready(actor, error)
            return
        self._deaths += 1
        shard, deaths = fallen
        if deaths >= DEATHS_A_SHARD:
            request = self._requests[shard.keys[0]]
            raise InputError(
                f"shard {shard.name}: accepted {len(shard.keys)} images that an actor lives through, got {deaths} "
                f"deaths (the first image: prompt {request.prompt.id}, seed {request.seed}; {_last_line(error)}); "
                "next: look at the memory of the nodes, then the same command"
            )  # fmt: skip

    def _note_unready(self, actor: _Actor, error: Exception) -> None:
        node = self._nodes.get(actor.node)
        if node is None or actor.is_ready:
            return
        node.died_unready += 1
        if node.died_unready >= DEATHS_A_SHARD:
            node.passed, node.asked, node.died_unready = False, time.monotonic(), 0
            node.complaint = (f"{self._described(actor.node)}: accepted a node on which actors start, got "
                              f"{_last_line(error)}; next: ray status")  # fmt: skip

    def _lose_patience(self) -> None:
        if any(actor.is_ready for actor in self._actors.values()):
            self._drawing_since = time.monotonic()
        elif time.monotonic() - self._drawing_since > self._patience:
            why = next((node.complaint for node in self._nodes.values() if node.complaint), "no node had room")
            raise InputError(f"Ray cluster: accepted a node that draws, got none in {self._patience:.0f} s ({why}); "
                             "next: ray status")  # fmt: skip

    def _kill(self, actor: _Actor) -> None:
        with suppress(Exception):
            self._ray.kill(actor.handle, no_restart=True)

    def _described(self, name: str) -> str:
        """Return host name and address of a node."""
        for node in self._ray.nodes():
            if node["NodeID"] == name:
                return f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"
        return name


def walk(request: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Draw what ``ray_engine`` asks for; says how many were ``made``, by how many ``actors``, and their ``deaths``.

    Raises:
        InputError: as ``connected`` and ``ClusterRun.to_the_end``.
    """
    tasks = [DrawnTask(**{**task, "plan": SamplePlan.from_json(task["plan"])}) for task in request["tasks"]]
    with connected(request["address"]) as ray:
        run = ClusterRun(
            ray, tasks, set(request["lacking"]), Path(request["artifacts"]), folder, draw=request["draw"],
            cpus=request["cpus"], images_a_shard=request["images_a_shard"], patience=request["patience"],
        )  # fmt: skip
        outcome = run.to_the_end(progress_writer(request["progress"]), request["total"])
    # What an actor put before it died is never reported; its successor finds it there.
    made = len(request["lacking"]) if outcome.deaths else outcome.made
    return {"made": made, "actors": outcome.actors, "deaths": outcome.deaths}


def _knock(address: str) -> None:
    # Ray itself goes on trying for minutes where nothing listens.
    host, _, port = address.rpartition(":")
    if host:
        socket.create_connection((host, int(port)), _KNOCK_SECONDS).close()


def _object_store() -> dict[str, Any]:
    shared, options = Path("/dev/shm"), {"object_store_memory": _OBJECT_STORE_BYTES}  # noqa: S108 - Ray's own choice
    # A container often has 64 MiB there, which Ray refuses.
    if shared.is_dir() and shutil.disk_usage(shared).free < 2 * _OBJECT_STORE_BYTES:
        return {**options, "_plasma_directory": tempfile.gettempdir()}
    return options


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:300]


def _interrupt_once(*_: Any) -> None:
    # Ctrl-C reaches this process from the terminal and from its parent: the second must not break the clean-up.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGINT, _interrupt_once)
    sys.exit(child_main(sys.argv[1:], walk, grace_seconds=GRACE_SECONDS))
