import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifeos.errors import InputError
from lifeos.lora.dataset_lint.words import WordCheck, load_words, word_book
from lifeos.persona import load_persona
from lifeos.settings import project_root

CHECK = WordCheck(word_book(), "pirate", "pstch")


def banned(text):
    return [word.word for word in CHECK.banned(text)]


@pytest.mark.parametrize(("text", "expected"), [
    ("photo of a pstch person, smiling, soft light, yellow background", []),
    ("an old house in a dark wood", []),
    ("a white wall and a black cat", []),
    ("Blonde hair", ["Blonde hair"]),
    ("blue-eyed pstch", ["blue-eyed"]),
    ("a young pstch woman", ["young"]),
    ("a young pirate", ["young"]),
    ("a middle-aged man", ["middle-aged"]),
    ("an Asian   woman", ["Asian"]),
    ("two elderly women of Slavic descent in her 30s", ["elderly", "in her 30s", "Slavic descent"]),
    ("prettyish, unbeautiful", []),
    ("stunning, STUNNING", ["stunning"]),
    ("an 8k masterpiece", ["masterpiece", "8k"]),
    ("she looks like a queen", ["looks like"]),
    ("a tan jacket", []),
])  # fmt: skip
def test_words(text, expected):
    assert sorted(banned(text)) == sorted(expected)


def test_the_trigger_is_never_banned():
    assert WordCheck(word_book(), "person", "beautiful").banned("a beautiful person") == []


@settings(deadline=None)
@given(st.sampled_from([w for g in word_book().group for w in g.words if "{" not in w]), st.text(max_size=12))
def test_every_plain_word_is_found_in_any_case_and_place(word, around):
    assert banned(f"{around} , {word.upper()} , {around}")


def test_every_group_gives_its_reason():
    found = CHECK.banned("a beautiful pstch with freckles")
    assert {word.kind for word in found} == {"beauty", "identity"}
    assert all(len(word.reason) > 10 for word in found)


def test_prompts_of_the_shipped_persona_hold_none():
    persona = load_persona(project_root() / "personas/pistachio")
    check = WordCheck(word_book(), persona.class_word, persona.trigger)
    assert [
        check.banned(persona.fill(prompt)) for prompt in persona.prompts_b if check.banned(persona.fill(prompt))
    ] == []


FRAME = "\n[frame]\nmedium = []\nlittle = []"


def group(kind, word):
    return f'[lists]\nperson = ["a"]\n[[group]]\nkind = "{kind}"\nwords = ["{word}"]\nreason = "b"{FRAME}'


def test_the_smallest_file(tmp_path):
    (tmp_path / "words.toml").write_text(group("beauty", "fine {person}"), encoding="utf-8")
    assert WordCheck(load_words(tmp_path / "words.toml"), "b", "t").banned("a fine t b")[0].word == "fine"


@pytest.mark.parametrize("text", [
    "", "x = 1", group("ugly", "a"), group("beauty", "{nose} nose"), group("beauty", "{person} old"),
    group("beauty", "Big"), group("beauty", "a").replace("person", "people"), group("beauty", "a").replace(FRAME, ""),
])  # fmt: skip
def test_a_file_that_is_none(tmp_path, text):
    (tmp_path / "words.toml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"words\.toml"):
        load_words(tmp_path / "words.toml")
