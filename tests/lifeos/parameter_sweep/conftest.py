import json
import os
import time

import psutil
import pytest

from evals.content_hash import hash_file
from lifeos.lora.families import base_hash
from lifeos.lora.sample import encode_png
from lifeos.lora.sample_plan import image_key
from lifeos.lora.store import ImageStore
from lifeos.parameter_sweep.rendering import Rendering
from lifeos.parameter_sweep.sweep import prepare_sweep, run_sweep
from tests.lifeos import simulated_release as simulation

TIME = "2026-11-25T10:00:00Z"


class DrawnHere:
    """Draws as the simulation does, the face the likelier the more steps; stops after ``break_after`` images."""

    def __init__(self):
        self.drawn, self.break_after, self.asked = [], None, []

    def render(self, tasks, artifacts, progress):
        store, made, reused = ImageStore(artifacts / "samples"), 0, 0
        for task in tasks:
            behaviour, of_lora = json.loads(task.lora.read_text(encoding="utf-8")), hash_file(task.lora)
            self.asked.append((task.plan.strength, task.plan.steps, [prompt.id for prompt in task.plan.prompts]))
            for request in task.plan.requests():
                key = image_key(task.plan, request, base_hash(task.base), of_lora)
                if store.has(key):
                    reused += 1
                    continue
                if len(self.drawn) == self.break_after:
                    raise KeyboardInterrupt
                who = 99 if request.strength > 1.5 else behaviour["identity"]
                # The seed of the noise alone: noise is common to all cells.
                noise = 100 * int(request.prompt.text.split()[1]) + request.seed
                store.put(key, encode_png(simulation.portrait(who, noise, 2.0 / task.plan.steps, turn=-6)), {})
                self.drawn.append(key)
                made += 1
        return Rendering(made, reused, 0.5)


@pytest.fixture(scope="module")
def three_nodes():
    """A Ray of a head and two nodes more on this machine, of one CPU each; nothing of it is left behind."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    made = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    made.add_node(**node)
    made.add_node(**node)
    yield made
    made.shutdown()
    deadline = time.monotonic() + 10
    while left := [process for process in psutil.Process().children(recursive=True) if process.pid not in before]:
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


@pytest.fixture(scope="session")
def _shared(tmp_path_factory):
    return simulation.make_choosing_persona(tmp_path_factory.mktemp("sweep"), 4, ", facing left")


@pytest.fixture
def inputs(_shared, tmp_path):
    return simulation.inputs_of_its_own(_shared, tmp_path)


@pytest.fixture
def lora(tmp_path):
    return simulation.write_lora(tmp_path / "one.safetensors", identity=1)


@pytest.fixture
def definition(tmp_path, lora):
    def write(grid="strength = [0.8, 1.0]\nsteps = [3, 6, 12]", more="", name="look"):
        path = tmp_path / "sweep.toml"
        path.write_text(f'name = "{name}"\n[grid]\nlora = ["one.safetensors"]\n{grid}\n{more}\n', encoding="utf-8")
        return path

    return write


@pytest.fixture
def rendering():
    return DrawnHere()


@pytest.fixture
def sweep(inputs, rendering):
    def run(path):
        prepared = prepare_sweep(path, inputs, simulation, lambda *_: None)
        return run_sweep(prepared, inputs, time=TIME, progress=lambda *_: None, rendering=rendering)

    return run
