import json
import os
import shutil
import signal
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from evals.content_hash import hash_file
from lifeos.errors import InputError
from lifeos.lora.dataset_lint.command import lint_persona
from lifeos.lora.recipe import load_recipe
from lifeos.lora.training_inputs import read_inputs
from lifeos.new_persona.create import TooFewPhotographsError, create_persona
from lifeos.persona import load_persona
from tests.lifeos.new_persona import photographs as made
from tests.lifeos.new_persona.conftest import scene


@pytest.fixture
def create(plan, tmp_path):
    def call(progress=lambda *_: None, **changes):
        return create_persona(plan(**changes), tmp_path / "artifacts", progress)

    return call


def reasons(rows):
    return {row.name: row.reason for row in rows}


def digests(persona, side):
    record = json.loads((persona / "photographs.json").read_text(encoding="utf-8"))
    return {row["sha256"] for row in record["photographs"] if row["picture"].startswith(side)}


def test_a_folder_becomes_a_persona_that_can_be_read_and_trained(create, folder):
    before = {path: path.read_bytes() for path in folder.iterdir()}
    found = create()
    persona = load_persona(found.plan.folder)
    assert (len(found.training), len(found.references), found.moments) == (15, 5, 20)
    assert sorted(path.name for path in persona.references.iterdir()) == [f"{n:04}.png" for n in range(1, 6)]
    assert sorted(path.suffix for path in persona.dataset.iterdir()) == [".png"] * 15 + [".txt"] * 15
    assert sorted(path.name for path in persona.folder.iterdir()) == [
        ".gitignore", "dataset", "persona.toml", "photographs.json", "prompts.toml", "recipe.toml", "references"
    ]  # fmt: skip
    assert len(read_inputs(load_recipe(persona.recipe)).examples) == 15
    assert {path.read_text(encoding="utf-8") for path in persona.dataset.glob("*.txt")} == {found.plan.caption + "\n"}
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_pictures_are_upright_opaque_srgb_of_the_trained_shape_without_metadata(create):
    found = create()
    for path in found.plan.folder.rglob("*.png"):
        with Image.open(path) as image:
            assert (image.format, image.mode, image.size) == ("PNG", "RGB", (160, 160))
            assert dict(image.getexif()) == {}
            assert not {"exif", "icc_profile", "xmp"} & set(image.info)
        assert b"GPS" not in path.read_bytes()
        assert b"eXIf" not in path.read_bytes()
    assert found.changes == {"cropped": 20}


def test_large_photographs_are_scaled_down_to_four_times_the_trained_size(create, folder):
    (folder / "large.jpg").write_bytes(made.encoded(scene(90, 1600, 1200), "JPEG"))
    found = create()
    assert found.changes["scaled down"] == 1
    place = {**found.training, **found.references}["large.jpg"]
    with Image.open(found.plan.folder / place) as image:
        assert image.size == (512, 512)


def test_names_and_their_order_change_nothing_but_the_numbers(create, folder):
    one = create().plan.folder
    for number, path in enumerate(sorted(folder.iterdir(), reverse=True)):
        path.rename(folder / f"{number:03} renamed{path.suffix}")
    two = create(name="again").plan.folder
    for side in ("dataset", "references"):
        assert digests(one, side) == digests(two, side)
    other = create(name="other", seed=1).plan.folder
    assert digests(one, "references") != digests(other, "references")


def test_what_is_not_taken_is_listed_with_its_reason(create, folder):
    (folder / "broken.jpg").write_bytes(made.encoded(scene(50), "JPEG")[:900])
    (folder / "bomb.png").write_bytes(made.bomb_png())
    (folder / "blank.png").write_bytes(made.encoded(np.full((200, 200, 3), 7, np.uint8), "PNG"))
    (folder / "small.png").write_bytes(made.encoded(scene(51, 90, 90), "PNG"))
    (folder / "again.png").write_bytes(made.encoded(scene(1), "PNG"))
    (folder / "notes.txt").write_text("x", encoding="utf-8")
    (folder / "clip.MOV").write_bytes(b"x")
    (folder / ".hidden.jpg").write_bytes(b"x")
    (folder / "Thumbs.db").write_bytes(b"x")
    (folder / "more").mkdir()
    (folder / "gone.jpg").symlink_to(folder / "nothing.jpg")
    found = reasons(create().left_out)
    assert found.pop("broken.jpg").startswith("damaged: ")
    assert found == {
        "bomb.png": "more pixels than any camera makes, by its header",
        "blank.png": "one colour",
        "small.png": "90 x 90 in the trained shape, smaller than the trained 128 x 128: take a larger original",
        "again.png": "the same picture as IMG 01.png",
        "2 other files": "no photographs by name: 1 .mov, 1 .txt",
        "more/": "a folder: move its photographs up, or make a persona of it",
        "gone.jpg": "No such file or directory",
    }


def test_links_to_photographs_are_photographs(create, folder, tmp_path):
    away = tmp_path / "away"
    shutil.move(folder, away)
    folder.mkdir()
    for path in away.iterdir():
        (folder / path.name).symlink_to(path)
    linked = tmp_path / "linked"
    linked.symlink_to(folder)
    found = create(photographs=linked)
    assert len(found.training) == 15
    assert not any(path.is_symlink() for path in found.plan.folder.rglob("*"))


