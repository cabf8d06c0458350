"""The engine as a sweep calls it: a Ray of this machine alone, the real sampler, and an end by Ctrl-C."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from lifeos.errors import InputError
from lifeos.lora.families.random_base import write_random_base
from lifeos.lora.sample import sample_plan
from lifeos.lora.sample_plan import PlannedPrompt, SamplePlan
from lifeos.lora.store import ImageStore
from lifeos.parameter_sweep.ray_engine import RayEngine
from lifeos.parameter_sweep.rendering import RenderTask

pytest.importorskip("ray")
pytestmark = pytest.mark.filterwarnings("ignore")

PROMPTS = (PlannedPrompt("B01", "photo of a zeph person, facing left"), PlannedPrompt("B02", "photo of a zeph person"))
ROOT = Path(__file__).parents[3]


def make_plan(**changes):
    return SamplePlan(**{"prompts": PROMPTS, "seeds": (0, 1), "sampler": "ddim", "steps": 2, "guidance": 3.0,
                         "width": 32, "height": 32, **changes})  # fmt: skip


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return write_random_base("tiny_base", tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture(autouse=True)
def _no_cluster_of_the_machine(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


def test_images_are_those_of_this_process_byte_for_byte_and_the_terminal_stays_quiet(base, tmp_path, capfd):
    plans, seen = [make_plan(), make_plan(seeds=(1, 2)), make_plan(steps=3, seeds=(0,))], []
    local = [sample_plan(plan, base, None, ImageStore(tmp_path / "local"), threads=1, batch_size=1) for plan in plans]
    wanted = {image.key: image.path.read_bytes() for result in local for image in result.images}
    engine = RayEngine(images_a_shard=1)
    tasks = [RenderTask(plan, base, None) for plan in plans]
    first = engine.render(tasks, tmp_path / "a", lambda *event: seen.append(event))
    store = ImageStore(tmp_path / "a" / "samples")
    assert {key: store.path_for(key).read_bytes() for key in wanted} == wanted
    assert (first.made, first.reused, len(wanted)) == (8, 0, 8)
    assert seen[0] == ("sampling", 0, 8)
    assert seen[-1] == ("sampling", 8, 8)
    # The same again asks no cluster.
    again = engine.render(tasks, tmp_path / "a", lambda *_: None)
    assert (again.made, again.reused) == (0, 8)
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(os.name == "nt", reason="signals are sent otherwise there")
def test_an_interrupt_ends_every_process_and_leaves_whole_images(base, tmp_path):
    code = (
        "import sys; from pathlib import Path; from lifeos.parameter_sweep.ray_engine import RayEngine;"
        "from lifeos.parameter_sweep.rendering import RenderTask;"
        "from lifeos.lora.sample_plan import PlannedPrompt, SamplePlan;"
        "plan = SamplePlan((PlannedPrompt('a', 'a'),), tuple(range(500)), 'ddim', 1, 1.0, 32, 32);"
        "engine = RayEngine(draw='tests.lifeos.parameter_sweep.stand_ins:quick', images_a_shard=2);"
        "tasks = [RenderTask(plan, Path(sys.argv[1]), None)];"
        "engine.render(tasks, Path(sys.argv[2]), lambda *event: print(*event, flush=True))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(base), str(tmp_path)], cwd=ROOT, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
    try:
        for line in process.stdout:
            if int(line.split()[1]) >= 4:
                break
        offspring = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        assert "KeyboardInterrupt" in process.communicate(timeout=20)[1]
    finally:
        process.kill()
    assert len(offspring) > 3
    assert psutil.wait_procs(offspring, timeout=15)[1] == []
    store = ImageStore(tmp_path / "samples")
    there = list(store.folder.rglob("*.png"))
    assert 4 <= len(there) < 500
    assert all(store.has(path.stem) for path in there)


def test_an_address_where_nothing_answers_is_one_line(base, tmp_path):
    with pytest.raises(InputError, match=r"^Ray at 127\.0\.0\.1:9: accepted a cluster that answers, got \S") as refusal:
        RayEngine("127.0.0.1:9").render([RenderTask(make_plan(), base, None)], tmp_path, lambda *_: None)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(("arguments", "named"), [
    ({"address": "ray://10.0.0.1:10001"}, "address"), ({"cpus": 0}, "cpus"), ({"images_a_shard": 0}, "images_a_shard")])
def test_arguments(arguments, named):
    with pytest.raises(InputError, match=named):
        RayEngine(**arguments)


def test_without_ray_the_message_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="next: lifeos install-extra sweep"):
        RayEngine()
