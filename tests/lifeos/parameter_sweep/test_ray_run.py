"""A Ray of three nodes on this machine: who dies when, what is refused, and nothing lost or made twice."""

import threading
from collections import Counter

import pytest

from lifeos.errors import InputError
from lifeos.lora.sample_plan import PlannedPrompt, SamplePlan, image_key
from lifeos.lora.store import ImageStore
from lifeos.parameter_sweep import ray_run
from lifeos.parameter_sweep.ray_node import DrawnTask, ShardActor, StoreOnce, complaint_of_node
from lifeos.parameter_sweep.ray_run import ClusterRun, slots_of
from tests.lifeos.parameter_sweep.stand_ins import png_of

ray = pytest.importorskip("ray")
pytestmark = [pytest.mark.filterwarnings("ignore")]

STAND_INS = "tests.lifeos.parameter_sweep.stand_ins"


@pytest.fixture(scope="module")
def cluster(three_nodes):
    """With the driver in this process."""
    ray.init(three_nodes.address, log_to_driver=False, logging_level="ERROR")
    yield three_nodes
    ray.shutdown()


@pytest.fixture
def small_base(tmp_path):
    """A folder that passes for a base: its hash is all that is read."""
    folder = tmp_path / "base"
    folder.mkdir()
    return folder


def task(seeds, base, **changes):
    plan = SamplePlan(prompts=(PlannedPrompt("B01", "a"), PlannedPrompt("B02", "b")), seeds=tuple(seeds),
                      sampler="ddim", steps=1, guidance=1.0, width=32, height=32, **changes)  # fmt: skip
    return DrawnTask(plan, str(base), None, "b" * 64, None)


def keys_of(tasks):
    return {image_key(one.plan, request, one.base_hash, None) for one in tasks for request in one.plan.requests()}


def run(tasks, folder, draw, *, progress=lambda *_: None, complaint=None, patience=60.0, size=4, there=()):
    lacking = keys_of(tasks) - set(there)
    (folder / "runs").mkdir(exist_ok=True)
    made = ClusterRun(ray, tasks, lacking, folder, folder / "runs", draw=f"{STAND_INS}:{draw}", cpus=1,
                      images_a_shard=size, patience=patience, complaint=complaint or passes)  # fmt: skip
    return made.to_the_end(progress, len(keys_of(tasks)))


def passes(node, reach):
    return None


def puts(folder):
    return Counter(path.name.split(".")[0] for path in (folder / "puts").iterdir())


def test_a_death_costs_one_actor_and_as_many_as_are_borne_end_the_run(cluster, tmp_path, small_base, monkeypatch):
    tasks = [task([1, 7], small_base)]
    outcome = run(tasks, tmp_path, "dies_once", size=1)
    # Two images have seed 7; one of them was begun by the actor that died.
    assert outcome.deaths == 1
    assert puts(tmp_path) == Counter(dict.fromkeys(keys_of(tasks), 1))
    monkeypatch.setattr(ray_run, "DEATHS_A_SHARD", 1)  # each takes seconds; test_shards.py counts them
    with pytest.raises(InputError, match=r"^shard [0-9a-f]{12}: accepted 1 images .* got 1 deaths .*seed 7"):
        run([task([7], small_base, strength=0.5)], tmp_path / "base", "dies_always", size=1)


def test_what_an_actor_refuses_ends_the_run_with_that_line(cluster, tmp_path, small_base):
    with pytest.raises(InputError) as refusal:
        run([task(range(9), small_base)], tmp_path, "refuses")
    assert str(refusal.value) == "v3.safetensors: accepted a LoRA that fits, got another; next: lifeos gate predeploy"
    with pytest.raises(InputError, match=r"^ZeroDivisionError: divided; next: read .*actor\.log$"):
        run([task([1], small_base)], tmp_path, "breaks")
    assert "in draw" in (tmp_path / "runs" / "actor.log").read_text(encoding="utf-8")
    with pytest.raises(InputError, match=r"^draw '.*:absent': accepted MODULE:FUNCTION"):
        run([task([1], small_base)], tmp_path, "absent")


def test_a_node_that_cannot_see_the_folder_is_named_before_anything_is_drawn(cluster, tmp_path, small_base):
    from tests.lifeos.parameter_sweep.stand_ins import sees_another_folder

    with pytest.raises(InputError, match=r"^node-[0-9a-f]{4}: .*: accepted the token, got none; next: mount it there$"):
        run([task([1], small_base)], tmp_path, "quick", complaint=sees_another_folder)
    assert not (tmp_path / "puts").exists()
    # The real look: the base of this task is none, on every node.
    with pytest.raises(InputError, match="base"):
        run([task([1], small_base)], tmp_path, "quick", complaint=complaint_of_node)
    assert len(list((tmp_path / "runs").glob("*.answer"))) >= 1