def test_a_burst_lies_on_one_side(create, folder):
    for number in range(6):
        taken = made.exif(taken=f"2024:06:01 12:00:{5 * number:02}")
        (folder / f"burst {number}.jpg").write_bytes(made.encoded(scene(200 + number), "JPEG", exif=taken))
    found = create()
    sides = [sum(name.startswith("burst") for name in side) for side in (found.training, found.references)]
    assert sides == [6, 0]
    assert found.moments == 21


def test_too_few_say_what_is_missing_and_leave_nothing(create, folder, tmp_path):
    for number in range(12):
        next(folder.glob(f"IMG {number:02}.*")).write_bytes(b"broken")
    with pytest.raises(TooFewPhotographsError, match="got 8 usable photographs of 8 moments; next: add 2 or") as caught:
        create()
    assert len(caught.value.left_out) == 12
    with pytest.raises(TooFewPhotographsError, match="at least 15 references"):
        create(references=15)
    assert list((tmp_path / "into").iterdir()) == []
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(TooFewPhotographsError, match=r"accepted photographs .*got none"):
        create(photographs=empty)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
@pytest.mark.parametrize("stage", ["reading photographs", "comparing photographs"])
def test_a_run_that_ends_midway_leaves_nothing(create, tmp_path, stage, error):
    def progress(seen, done, _):
        if seen == stage and done > 5:
            raise error

    with pytest.raises(error):
        create(progress)
    assert list((tmp_path / "into").iterdir()) == []
    assert len(create().training) == 15


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM to catch")
def test_a_polite_end_leaves_nothing_either(create, tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        create(lambda _, done, __: os.kill(os.getpid(), signal.SIGTERM) if done == 5 else None)
    assert list((tmp_path / "into").iterdir()) == []
    assert signal.getsignal(signal.SIGTERM) is before


def test_what_a_killed_run_left_goes_and_what_another_run_makes_stays(create, tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    dead, alive = (tmp_path / "into" / f".Anna.new-{pid}" for pid in (ended.pid, os.getppid()))
    other = tmp_path / "into" / f".Berta.new-{ended.pid}"
    for leftover in (dead, alive, other):
        leftover.mkdir()
        (leftover / "00001.png").write_bytes(b"x")
    create()
    assert not dead.exists()
    assert alive.exists()
    assert other.exists()


def test_a_disk_that_is_full_is_said_and_nothing_is_left(create, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("evals.atomic.write_bytes", full)
    with pytest.raises(InputError, match="can be written, got No space left on device; next: --into"):
        create()
    assert list((tmp_path / "into").iterdir()) == []


def test_a_name_that_is_taken_meanwhile_is_not_overwritten(create, tmp_path):
    mine = tmp_path / "into" / "Anna" / "mine"

    def take(*_):
        mine.parent.mkdir(exist_ok=True)
        mine.write_text("x", encoding="utf-8")

    with pytest.raises(InputError, match="accepted a free name"):
        create(take)
    assert [path.name for path in (tmp_path / "into").rglob("*")] == ["Anna", "mine"]


def test_many_photographs_take_the_memory_of_one(create, folder, tmp_path):
    for path in folder.iterdir():
        path.unlink()
    for number in range(16):
        (folder / f"{number:02}.jpg").write_bytes(made.encoded(scene(number, 1000, 1000), "JPEG"))
    one = 1000 * 1000 * 3
    tracemalloc.start()
    try:
        create()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 6 * one


def test_the_lint_blocks_nothing_of_what_was_made(create, tmp_path):
    persona = load_persona(create().plan.folder)
    lint = lint_persona(persona, tmp_path / "artifacts")
    blind = [finding for finding in lint.findings if finding.rule not in ("face_none", "captions_identical")]
    assert blind == []
    assert not any(lint.of_gate(gate) for gate in ("dataset_duplicates", "dataset_images", "dataset_captions"))


def test_the_record_says_what_became_of_each_photograph(create, folder):
    (folder / "broken.jpg").write_bytes(b"x")
    persona = create(seed=3).plan.folder
    record = json.loads((persona / "photographs.json").read_text(encoding="utf-8"))
    assert (record["schema"], record["seed"]) == ("lifeos.photographs/1", 3)
    assert [row["file"] for row in record["left_out"]] == ["broken.jpg"]
    for row in record["photographs"]:
        assert hash_file(folder / row["file"]) == row["sha256"]
        assert (persona / row["picture"]).is_file()
    assert len({row["moment"] for row in record["photographs"]}) == 20
    assert str(folder.parent) not in json.dumps(record)


def test_a_base_that_is_not_here_still_gives_a_persona_that_can_be_linted(create, folder, tmp_path):
    for number, path in enumerate(sorted(folder.iterdir())):
        path.write_bytes(made.encoded(scene(number, 560, 520), "JPEG"))
    found = create(base="somebody/some-base")
    assert any("not checked" in note for note in found.plan.notes)
    persona = load_persona(found.plan.folder)
    lint = lint_persona(persona, tmp_path / "artifacts")
    assert lint.of_gate("dataset_images") == []
    assert "dataset_captions" in lint.unknown
