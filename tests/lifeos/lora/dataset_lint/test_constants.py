from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from lifeos.lora.dataset_lint.captions import Caption
from lifeos.lora.dataset_lint.constants import constant_findings
from lifeos.lora.dataset_lint.words import word_book
from lifeos.settings import project_root

FOLDER = Path("p/dataset")
PLACES = ["in a wood", "on a beach", "in a kitchen", "at a desk", "in the rain", "by a wall", "on a hill", "in a tram"]


def found(texts):
    captions = [Caption(FOLDER / f"{number}.txt", text) for number, text in enumerate(texts)]
    return constant_findings(FOLDER, captions, "pstch", "young person", word_book().frame)


def constants(texts):
    return [finding.got.split("'")[1] for finding in found(texts) if finding.rule == "constant_attribute"]


def test_attributes_that_vary():
    assert found([f"photo of a pstch person, {place}, soft light" if at % 2 else f"a pstch person {place}"
                  for at, place in enumerate(PLACES)]) == []  # fmt: skip


def test_a_comma_phrase():
    assert constants([f"photo of a pstch person, smiling, {place}" for place in PLACES]) == ["smiling"]


def test_words_that_stand_together_in_a_sentence():
    texts = [f"photo of a pstch person with a Blue coat, {place}" for place in PLACES[:4]]
    texts += [f"a blue coat worn by pstch {place}" for place in PLACES[4:]]
    assert constants(texts) == ["blue coat"]


def test_the_longest_phrase_is_named_once():
    assert constants([f"pstch, a very long red scarf, {place}" for place in PLACES]) == ["very long red scarf"]


def test_a_kind_of_attribute_is_none():
    colours = ["red", "blue", "green", "grey", "white", "black", "yellow", "pink"]
    assert found([f"pstch, {colour} background" for colour in colours]) == []


def test_few_captions_say_little():
    assert found(["pstch, smiling"] * 7) == []


def test_captions_that_are_all_one():
    rules = {finding.rule for finding in found(["photo of a pstch person"] * 8)}
    assert rules == {"captions_identical"}
    assert {f.rule for f in found(["pstch, smiling"] * 8)} == {"captions_identical", "constant_attribute"}


def test_the_shipped_captions():
    texts = [path.read_text(encoding="utf-8") for path in (project_root() / "personas/pistachio/dataset").glob("*.txt")]
    assert found(texts) == []


@settings(deadline=None)
@given(st.lists(st.text(alphabet="abcdefg ,.", max_size=20), min_size=8, max_size=12),
       st.sampled_from(["smiling", "red hat", "hands in pockets"]))  # fmt: skip
def test_an_attribute_added_to_every_caption_is_found(texts, attribute):
    assert any(attribute in phrase for phrase in constants([f"{text}, {attribute}, pstch" for text in texts]))


@settings(deadline=None)
@given(st.lists(st.text(max_size=30), max_size=12))
def test_no_captions_make_it_raise(texts):
    found(texts)