def test_only_what_lacks_is_handed_out(cluster, tmp_path, small_base):
    tasks = [task(range(4), small_base)]
    there = sorted(keys_of(tasks))[:5]
    run(tasks, tmp_path, "quick", there=there)
    assert set(puts(tmp_path)) == keys_of(tasks) - set(there)
    # All are said to lack: those that lie there by now are left as they are.
    assert run(tasks, tmp_path, "quick").made == 5


def test_a_cluster_without_what_a_plan_needs(cluster, tmp_path, small_base):
    with pytest.raises(InputError, match=r"^Ray cluster: accepted a node with a GPU and 1 CPUs, got none"):
        run([task([1], small_base, device="cuda")], tmp_path, "quick")


def test_a_node_that_dies_half_way_loses_and_doubles_nothing(cluster, tmp_path, small_base):
    # The last one that asks the cluster: Ray goes on listing the dead node for ten seconds, and it would be asked.
    tasks = [task(range(60), small_base), task(range(30, 90), small_base)]
    wanted, seen, killed = keys_of(tasks), [], threading.Event()
    victim = next(iter(cluster.worker_nodes))

    def progress(stage, done, total):
        seen.append((stage, done, total))
        if done >= 60 and not killed.is_set():
            killed.set()
            cluster.remove_node(victim, allow_graceful=False)

    outcome = run(tasks, tmp_path, "three_together", progress=progress)
    assert killed.is_set()
    assert outcome.deaths == 1
    assert outcome.actors == 3
    assert puts(tmp_path) == Counter(dict.fromkeys(wanted, 1))
    store = ImageStore(tmp_path / "samples")
    assert all(store.has(key) for key in wanted)
    assert seen[0] == ("sampling", 0, len(wanted))
    assert seen[-1] == ("sampling", len(wanted), len(wanted))
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)
    # What an actor had put before it died, its successor found.
    assert outcome.made <= len(wanted)


@pytest.mark.parametrize(("resources", "gpus", "cpus", "slots"), [
    ({"CPU": 8.0, "GPU": 2.0}, True, 1, 2), ({"CPU": 8.0, "GPU": 2.0}, True, 8, 1), ({"CPU": 8.0}, True, 1, 0),
    ({"CPU": 7.0}, False, 2, 3), ({}, False, 1, 0), ({"CPU": 0.0, "GPU": 1.0}, True, 1, 0)])
def test_slots(resources, gpus, cpus, slots):
    assert slots_of(resources, gpus=gpus, cpus=cpus) == slots


def test_an_image_that_another_machine_put_meanwhile_stays_as_it_is(tmp_path):
    mine, theirs = StoreOnce(tmp_path), StoreOnce(tmp_path)
    path = theirs.put("a" * 64, png_of(1), {"seed": 1})
    before = path.read_bytes()
    assert mine.put("a" * 64, png_of(2), {"seed": 2}) == path
    assert (path.read_bytes(), theirs.keys_put, mine.keys_put) == (before, {"a" * 64}, set())
    path.write_bytes(before[:-9])  # torn: not there
    mine.put("a" * 64, png_of(2), {"seed": 2})
    assert (mine.keys_put, mine.facts("a" * 64)["seed"]) == ({"a" * 64}, 2)


def drawn_as_asked(threads):
    """Note what an actor is asked to draw, and put it."""

    def draw(asked, images, store):
        ASKED.append([image.key for image in images])
        for image in images:
            store.put(image.key, png_of(image.request.seed), {})

    return draw


ASKED = []


def test_an_actor_draws_of_its_shard_what_lies_nowhere_yet(tmp_path, small_base):
    one = task([1, 2, 3], small_base)
    requests = [(image_key(one.plan, request, one.base_hash, None), request) for request in one.plan.requests()]
    actor = ShardActor([one], str(tmp_path), f"{__name__}:drawn_as_asked", 1, str(tmp_path / "log"))
    ASKED.clear()
    assert actor.draw(0, requests[:4]) == {"made": 4, "error": None}
    assert actor.draw(0, requests) == {"made": len(requests) - 4, "error": None}
    assert actor.draw(0, requests) == {"made": 0, "error": None}
    assert [[key for key, _ in requests[:4]], [key for key, _ in requests[4:]]] == ASKED
