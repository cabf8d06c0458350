"""What went wrong once becomes an entry that is found again, by what was measured and without a picture."""

import json

import numpy as np
import pytest
from PIL import Image

from evals.content_hash import hash_file
from evals.known_failures import entry_of, read_entries
from lifeos.errors import InputError
from lifeos.inputs import read_inputs
from lifeos.known_failures import liveness
from lifeos.known_failures.capture import capture_log, capture_release
from lifeos.known_failures.detection import detect
from lifeos.known_failures.given import Given
from lifeos.lora.store import ImageStore

LORA = "ab" * 32
SOUND = {"face_count": 1.0, "copy_image": 0.0, "flat": 0.0, "nearest_photo": 3.0, "likeness": 0.8}


@pytest.fixture
def registry(tmp_path):
    folder = tmp_path / "evals" / "known_failures"
    folder.mkdir(parents=True)
    return folder


def picture(artifacts, key, image):
    """Put an image where the store would have it; return its row's ``file`` and ``image``."""
    path = ImageStore(artifacts / "samples").path_for(key)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)
    return {"file": f"{key}.png", "image": hash_file(path)}


def release(artifacts, *changes, noise=0):
    """A rejected release of one image a change; returns its scorecard."""
    run = artifacts / "runs" / "release-x"
    run.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(noise)
    rows = []
    for number, change in enumerate(changes):
        image = generator.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        if change.get("flat"):
            image //= 128
        stored = picture(artifacts, f"{noise * 100 + number:064x}", image)
        metrics = {**SOUND, **change}
        rows.append({**stored, "prompt": f"B{number}", "seed": 7, "strength": 1.0, "metrics": metrics, "reasons": {}})
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    gates = [{"id": "face_rate", "verdict": "failed"}]
    return {"id": "20261129T010203Z-deadbeef", "phase": "release", "verdict": "rejected", "release": "release-x",
            "hashes": {"lora": LORA}, "gates": gates}  # fmt: skip


def live(entry, tmp_path, monkeypatch):
    monkeypatch.setattr(liveness, "available", lambda need: False)
    return liveness.liveness(entry, tmp_path / "artifacts", lambda need: False)


@pytest.mark.parametrize(
    ("change", "shown", "gate"),
    [
        ({"face_count": 0.0}, "face_lost", "face_rate"),
        ({"copy_image": 1.0}, "copy", "copy_image"),
        ({"flat": 1.0}, "black", "image_flat"),
    ],
)
def test_a_rejected_release_becomes_an_entry_that_is_live(change, shown, gate, tmp_path, registry, monkeypatch):
    artifacts = tmp_path / "artifacts"
    (path,) = capture_release(release(artifacts, {}, change), artifacts, folder=registry)
    (entry,) = read_entries(registry)
    assert (entry.id, entry.gate, entry.captured.shows) == (path.stem, gate, shown)
    assert (entry.captured.prompt, entry.captured.seed, entry.captured.lora) == ("B1", 7, LORA)
    found = live(entry, tmp_path, monkeypatch)
    assert found.live, found.why
    assert found.recorded


def test_the_same_failure_is_found_under_other_bytes_and_a_mended_one_is_not(tmp_path, registry):
    artifacts = tmp_path / "artifacts"
    capture_release(release(artifacts, {"face_count": 0.0}), artifacts, folder=registry)
    (entry,) = read_entries(registry)

    def looked(**change):
        release(artifacts, change, noise=5)
        rows = artifacts / "runs" / "release-x" / "metrics.jsonl"
        return detect(entry, Given(read_inputs({"artifacts": str(artifacts)}), recorded_rows=rows)).found

    assert "no face is found" in looked(face_count=0.0)
    assert looked() is None
    assert looked(copy_image=1.0) is None


def test_no_picture_is_written_unless_asked_for(tmp_path, registry):
    artifacts = tmp_path / "artifacts"
    row = release(artifacts, {"face_count": 0.0})
    capture_release(row, artifacts, folder=registry)
    assert [path.suffix for path in registry.rglob("*") if path.is_file()] == [".toml"]
    text = next(registry.rglob("*.toml")).read_text(encoding="utf-8")
    assert "embedding" not in text
    assert "likeness" not in text
    entry, image = capture_release(row, artifacts, with_images=True, folder=registry)
    assert image.suffix == ".png"
    assert entry.stem.endswith("-2")


def test_the_most_telling_image_is_taken(tmp_path, registry):
    artifacts = tmp_path / "artifacts"
    capture_release(release(artifacts, {"flat": 1.0}, {"copy_image": 1.0}), artifacts, folder=registry)
    (entry,) = read_entries(registry)
    assert (entry.captured.shows, entry.captured.photo) == ("copy", 3)


def test_what_cannot_be_captured_says_where_to_go(tmp_path, registry):
    artifacts = tmp_path / "artifacts"
    row = release(artifacts, {})
    with pytest.raises(InputError, match="face_rate failed"):
        capture_release(row, artifacts, folder=registry)
    with pytest.raises(InputError, match="not approved"):
        capture_release({**row, "verdict": "approved"}, artifacts, folder=registry)
    with pytest.raises(InputError, match="run folder"):
        capture_release({**row, "release": "gone"}, artifacts, folder=registry)
    assert not list(registry.rglob("*.toml"))


def test_names_of_finished_images_are_data(tmp_path, registry, monkeypatch):
    artifacts = tmp_path / "artifacts"
    row = release(artifacts, {"face_count": 0.0})
    rows = artifacts / "runs" / "release-x" / "metrics.jsonl"
    rows.write_text(
        rows.read_text(encoding="utf-8").replace('"B0"', json.dumps("it's $value ''' \x1b[31m.png")), "utf-8"
    )
    capture_release(row, artifacts, folder=registry)
    (entry,) = read_entries(registry)
    assert entry.captured.prompt == "it's $value ''' \x1b[31m.png"
    found = live(entry, tmp_path, monkeypatch)
    assert found.live, found.why
    assert "\x1b" not in found.why


def test_the_log_of_a_failed_run_becomes_an_entry(tmp_path, registry, monkeypatch):
    log = tmp_path / "cycle.log"
    log.write_text("Traceback (most recent call last):\nValueError: latents of $5 do not fit\n", encoding="utf-8")
    (path,) = capture_log(log, folder=registry)
    entry = entry_of(path.stem, read_entries(registry))
    found = live(entry, tmp_path, monkeypatch)
    assert found.live, found.why
    assert "latents of $5" in found.why
    with pytest.raises(InputError, match=path.stem):
        capture_log(log, folder=registry)
    log.write_text("all went well\n", encoding="utf-8")
    with pytest.raises(InputError, match="a log with an error"):
        capture_log(log, folder=registry)
