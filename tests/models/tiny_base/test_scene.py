import dataclasses
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
SEEDS = REPOSITORY / "models" / "tiny-base" / "build" / "seeds.toml"
CAPTIONS = REPOSITORY / "personas" / "pistachio" / "dataset"


@pytest.fixture
def scene(room):
    return room("scene")


def test_a_scene_is_a_function_of_person_and_index_alone(scene):
    first = scene.sample_scene(SimpleNamespace(seed=5), 3)
    scene.sample_scene(SimpleNamespace(seed=6), 0)
    assert scene.sample_scene(SimpleNamespace(seed=5), 3) == first
    assert scene.sample_scene(SimpleNamespace(seed=5), 4) != first
    assert scene.sample_scene(SimpleNamespace(seed=3), 5) != first


def test_the_demo_persona_still_has_the_captions_that_ship(scene):
    seeds = tomllib.loads(SEEDS.read_text(encoding="utf-8"))
    who = SimpleNamespace(seed=seeds["identities"]["persona"])
    captions = sorted(CAPTIONS.glob("*.txt"))
    assert len(captions) >= 24
    for path in captions:
        index = seeds["pictures"]["persona_training"][0] + int(path.stem) - 1
        text = scene.caption(who, scene.sample_scene(who, index), "pstch person", traits=False)
        assert path.read_text(encoding="utf-8") == text + "\n"


def test_scenes_keep_to_their_ranges_and_use_every_word(scene):
    scenes = [scene.sample_scene(SimpleNamespace(seed=seed), index) for seed in range(100) for index in range(3)]
    assert {s.facing for s in scenes} == set(scene.FACINGS)
    assert {s.light for s in scenes} == set(scene.LIGHTS)
    assert {s.expression for s in scenes} == set(scene.EXPRESSIONS)
    assert {s.background for s in scenes} == set(scene.BACKGROUNDS)
    for s in scenes:
        assert abs(s.yaw) <= 0.55
        assert 0.7 <= s.strength <= 1
        assert 0.85 <= s.exposure <= 1.2
        assert 0.97 <= s.scale <= 1.04
        assert s.key[2] > 0  # the light never stands behind the person
        assert all(-1 <= shade <= 1 for shade in s.background_shade)
        assert s.smoothness == 0


@pytest.mark.parametrize(("yaw", "word"), [(-0.3, "left"), (-0.1, "front"), (0.1, "front"), (0.3, "right")])
def test_the_facing_word_follows_the_yaw(scene, yaw, word):
    drawn = scene.sample_scene(SimpleNamespace(seed=0), 0)
    assert dataclasses.replace(drawn, yaw=yaw).facing == word


def test_a_caption_names_who_and_what(scene, person):
    who = person(11)
    shown = scene.sample_scene(who, 0)
    text = scene.caption(who, shown)
    for words in (who.age_word, who.tone_word, who.hair_words, shown.expression, f"facing {shown.facing}"):
        assert words in text
    assert text.endswith(f"{shown.light} light, {shown.background} background")
    bare = scene.caption(who, shown, "pstch person", traits=False)
    assert bare.startswith(f"photo of a pstch person, {shown.expression}, ")
    assert who.hair_words not in bare


def test_every_caption_is_made_of_words_that_the_tokenizer_knows(scene, person, room):
    known = set(room("captions").WORDS)
    for seed in range(40):
        who = person(seed)
        words = scene.caption(who, scene.sample_scene(who, 0)).replace(",", "").split()
        assert set(words) <= known


def test_plastic_changes_nothing_but_the_skin(scene):
    drawn = scene.sample_scene(SimpleNamespace(seed=1), 0)
    smoothed = scene.plastic(drawn, 1.0)
    assert smoothed.smoothness == 1
    assert dataclasses.replace(smoothed, smoothness=0.0) == drawn
