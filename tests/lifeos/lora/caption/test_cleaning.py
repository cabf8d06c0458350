import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeos.lora.caption.cleaning import MOST_CHARACTERS, is_latin, may_name, phrases_of


@pytest.mark.parametrize(
    ("raw", "phrases"),
    [
        ("smiling, facing left", [["smiling", "facing left"]]),
        ("<s><loc_12>**a hat**</s><|im_end|> http://a.b/c?d", [["a hat"]]),
        ("The image shows a hat. In the background, there is a wall.", [["a hat"], ["In the background a wall"]]),
        ("a black and white photo", [["a monochrome photo"]]),
        ("\x1b[31mred\x1b[0m scarf\x00", [["red scarf"]]),
        ("beauti\u200bful \ufb01sh", [["beautiful fish"]]),
        ("a woman’s hat; 'quoted'", [["a woman hat"], ["quoted"]]),
        ("one\ntwo\r\nthree", [["one"], ["two"], ["three"]]),
        ("{{ 1 }} {% x %} $(rm) `ls` \\n |", [["1 x rm ls n"]]),
        (" ,.;:!? ", []),
    ],
)
def test_raw_text_to_phrases(raw, phrases):
    assert phrases_of(raw) == phrases


def test_only_the_first_characters_are_read():
    assert phrases_of("a" * (MOST_CHARACTERS + 50)) == [["a" * MOST_CHARACTERS]]


@given(st.text(max_size=300))
def test_whatever_comes_phrases_are_words(raw):
    for sentence in phrases_of(raw):
        for phrase in sentence:
            assert phrase
            assert phrase.isprintable()
            assert phrase == " ".join(phrase.split())
            assert not set(phrase) & set('<>{}|[]()*_`"\\/,.;:\n')


def test_names_by_their_capitals():
    assert may_name("with Anna", begins=True)
    assert may_name("Anna", begins=False)
    assert not may_name("Standing in a T-shirt before a TV", begins=True)


def test_other_scripts():
    assert is_latin("café 12 o'clock")
    assert not is_latin("一个女人")
    assert not is_latin("vоman")  # a Cyrillic o
