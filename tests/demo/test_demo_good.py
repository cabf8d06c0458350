"""The good LoRA is approved, and its samples are judged alike under another name, trigger and place."""

import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[2]
OF_IMAGES = ("face_rate", "likeness", "likeness_tail", "skin_realism", "copy_image", "image_flat")

pytestmark = pytest.mark.timeout(1500, func_only=False)


@pytest.fixture(scope="module")
def good(good_lora, few_prompts, gate, tmp_path_factory):
    """Answer and scorecard row of the good LoRA on the shortened prompts."""
    history = tmp_path_factory.mktemp("good") / "history.jsonl"
    _, answer = gate(history, "--persona", few_prompts, "--lora", good_lora)
    row = next(r for r in map(json.loads, history.read_text("utf-8").splitlines()) if r["id"] == answer["row"])
    return SimpleNamespace(answer=answer, row=row)


def of_images(answer):
    """What every gate that looks at images said, measured, and held it against."""
    return {g["id"]: (g["verdict"], g["value"], g["threshold"]) for g in answer["gates"] if g["id"] in OF_IMAGES}


def test_the_good_lora_is_approved(good):
    """On a quarter of the images; docs/demo-results.md holds what the whole plan gave."""
    verdicts = {g["id"]: g["verdict"] for g in good.answer["gates"] if g["severity"] == "hard"}
    assert set(verdicts.values()) <= {"passed", "not_applicable"}, verdicts
    assert good.answer["verdict"] == "approved"
    assert (good.row["persona"], good.row["verdict"]) == ("pistachio", "approved")


def finished_images(row, artifacts, folder):
    """Copy the images of a row under the names that ``--images`` reads; returns how many."""
    folder.mkdir()
    images = {path.name: path for path in (artifacts / "samples").rglob("*.png")}
    for metrics in (artifacts / "runs").glob("release-*/metrics.jsonl"):
        hashes = json.loads((metrics.parent / "result.json").read_text("utf-8"))["result"]["hashes"]
        if all(hashes[part] == row["hashes"][part] for part in ("lora", "plan")):
            rows = [json.loads(line) for line in metrics.read_text("utf-8").splitlines()]
            for r in rows:
                shutil.copyfile(images[r["file"]], folder / f"{r['prompt']}_seed{r['seed']}.png")
            return len(rows)
    raise AssertionError(f"no run of row {row['id']}")


def renamed(persona, folder):
    """Copy a persona under another name, trigger and place."""
    shutil.copytree(persona, folder)
    text = (folder / "persona.toml").read_text("utf-8")
    for key, value in (("name", "marigold"), ("trigger", "qvrnl"), ("base", (ROOT / "models/tiny-base").as_posix()),
                       ("folder", (ROOT / "models/faces").as_posix())):  # fmt: skip
        text, count = re.subn(rf"(?m)^{key} = .*$", lambda _, k=key, v=value: f"{k} = {json.dumps(v)}", text, count=1)
        assert count == 1, key
    (folder / "persona.toml").write_text(text, encoding="utf-8")
    for caption in (folder / "dataset").glob("*.txt"):
        caption.write_text(caption.read_text("utf-8").replace("pstch", "qvrnl"), encoding="utf-8")
    return folder


def test_another_name_trigger_and_place_change_no_verdict(good, few_prompts, gate, demo_artifacts, tmp_path):
    images = tmp_path / "images"
    assert finished_images(good.row, demo_artifacts, images) == 24
    _, own = gate(tmp_path / "own.jsonl", "--persona", few_prompts, "--images", images)
    other_persona = renamed(few_prompts, tmp_path / "someone else" / "marigold")
    _, other = gate(tmp_path / "other.jsonl", "--persona", other_persona, "--images", images)
    assert len(of_images(own)) == len(OF_IMAGES)
    assert of_images(own) == of_images(other) == of_images(good.answer)
