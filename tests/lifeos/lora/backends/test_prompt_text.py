"""Escaped prompts, read as each server's documentation says that it reads one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeos.errors import InputError
from lifeos.lora.backends.prompt_text import escape_for_a1111, escape_for_comfyui

TEXTS = st.text(st.sampled_from("ab ()[]\\:|.,12"), max_size=20)


def read_by(text, signs):
    """Return the literal text, and the signs that a parser would take for markup: those without a backslash."""
    literal, markup, place = "", "", 0
    while place < len(text):
        if text[place] == "\\" and place + 1 < len(text) and text[place + 1] in signs:
            literal, place = literal + text[place + 1], place + 2
            continue
        markup += text[place] if text[place] in signs.replace("\\", "") else ""
        literal, place = literal + text[place], place + 1
    return literal, markup


@given(TEXTS)
def test_comfyui_reads_the_text_and_no_weights(text):
    # It knows no escaped backslash: the one before a bracket is read with it, one before that stays.
    assert read_by(escape_for_comfyui(text), "()") == (text, "")


@given(TEXTS)
def test_webui_reads_the_text_and_no_weights(text):
    assert read_by(escape_for_a1111(text), "()[]\\") == (text, "")


@pytest.mark.parametrize("text", [
    "a <lora:x:1>", "<hypernet:x>", "1 < 2", "red AND blue", "red BREAK blue", "# nothing", "{red|blue}", "__colours__",
    "two\nlines", "nul\0", "an EasyNegative face"])  # fmt: skip
def test_what_webui_would_take_for_more_than_text_is_refused(text):
    with pytest.raises(InputError, match="; next: reword the prompt") as caught:
        escape_for_a1111(text, ["easynegative"])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["a face, embedding:x", "EMBEDDING:x", "two\nlines", "\0\1"])
def test_what_comfyui_would_take_for_more_than_text_is_refused(text):
    with pytest.raises(InputError, match="; next: reword the prompt"):
        escape_for_comfyui(text)


def test_words_that_only_look_like_markup_stay():
    for text in ("hand in hand", "breakfast, sand", "embedding", "number #1: a|b"):
        assert escape_for_a1111(text) == text == escape_for_comfyui(text)
