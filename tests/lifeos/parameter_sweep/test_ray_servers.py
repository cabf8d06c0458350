"""Image servers that actors ask: the images of the local engine, none lost or made twice, and lies found there too."""

import threading
from collections import Counter
from dataclasses import replace

import pytest

from lifeos import engine as real
from lifeos import inputs as inputs_module
from lifeos.child import read_result
from lifeos.cli import main
from lifeos.lora.sample import planned_images, sample_plan
from lifeos.lora.store import ImageStore
from lifeos.parameter_sweep.local_engine import LocalEngine
from lifeos.parameter_sweep.ray_engine import REAL_DRAW, RayEngine
from lifeos.parameter_sweep.ray_node import DrawnTask, ShardActor
from lifeos.parameter_sweep.rendering import RenderTask
from lifeos.settings import load_project
from tests.lifeos import simulated_release as simulation
from tests.lifeos.lora.backends.conftest import converted, lora, make_lora, make_plan, serve  # noqa: F401 - fixtures

pytest.importorskip("ray")
pytestmark = pytest.mark.filterwarnings("ignore")

LOGGED = "tests.lifeos.parameter_sweep.stand_ins:for_real_and_logged"
FIRST_QUESTIONS = ("/system_stats", "/sdapi/v1/sd-models")


def bytes_of(tasks, artifacts):
    """The file of every image by key; each is there and whole."""
    store = ImageStore(artifacts / "samples")
    images = [image for task in tasks for image in planned_images(task.plan, task.base, task.lora, store).images]
    assert all(store.has(image.key) for image in images)
    return {image.key: image.path.read_bytes() for image in images}


def test_a_persona_whose_server_draws_with_another_lora_is_one_line_and_status_2(
    three_nodes, serve, make_lora, converted, lora, inputs, tmp_path, monkeypatch, capfd  # noqa: F811
):  # fmt: skip
    server = serve("a1111", other_lora=make_lora("b.safetensors", seed=4), lora_hash="0123456789ab")
    (tmp_path / "lifeos.toml").write_text(f'sampling_server = "{server.address}"\n', encoding="utf-8")
    toml = inputs.persona / "persona.toml"
    text = toml.read_text(encoding="utf-8").replace('name = "ddim"', 'name = "ddim"\nbackend = "a1111"')
    before = next(line for line in text.splitlines() if line.startswith("base = "))
    toml.write_text(text.replace(before, f'base = "{converted.as_posix()}"'), encoding="utf-8")
    prompts = inputs.persona / "prompts.toml"
    prompts.write_text(prompts.read_text(encoding="utf-8").replace(", facing left", ""), encoding="utf-8")
    (tmp_path / "sweep.toml").write_text(
        f'name = "look"\n[grid]\nlora = ["{lora.as_posix()}"]\nstrength = [0.8, 1.0]\n', encoding="utf-8"
    )
    monkeypatch.setattr(inputs_module, "load_project", lambda: load_project(tmp_path))
    monkeypatch.setattr(real, "inspect", lambda *_: {})
    monkeypatch.setattr(real, "open_faces", simulation.open_faces)
    places = {"persona": inputs.persona, "history": inputs.history, "artifacts": inputs.artifacts,
              "policy": inputs.policy}  # fmt: skip
    given = [text for name, place in places.items() for text in (f"--{name}", str(place))]
    assert main(["parameter-sweep", str(tmp_path / "sweep.toml"), *given, "--engine", "ray",
                 "--engine-option", f"address={three_nodes.address}"]) == 2  # fmt: skip
    out, err = capfd.readouterr()
    (said,) = (line for line in err.splitlines() if line.startswith("lifeos: "))
    assert "Traceback" not in out + err
    assert "accepted a LoRA with the hash of" in said
    assert "got 0123456789ab; next: copy" in said
    assert not [*(inputs.artifacts / "samples").rglob("*.png")]
    assert not inputs.history.exists()


def test_what_was_drawn_here_to_see_whether_a_server_tells_the_truth_is_not_counted(
    serve, make_plan, converted, lora, tmp_path  # noqa: F811
):  # fmt: skip
    server = serve("comfyui")
    plan = make_plan(server, strength=0.7)
    asked = planned_images(plan, converted, lora, ImageStore(tmp_path / "samples"))
    drawn = DrawnTask(plan, str(converted), str(lora), asked.base_hash, asked.lora_hash)
    actor = ShardActor([drawn], str(tmp_path / "samples"), REAL_DRAW, 1, str(tmp_path / "log"))
    requests = [(image.key, image.request) for image in asked.images]
    assert actor.draw(0, requests[:3]) == {"made": 3, "error": None}
    assert len([*tmp_path.rglob("*.png")]) == 5
    assert actor.draw(0, requests[3:]) == {"made": 1, "error": None}
    # Shown once, although in two shards.
    assert server.drawn == 4 + 4 + 1


def test_the_images_are_those_of_the_local_engine_though_a_node_dies_half_way(
    three_nodes, serve, make_plan, converted, lora, tmp_path  # noqa: F811
):  # fmt: skip
    # The last one that asks the cluster: Ray goes on listing the dead node for ten seconds, and it would be asked.
    servers = {kind: serve(kind) for kind in ("comfyui", "a1111")}
    plans = [make_plan(server, kind, strength=0.7, seeds=tuple(range(12))) for kind, server in servers.items()]
    tasks = [RenderTask(plan, converted, lora) for plan in plans]

    for artifacts in (tmp_path / "local", tmp_path / "ray"):
        # Every known answer, so that nobody loads torch for it.
        for strength in (0.0, 0.7):
            here = replace(plans[0], backend="diffusers", server=None, strength=strength)
            sample_plan(here, converted, lora, ImageStore(artifacts / "samples"), threads=1)
    local = LocalEngine().render(tasks, tmp_path / "local", lambda *_: None)
    wanted = bytes_of(tasks, tmp_path / "local")
    before, victim = sum(server.drawn for server in servers.values()), next(iter(three_nodes.worker_nodes))
    askers, all_asked, killed, lock = [], threading.Event(), threading.Event(), threading.Lock()

    def watched(answer):
        def watch(path, query, body):
            with lock:
                askers.extend([path] if path in FIRST_QUESTIONS else [])
                half = sum(server.drawn for server in servers.values()) - before >= 36 and not killed.is_set()
                if half:
                    killed.set()
            if len(askers) >= 3:
                all_asked.set()
            if half:
                three_nodes.remove_node(victim, allow_graceful=False)
            # Nobody draws before three have come: on a busy machine two could draw all without the third.
            assert body is None or all_asked.wait(60)
            return answer(path, query, body)

        return watch

    for server in servers.values():
        server.answer = watched(server.answer)
    engine = RayEngine(three_nodes.address, images_a_shard=4, draw=LOGGED)
    through_ray = engine.render(tasks, tmp_path / "ray", lambda *_: None)
    assert killed.is_set()
    (folder,) = (tmp_path / "ray" / "runs").iterdir()
    assert read_result(folder)["deaths"] == 1
    assert (len(wanted), local.made, through_ray.made, through_ray.reused) == (48, 48, 48, 0)
    assert bytes_of(tasks, tmp_path / "ray") == wanted
    puts = Counter(path.name.split(".")[0] for path in (tmp_path / "ray" / "puts").iterdir())
    assert puts == Counter(dict.fromkeys(wanted, 1))
