"""``lifeos retrain-lora`` as a user meets it."""

import json
import shutil
from dataclasses import replace

import pytest

from evals.atomic import write_text
from evals.content_hash import hash_file
from lifeos import cli
from lifeos.lora import train_once
from lifeos.lora.train import TrainingResult, step_name
from lifeos.settings import project_root
from lifeos.training_watch import tensorboard
from lifeos.training_watch.curve import write_curve
from tests.lifeos.training_watch.test_curve import point

PERSONA = project_root() / "personas" / "pistachio"


@pytest.fixture
def recipe(tmp_path):
    """The demo's recipe beside nothing else; ``add`` puts keys in front of it."""
    text = (PERSONA / "recipe.toml").read_text(encoding="utf-8")
    text = text.replace('"dataset"', json.dumps(str(PERSONA / "dataset")))
    text = text.replace('"models/tiny-base"', json.dumps(str(project_root() / "models" / "tiny-base")))

    def add(keys=""):
        write_text(tmp_path / "recipe.toml", f"{keys}\n{text}")
        return str(tmp_path / "recipe.toml")

    return add


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """Training that takes no time: says what it was asked, and may change its result."""
    seen = {}
    folder = tmp_path / "run"

    def train(recipe, artifacts, progress, *, watch, begun):
        folder.mkdir(exist_ok=True)
        begun(folder)
        (folder / "lora.safetensors").write_bytes(b"finished")
        for step in (400, 800, 1200):
            (folder / step_name(step)).write_bytes(b"%d" % step)
        if watch is not None and not seen.get("no curve"):
            write_curve(folder, [point(400)])
            (folder / "training-curve.html").write_text("page", encoding="utf-8")
        progress("training", 1600, 1600)
        seen.update(watch=watch, recipe=recipe)
        plain = TrainingResult(folder / "lora.safetensors", "0" * 64, "k", "b", "d", "r", 1600, 0, 0.1, 9.0, False)
        return replace(plain, **seen.get("changes", {}))

    monkeypatch.setattr(train_once, "train_once", train)
    return seen


def retrain(tmp_path, *arguments):
    return cli.main(["retrain-lora", *arguments, "-o", str(tmp_path / "out" / "x.safetensors")])


def test_what_save_every_kept_lies_beside_the_finished_one(tmp_path, recipe, trained, capsys):
    assert retrain(tmp_path, recipe("save_every = 400"), "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    saved = [tmp_path / "out" / f"x-step-{step:08d}.safetensors" for step in (400, 800, 1200)]
    assert answer["saved"] == [str(path) for path in saved]
    assert [path.read_bytes() for path in saved] == [b"400", b"800", b"1200"]
    assert (answer["curve"], answer["stopped"], answer["kept_step"]) == (None, None, None)
    assert trained["watch"] is None
    assert retrain(tmp_path, recipe("save_every = 400")) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == f"next: lifeos choose-checkpoint {' '.join(map(str, saved))} {tmp_path / 'out' / 'x.safetensors'}"


def test_looks_are_told_a_line_each_and_the_page_is_named(tmp_path, recipe, trained, capsys, monkeypatch):
    monkeypatch.setattr(tensorboard, "find_spec", lambda name: None)
    assert retrain(tmp_path, recipe("sample_every = 400")) == 0
    told = capsys.readouterr()
    assert "step 400: likeness 0.500" in told.err
    assert told.err.count("step 400") == 1
    assert told.out.splitlines()[1:] == [f"curve: {tmp_path / 'run' / 'training-curve.html'}", tensorboard.ABSENT]
    assert trained["watch"].values["persona"] == str(PERSONA)  # the project's own, as the release finds it


def test_an_early_end_says_what_is_kept_and_why(tmp_path, recipe, trained, capsys):
    trained["changes"] = {"steps": 1000, "kept_step": 600, "stopped": "likeness gained nothing"}
    keys = "sample_every = 100\nearly_stop = {}"
    assert retrain(tmp_path, recipe(keys), "--persona", str(PERSONA)) == 0
    assert "kept is step 600: likeness gained nothing\n" in capsys.readouterr().out
    assert retrain(tmp_path, recipe(keys + "\nsave_every = 400"), "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["steps"], answer["kept_step"], answer["stopped"]) == (1000, 600, "likeness gained nothing")
    assert len(answer["saved"]) == 2  # the run never came to 1200


def test_a_lora_from_before_says_why_it_has_no_curve(tmp_path, recipe, trained, capsys):
    trained.update({"no curve": True, "changes": {"reused": True}})
    assert retrain(tmp_path, recipe("sample_every = 400")) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("no curve: this LoRA was trained before without looks")
    assert last.endswith(f"next: remove {tmp_path / 'run'}")


@pytest.mark.parametrize(("keys", "arguments", "why"), [
    ("", ["--persona", str(PERSONA)], "accepted sample_every for a judge to look on"),
    ("", ["--policy", str(project_root() / "evals" / "policy.toml")], "accepted sample_every for a judge"),
    ("sample_every = 400", ["--persona", "nowhere"], "nowhere: accepted an existing folder"),
    ("early_stop = {}", [], "set sample_every"),
])  # fmt: skip
def test_what_nobody_would_read_is_refused(tmp_path, recipe, trained, capsys, keys, arguments, why):
    assert retrain(tmp_path, recipe(keys), *arguments) == 2
    assert why in capsys.readouterr().err
    assert "recipe" not in trained


def test_the_demo_persona_is_looked_at_in_the_child(tmp_path, recipe, capsys):
    persona = tmp_path / "pistachio"
    shutil.copytree(PERSONA, persona)
    for image in sorted((persona / "dataset").glob("*.png"))[4:]:
        image.unlink()
        image.with_suffix(".txt").unlink()
    toml = persona / "persona.toml"
    write_text(toml, toml.read_text(encoding="utf-8").replace("steps = 56", "steps = 2"))
    written = recipe("sample_every = 2")
    text = (tmp_path / "recipe.toml").read_text(encoding="utf-8").replace(str(PERSONA / "dataset"), "pistachio/dataset")
    text = text.replace("steps = 1600", "steps = 3").replace("threads = 2", "threads = 1")
    write_text(tmp_path / "recipe.toml", text)
    arguments = ["--persona", str(persona), "--artifacts", str(tmp_path / "artifacts"), "--json"]
    assert retrain(tmp_path, written, *arguments) == 0
    told = capsys.readouterr()
    answer = json.loads(told.out)
    assert [line.split(":")[0] for line in told.err.splitlines() if line.startswith("step ")] == ["step 2", "step 3"]
    folder = project_root() / answer["curve"]
    assert "<svg" in folder.read_text(encoding="utf-8")
    lines = (folder.parent / "curve.jsonl").read_text(encoding="utf-8").splitlines()
    points = [json.loads(line) for line in lines]
    assert [(each["step"], each["images"]) for each in points] == [(2, 8), (3, 8)]
    assert set(points[0]["likeness_by_prompt"]) == {f"A0{number}" for number in range(1, 9)}
    assert points[1]["lora"] == answer["sha256"] == hash_file(tmp_path / "out" / "x.safetensors")
    assert all(0.0 < each["copy_nearest"] <= 2.0 for each in points)
    assert len(list((tmp_path / "artifacts" / "samples").rglob("*.png"))) == 16
    assert retrain(tmp_path, written, *arguments) == 0
    assert json.loads(capsys.readouterr().out)["reused"]
