from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from evals.atomic import write_bytes
from lifeos.clip_scores import ClipScores, clip_scores
from lifeos.errors import InputError
from lifeos.lora.sample import encode_png


class Scorer:
    """Counts what it is asked; a score is the mean grey of the picture and the length of the text."""

    def __init__(self):
        self.asked = []

    def scores(self, images, texts):
        self.asked += texts
        return [float(image.mean()) / 255 + len(text) for image, text in zip(images, texts, strict=True)]


@dataclass
class Persona:
    clip_folder: Path | None


def never(*_):
    raise AssertionError


@pytest.fixture
def files(tmp_path):
    paths = [tmp_path / f"{grey}.png" for grey in (0, 255)]
    for path, grey in zip(paths, (0, 255), strict=True):
        write_bytes(path, encode_png(np.full((16, 16, 3), grey, np.uint8)))
    return paths


def test_each_pair_is_asked_once_and_the_model_is_opened_when_needed(tmp_path, files):
    scorer, told = Scorer(), []
    scores = ClipScores(tmp_path / "a", "m" * 64, lambda: scorer)
    first = scores.of_all(files, ["one", "three"], lambda *stage: told.append(stage))
    assert first == [3.0, 6.0]
    assert told == [("prompts", 1, 2), ("prompts", 2, 2)]
    again = ClipScores(tmp_path / "a", "m" * 64, never)
    assert again.of_all(files, ["one", "three"], lambda *_: None) == first
    assert scores.of_all(files[:1], ["other"], lambda *_: None) == [5.0]
    assert scorer.asked == ["one", "three", "other"]


def test_another_model_and_another_picture_are_asked_again(tmp_path, files):
    scorer = Scorer()
    for identity in ("m" * 64, "n" * 64):
        ClipScores(tmp_path / "a", identity, lambda: scorer).of_all(files[:1], ["one"], lambda *_: None)
    write_bytes(files[0], files[1].read_bytes())
    changed = ClipScores(tmp_path / "a", "m" * 64, lambda: scorer).of_all(files[:1], ["one"], lambda *_: None)
    assert changed == [4.0]
    assert len(scorer.asked) == 3


def test_a_file_that_is_no_image_is_refused_and_leaves_no_score(tmp_path, files):
    files[0].write_bytes(b"no image")
    with pytest.raises(InputError):
        ClipScores(tmp_path / "a", "m" * 64, Scorer).of_all(files, ["one", "two"], lambda *_: None)
    assert not list((tmp_path / "a").rglob("*.json"))


def test_a_persona_without_a_model_has_no_scores_and_one_with_a_wrong_folder_says_so(tmp_path):
    assert clip_scores(Persona(None), tmp_path) is None
    with pytest.raises(InputError, match="safetensors"):
        clip_scores(Persona(tmp_path / "nowhere"), tmp_path)


def test_the_model_of_a_persona_is_read_by_transformers(tmp_path, files):
    from evals.clip_score_eval import ClipScorer
    from tests.evals.test_clip_score_eval import write_clip

    folder = write_clip(tmp_path / "clip")
    scores = clip_scores(Persona(folder), tmp_path / "a")
    found = scores.of_all(files, ["a person", "a person"], lambda *_: None)
    images = [np.full((16, 16, 3), grey, np.uint8) for grey in (0, 255)]
    assert found == pytest.approx(ClipScorer(folder).scores(images, ["a person", "a person"]), abs=1e-5)
