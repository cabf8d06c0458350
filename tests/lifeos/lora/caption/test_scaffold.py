import pytest

from lifeos.errors import InputError
from lifeos.lora.caption.scaffold import caption_of, check_caption, check_trigger
from lifeos.lora.dataset_lint.tokens import read_tokenizers
from lifeos.settings import project_root

TINY = project_root() / "models/tiny-base"


def test_the_scaffold():
    assert caption_of("pstch", "person") == "photo of a pstch person"


@pytest.mark.parametrize("trigger", ["", "two words", "a\tb", "a\x1bb"])
def test_a_trigger_is_one_printable_word(trigger):
    with pytest.raises(InputError, match=r"one printable word.*--trigger OTHER"):
        check_trigger(trigger, "OTHER")


@pytest.mark.parametrize(
    ("trigger", "class_word", "named"),
    [
        ("photo", "person", "the trigger exactly once"),
        ("a", "person", "the trigger exactly once"),
        ("person", "person", "the trigger exactly once"),
        ("nnzq", "beautiful woman", "no word of identity or beauty"),
        ("nnzq", "young woman", "no word of identity or beauty"),
        ("nnzq", "person " * 40 + "person", "as many tokens"),
        ("nnzq", "", "accepted a word such as person"),
        ("nnzq", "two  blanks", "accepted a word such as person"),
    ],
)
def test_what_the_lint_would_block_in_every_caption_is_refused_now(trigger, class_word, named):
    tokenizers = read_tokenizers(TINY)
    with pytest.raises(InputError, match=named):
        check_caption(trigger, class_word, tokenizers)
    check_caption("nnzq", "woman", tokenizers)
    check_caption("nnzq", "woman", [])
