import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeos.errors import InputError
from lifeos.lora.caption.attributes import KINDS
from lifeos.lora.caption.rules import MOST_WORDS, CaptionRules
from lifeos.lora.dataset_lint.captions import trigger_count
from lifeos.lora.dataset_lint.tokens import read_tokenizers
from lifeos.lora.dataset_lint.words import WordCheck, word_book
from lifeos.settings import project_root

HEAD = "photo of a pstch person"
TINY = read_tokenizers(project_root() / "models/tiny-base")
RULES = CaptionRules("pstch", "person", ["pistachio"])
SHORT = CaptionRules("pstch", "person", tokenizers=TINY)
# What a measured caption can say; no rule may touch it.
MEASURED = (
    "neutral", "smiling", "surprised", "frowning", "facing left", "facing front", "facing right", "soft light",
    "hard light", "black background", "grey background", "white background", "red background", "orange background",
    "yellow background", "green background", "blue background", "purple background", "busy background",
    "light from the left", "light from the right", "dim light", "bright light", "cool light", "warm light", "close-up",
    "head and shoulders", "medium shot", "wide shot", "head tilted left", "head tilted right",
)  # fmt: skip
BOOK = word_book()
WORDS = sorted(
    {word for words in BOOK.lists.values() for word in words}
    | {word for group in BOOK.group for word in group.words if "{" not in word}
    | {"pstch", "PSTCH", "Pistachio", "hair", "eyes", "skin", "with", "and", "is", "She", "a", "in", "Anna", "kitchen"}
)


@pytest.mark.parametrize(
    ("raw", "rest"),
    [
        ("", []),
        ("a woman with long brown hair is standing in a kitchen, smiling at the camera",
         ["standing in a kitchen", "smiling at the camera"]),
        ("She is wearing a red dress and has blue eyes.", ["wearing a red dress"]),
        ("arafed woman in a red dress standing in front of a wall", ["in a red dress", "standing in front of a wall"]),
        ("there is a beautiful young Asian woman that is looking at the camera", ["looking at the camera"]),
        ("Elon is standing at the Eiffel Tower with a T-shirt", ["standing with a t-shirt"]),
        ("Elon Musk wearing a suit", ["wearing a suit"]),
        ("a man in his 30s with a beard", ["with a beard"]),
        ("a 25-year-old of Asian descent on a beach", ["on a beach"]),
        ("her hair is brown, elderly, a good looking face", []),
        ("a photo of pstch person: pstch, Pistachio smiling", ["smiling"]),
        ("a close up of a woman's face with glasses", ["face with glasses"]),
        ("the red red dress, the RED dress; The red dress", ["the red dress"]),
        ("sitting on an old wooden bench, a white wall", ["sitting on an old wooden bench", "a white wall"]),
        ("照片 一个女人, smiling", ["smiling"]),
        ("masterpiece, best quality, 8k, in the rain", ["in the rain"]),
    ],
)  # fmt: skip
def test_what_becomes_of_a_models_text(raw, rest):
    assert RULES.compose(raw).text == ", ".join([HEAD, *rest])


def test_what_was_left_out_is_said_with_its_reason():
    removed = RULES.compose("a beautiful woman, Anna, with brown hair, elderly, пальто").removed
    assert [(part.text, part.reason.split(" ")[0]) for part in removed] == [
        ("a beautiful woman", "it"), ("Anna", "may"), ("with brown hair", "hair,"), ("elderly", "age"),
        ("пальто", "not"),
    ]  # fmt: skip


def test_measured_words_come_through_as_they_are():
    assert RULES.compose(", ".join(MEASURED)).text.startswith(f"{HEAD}, {', '.join(MEASURED[:20])}")
    for phrase in MEASURED:
        assert RULES.compose(phrase).text == f"{HEAD}, {phrase}"
    assert len(KINDS) == len(set(KINDS))


def _holds(caption):
    assert caption.startswith(HEAD)
    assert "\n" not in caption
    assert caption.isprintable()
    assert trigger_count(caption, "pstch") == trigger_count(caption.lower(), "pstch") == 1
    assert len(re.findall(r"(?<!\w)person(?!\w)", caption)) == 1
    # The lint's own check is the oracle: it shares the lists with the rules, and none of their code.
    assert not WordCheck(BOOK, "person", "pstch").banned(caption)
    assert not set(caption) & set("<>{}|[]*_`")
    phrases = caption.split(", ")
    assert len(phrases) == len(set(phrases))


@given(st.text(max_size=400))
def test_any_text_becomes_a_caption(raw):
    caption = RULES.compose(raw).text
    _holds(caption)
    assert len(caption.split()) <= MOST_WORDS
    assert RULES.compose(raw) == RULES.compose(raw)


@given(st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from([" ", ", ", ". ", "-", "\n", "' "])), max_size=60))
def test_the_words_of_the_lists_do_not_come_through(pairs):
    raw = "".join(word + joint for word, joint in pairs)
    for rules in (RULES, SHORT):
        caption = rules.compose(raw).text
        _holds(caption)
        assert "pistachio" not in caption or rules is SHORT
    assert all(tokenizer.count(SHORT.compose(raw).text) <= tokenizer.limit for tokenizer in TINY)


def test_length_is_that_of_the_base_and_the_end_goes_first():
    composed = SHORT.compose("smiling, facing left, hard light, blue background, wearing an embroidered waistcoat")
    assert composed.text == f"{HEAD}, smiling, facing left, hard light, blue background"
    assert "tokens" in composed.removed[-1].reason
    assert len(RULES.compose(", ".join(f"thing {n}" for n in range(200))).text.split()) <= MOST_WORDS


def test_what_every_caption_says_goes():
    places = ["wood", "beach", "kitchen", "desk", "tram", "hall", "garden", "street"]
    made = [RULES.compose(f"wearing a blue coat in a {place}, facing front") for place in places]
    assert [one.text for one in RULES.without_constants(made)] == [f"{HEAD}, in a {place}" for place in places]
    # Seven tell nothing, and where a kept caption does not say it, it varies.
    assert RULES.without_constants(made[:7]) == made[:7]
    assert RULES.without_constants(made, ["photo of a pstch person, asleep"]) == made
    assert "belongs to the trigger" in RULES.without_constants(made)[0].removed[0].reason


def test_a_constant_over_the_joint_of_two_parts():
    made = [RULES.compose(f"coat with buttons, number {n}") for n in range(8)]
    assert [one.text for one in RULES.without_constants(made)] == [f"{HEAD}, number {n}" for n in range(8)]


@pytest.mark.parametrize(
    ("trigger", "class_word"), [("a", "person"), ("person", "person"), ("ohwx", "photo"), ("ohwx", "young man")]
)
def test_what_makes_no_caption_is_refused(trigger, class_word):
    with pytest.raises(InputError, match="next:"):
        CaptionRules(trigger, class_word)


def test_another_class_word():
    rules = CaptionRules("ohwx", "pirate captain")
    assert (
        rules.compose("a bearded pirate captain on a ship, a pirate").text
        == "photo of a ohwx pirate captain, on a ship"
    )
