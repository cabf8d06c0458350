"""Figures of a log, whichever trainer wrote it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeos.errors import InputError
from lifeos.lora.training_text import TrainingText, read_training_text


def figures(text, name="loss"):
    return TrainingText(None, text).figures(name)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("steps: 1%|#| 10/100 [00:15<38:51, avr_loss=0.121]", []),
        ("Steps: 10/100 [00:10, loss=0.1, lr=1e-4]", [0.1]),
        ('{"step": 1, "loss": 2.5e-3, "d": null}', [0.0025]),
        ("epoch 1: loss: -.5, mem 3", [-0.5]),
        ("loss=1.2.3 loss=0x1f val/loss=3 total_loss=4", []),
        ("loss=inf\rloss=-Infinity\rloss=0.2", [math.inf, -math.inf, 0.2]),
        ("loss=information", []),
    ],
)
def test_a_name_is_read_where_it_stands_alone(text, found):
    assert figures(text) == found


def test_nan_is_a_reading():
    assert math.isnan(figures("loss=nan, lr=1")[0])
    assert math.isnan(figures('{"loss": NaN}')[0])


@given(
    st.lists(st.floats(allow_nan=False, width=32), max_size=8),
    st.sampled_from(["loss={}, x", '{{"loss": {}}}', "loss: {}"]),
)
def test_what_was_written_is_read_again(values, form):
    text = "\n".join(form.format(repr(value)) for value in values)
    assert figures(text) == values


def test_each_state_of_a_progress_bar_is_a_line():
    assert TrainingText(None, "a\rb\r\n\nc\n").lines == ("a", "b", "c")


def test_what_is_no_log_is_refused(tmp_path):
    with pytest.raises(InputError, match="a readable log"):
        read_training_text(tmp_path / "absent.log")
    (tmp_path / "empty.log").write_bytes(b" \n")
    with pytest.raises(InputError, match="an empty file"):
        read_training_text(tmp_path / "empty.log")
    (tmp_path / "odd.log").write_bytes(b"\xff\xfeloss=1\n")
    assert read_training_text(tmp_path / "odd.log").figures("loss") == [1.0]
