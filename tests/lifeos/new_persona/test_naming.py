
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeos.errors import InputError
from lifeos.lora.dataset_lint.tokens import read_tokenizers
from lifeos.new_persona.naming import choose_trigger, default_trigger, persona_name, tokenizers_of
from lifeos.settings import project_root

TINY = project_root() / "models/tiny-base"


@pytest.fixture(scope="module")
def tokenizers():
    return read_tokenizers(TINY)


@pytest.mark.parametrize("name", ["Anna", "Anna Müller", "安娜", "a.b", "x" * 80, "Prinz-Ä", "com10"])
def test_names_with_letters_of_any_kind_stand(name):
    assert persona_name(name) == name


@pytest.mark.parametrize(
    "name", ["", " ", ".hidden", "-f", "a/b", "a\\b", "..", "a\nb", "a:b", "end.", "NUL", "con.txt", "x" * 81, "\udc80"]
)
def test_names_that_some_system_refuses_are_refused(name):
    with pytest.raises(InputError, match="accepted a name that every system takes") as caught:
        persona_name(name)
    assert "\n" not in str(caught.value)


def test_one_name_in_two_encodings_is_one():
    assert persona_name("Mu\u0308ller") == persona_name("M\u00fcller")


@pytest.mark.parametrize(
    ("name", "trigger"),
    [("pistachio", "pstch"), ("Anna", "nnzq"), ("Anna Müller", "nnmllr"), ("Io", "zqxw"), ("安娜", ""), ("42", "")],
)
def test_a_trigger_is_made_from_the_name(name, trigger):
    assert default_trigger(name) == trigger


@given(st.text(max_size=30))
def test_a_default_trigger_is_one_lower_case_word_or_nothing(name):
    trigger = default_trigger(name)
    assert trigger == "" or (trigger.isascii() and trigger.isalpha() and trigger.islower() and len(trigger) >= 4)


def test_one_token_of_the_base_is_preferred_and_said(tokenizers):
    assert choose_trigger("", "pistachio", tokenizers) == ("pstch", ["the trigger pstch is one token of the base"])
    assert choose_trigger("", "Anna", tokenizers)[0] == "ohwx"
    assert choose_trigger("", "安娜", tokenizers)[0] == "ohwx"
    trigger, notes = choose_trigger("nnmllr", "Anna", tokenizers)
    assert trigger == "nnmllr"
    assert "is 6 tokens of the base, not one" in notes[0]


def test_without_the_base_nothing_is_claimed(tmp_path):
    tokenizers, notes = tokenizers_of(None)
    assert choose_trigger("", "Anna", tokenizers) == ("nnzq", [])
    assert notes[0].startswith("the trigger is not checked: the base is not here")
    assert tokenizers_of(tmp_path)[1][0].startswith("the trigger is not checked: ")
    with pytest.raises(InputError, match="--trigger WORD"):
        choose_trigger("", "安娜", [])


@pytest.mark.parametrize("trigger", ["two words", "a\tb", "a\x1bb"])
def test_a_trigger_is_one_word(trigger, tokenizers):
    with pytest.raises(InputError, match="one printable word"):
        choose_trigger(trigger, "Anna", tokenizers)
