"""What is judged of an image: rows of a persona that names a second backend, a CLIP model, both or neither."""

from dataclasses import replace
from pathlib import Path

import pytest

from evals.calibration import load_calibration
from evals.image_rows import parse_rows
from lifeos.judged_rows import JudgedRows
from lifeos.measure import ImageToMeasure, Measurements
from lifeos.persona import load_persona
from tests.lifeos import simulated_release as simulation

PROMPTS = ("B00", "B01", "B02")


class Clip:
    """A CLIP model that scores a text by its length and remembers what it was asked."""

    identity = "c" * 64

    def __init__(self):
        self.asked = []

    def of_all(self, paths, texts, progress):
        self.asked.append((list(paths), list(texts)))
        return [float(len(text)) for text in texts]


class Second:
    """Second face models that see the first image's face as it is and no other."""

    def __init__(self, record):
        self.record = record
        self.asked = []

    def of_all(self, paths, progress, stage):
        self.asked.append(list(paths))
        nobody = {**self.record, "embedding": None, "reason": "no face found"}
        return [self.record, *[nobody] * (len(paths) - 1)]


@pytest.fixture
def persona(tmp_path):
    return load_persona(simulation.make_persona(tmp_path))


@pytest.fixture
def measurements(tmp_path):
    return Measurements(tmp_path / "artifacts", simulation.Backend, "simulated")


@pytest.fixture
def pictures(tmp_path):
    paths = []
    for number in range(len(PROMPTS)):
        path = tmp_path / f"{number}.png"
        path.write_bytes(simulation.encode_png(simulation.portrait(1, 700 + number)))
        paths.append(path)
    return [ImageToMeasure(path, prompt, 5) for path, prompt in zip(paths, PROMPTS, strict=True)]


@pytest.fixture
def records(measurements, pictures):
    return measurements.of_all([picture.path for picture in pictures], lambda *_: None, "faces")


def judged(persona, measurements, **changes):
    calibration = load_calibration(persona.calibration)
    named = {"calibration": calibration, "training": [], "second": None, "clip": None, **changes}
    return JudgedRows(persona, measurements, progress=lambda *_: None, **named)


def test_a_persona_that_names_nothing_else_has_neither(persona, measurements, tmp_path, pictures, records):
    calibration = load_calibration(persona.calibration)
    found = JudgedRows.of_persona(
        persona, measurements, calibration, [], tmp_path / "artifacts", simulation, lambda *_: None
    )
    assert (found.second, found.clip) == (None, None)
    rows = found.rows(pictures, records)
    assert len(parse_rows(rows)) == 3
    assert [(row["prompt"], row["seed"], row["file"]) for row in rows] == [
        (prompt, 5, f"{number}.png") for number, prompt in enumerate(PROMPTS)
    ]
    assert all(row["metrics"]["likeness"] > 0.7 for row in rows)
    assert all("clip_score" not in row["metrics"] and "likeness_second" not in row["metrics"] for row in rows)


def test_rows_name_the_strength_they_were_drawn_at(persona, measurements, pictures, records):
    weaker = persona.model_copy(update={"sampler": persona.sampler.model_copy(update={"strength": 0.8})})
    assert {row["strength"] for row in judged(weaker, measurements).rows(pictures, records)} == {0.8}
    assert {row["strength"] for row in judged(persona, measurements).rows(pictures, records)} == {1.0}


def test_without_a_calibration_nothing_is_likened_to_the_persona(persona, measurements, pictures, records):
    rows = judged(persona, measurements, calibration=None).rows(pictures, records)
    assert all("likeness" not in row["metrics"] for row in rows)
    assert [row["metrics"]["face_count"] for row in rows] == [1.0, 1.0, 1.0]


def test_clip_is_asked_for_the_prompt_without_the_trigger(persona, measurements, pictures, records):
    clip = Clip()
    rows = judged(persona, measurements, clip=clip).rows(pictures, records)
    texts = [f"photo {number} of a person" for number in range(3)]
    assert clip.asked == [([picture.path for picture in pictures], texts)]
    assert [row["metrics"]["clip_score"] for row in rows] == [float(len(text)) for text in texts]
    assert simulation.TRIGGER not in " ".join(texts)


def test_clip_is_not_asked_about_prompts_that_nobody_knows(persona, measurements, pictures, records):
    clip = Clip()
    foreign = [ImageToMeasure(pictures[0].path, "elsewhere", 5), *pictures[1:]]
    rows = judged(persona, measurements, clip=clip).rows(foreign, records)
    assert clip.asked == []
    assert all("clip_score" not in row["metrics"] for row in rows)


def test_the_second_face_models_see_the_same_files(persona, measurements, pictures, records):
    calibration = load_calibration(persona.calibration)
    object.__setattr__(
        calibration, "second", {"centroid": calibration.centroid, "tau": 0.5, "backend": {}, "nulls": 24}
    )
    second = Second(records[0])
    rows = judged(persona, measurements, calibration=calibration, second=second).rows(pictures, records)
    assert second.asked == [[picture.path for picture in pictures]]
    assert rows[0]["metrics"]["likeness_second"] == pytest.approx(rows[0]["metrics"]["likeness"])
    assert [row["metrics"]["likeness_second"] for row in rows[1:]] == [None, None]
    assert all(row["reasons"]["likeness_second"] == "second backend, no face found" for row in rows[1:])


def test_the_prompt_that_is_followed_has_the_trigger_only_where_it_was_asked_for(
    persona, measurements, pictures, records, monkeypatch
):
    texts = []
    monkeypatch.setattr(
        "lifeos.judged_rows.image_rows", lambda *arguments, prompts, **named: texts.append(prompts) or []
    )
    rows = judged(persona, measurements)
    rows.rows(pictures, records)
    rows.rows(pictures, records, trigger=False)
    assert texts[0]["B01"] == f"photo 1 of a {simulation.TRIGGER} person"
    assert texts[1]["B01"] == "photo 1 of a person"


def test_rows_of_the_base_are_those_of_the_calibration_or_none(persona, measurements):
    assert judged(persona, measurements).base_rows() is None
    simulation.add_base(persona.folder)
    rows = judged(persona, measurements).base_rows()
    assert len(rows) == 48
    calibration = load_calibration(persona.calibration)
    scored = [{**row, "metrics": {**row["metrics"], "clip_score": 0.3}} for row in rows]
    base = {"bound_to": {**calibration.base["bound_to"], "clip": Clip.identity}, "rows": scored}
    same, other = judged(persona, measurements, calibration=replace(calibration, base=base), clip=Clip()), Clip()
    assert {row["metrics"]["clip_score"] for row in same.base_rows()} == {0.3}
    # Scores of another CLIP model than the calibration's would not be comparable.
    other.identity = "d" * 64
    left = judged(persona, measurements, calibration=replace(calibration, base=base), clip=other).base_rows()
    assert len(left) == 48
    assert all("clip_score" not in row["metrics"] for row in left)


def test_a_folder_without_a_clip_model_is_refused(persona, measurements, tmp_path):
    named = persona.model_copy(update={"clip_folder": Path(tmp_path / "nothing")})
    with pytest.raises(Exception, match="nothing"):
        JudgedRows.of_persona(named, measurements, None, [], tmp_path, simulation, lambda *_: None)
