"""What the entry's twin leaves out: a rare word counts where the base has it as one token."""

from types import SimpleNamespace

import pytest

import lifeos.lora.dataset_lint.tokens
from lifeos.lora.detectors.captions import trigger_means_something


@pytest.mark.parametrize(
    ("trigger", "pieces", "found"),
    [
        ("sks", {"sks": ["sks</w>"]}, True),
        ("SKS", {"sks": ["sks</w>"]}, True),
        ("sks", {"sks": ["sk", "s</w>"]}, False),
        ("ohwx", {"ohwx": ["ohwx</w>"]}, False),
        ("ohwxman", {"ohwxman": ["oh", "wx", "man</w>"]}, True),
        ("roman", {"roman": ["roman</w>"]}, False),
        ("man", {"man": ["man</w>"]}, False),
    ],
)
def test_a_trigger_that_the_base_knows(trigger, pieces, found, monkeypatch):
    cut = {"man": ["man</w>"], **pieces}
    monkeypatch.setattr(lifeos.lora.dataset_lint.tokens, "read_pieces", lambda base: [cut.__getitem__])
    seen = trigger_means_something(SimpleNamespace(trigger=trigger, class_word="man", base=None))
    assert (seen is not None) is found
