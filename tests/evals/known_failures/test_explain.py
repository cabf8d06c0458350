"""What a log shows, wherever it is cut, however it is written, and whatever its length."""

import io
import sys
import tomllib
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.known_failures import Entry, explain, read_entries
from tests.evals.known_failures.test_entry import DEAD

# The package shows the function under the module's name.
module = sys.modules["evals.known_failures.explain"]


def made(name, *signatures):
    values = tomllib.loads(DEAD)
    return Entry.model_validate({**values, "id": name, "subject": "pod", "signatures": list(signatures)})


NMS = made("nms", "operator torchvision::nms does not exist")
LOSS = made("loss", {"text": "nan", "pattern": r"(?<!\w)loss=nan\b"})


def found(data, *entries):
    return {match.entry.id: (match.count, match.lines) for match in explain(io.BytesIO(data), entries)}


def test_a_line_is_named_with_its_number_and_the_first_ones_are_kept():
    text = b"start\n" + b"RuntimeError: operator torchvision::nms does not exist\n" * 5
    line = "RuntimeError: operator torchvision::nms does not exist"
    assert found(text, NMS, LOSS) == {"nms": (5, [(2, line), (3, line), (4, line)])}


def test_a_pattern_tells_lines_apart_that_share_a_text():
    assert found(b"banana\nloss=nano\nloss=nan, lr=1\n", LOSS) == {"loss": (1, [(3, "loss=nan, lr=1")])}


def test_the_order_is_that_of_the_lines():
    assert list(found(b"loss=nan\noperator torchvision::nms does not exist\n", NMS, LOSS)) == ["loss", "nms"]


def test_a_progress_bar_and_a_log_of_windows_are_read():
    assert found(b"10%\r20% loss=nan\r30%\n", LOSS)["loss"] == (1, [(1, "20% loss=nan")])
    for encoding in ("utf-16", "utf-16-be"):
        text = "\ufeff" if encoding == "utf-16-be" else ""
        assert found((text + "bär\r\nloss=nan\r\n").encode(encoding), LOSS)["loss"] == (1, [(2, "loss=nan")])


def test_what_is_no_text_harms_nothing():
    assert found(bytes(range(256)) * 300 + b"\nloss=nan\xff\n", LOSS)["loss"][0] == 1
    assert found(b"", LOSS) == {}


@given(
    st.lists(st.sampled_from(["loss=nan", "x" * 7, "operator torchvision::nms does not exist", ""])), st.integers(1, 60)
)
def test_where_pieces_are_cut_changes_nothing(lines, size):
    text = "\n".join(lines).encode()
    whole = found(text, NMS, LOSS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_PIECE_BYTES", size)
        assert found(text, NMS, LOSS) == whole
    assert whole.get("loss", (0,))[0] == lines.count("loss=nan")


def test_a_line_longer_than_a_piece_is_searched_across_the_cut(monkeypatch):
    monkeypatch.setattr(module, "_PIECE_BYTES", 64)
    monkeypatch.setattr(module, "_LONGEST_LINE", 128)
    for before in range(90, 140):
        assert "nms" in found(b"x" * before + b"operator torchvision::nms does not exist" + b"y" * 500, NMS)


class Endless(io.RawIOBase):
    """A log of so many bytes that never lies in memory as a whole."""

    def __init__(self, size):
        self.left, self.line = (
            size,
            b"steps:   1%|          | 10/1550 [00:15<38:51,  1.51s/it, avr_loss=0.121]\n",
        )

    def read(self, size=-1):
        count = max(1, min(size, self.left) // len(self.line))
        self.left -= count * len(self.line)
        return b"" if self.left < 0 else self.line * count


def test_memory_does_not_grow_with_the_log():
    peaks = []
    for size in (4_000_000, 40_000_000):
        tracemalloc.start()
        assert explain(Endless(size), read_entries()) == []
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 1_000_000
    assert peaks[1] < 16_000_000
