import contextlib
import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.errors import InputError
from evals.image_rows import parse_rows, read_rows


def test_order_of_rows_decides_nothing(healthy_rows):
    rows = healthy_rows()
    shuffled = random.Random(1).sample(rows, len(rows))
    assert parse_rows(shuffled) == parse_rows(rows)


def test_rows_are_read_from_a_file_and_bad_lines_are_numbered(tmp_path, healthy_rows):
    path = tmp_path / "metrics.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in healthy_rows()) + "\n\n")
    assert parse_rows(read_rows(path)) == parse_rows(healthy_rows())
    for bad in ("{", "[1]"):
        path.write_text("{}\n" + bad)
        with pytest.raises(InputError, match="line 2"):
            read_rows(path)
    with pytest.raises(InputError, match=r"absent\.jsonl"):
        read_rows(tmp_path / "absent.jsonl")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda row: row["metrics"].update(likeness=float("nan")), "likeness"),
        (lambda row: row["metrics"].update(likeness=float("inf")), "likeness"),
        (lambda row: row["metrics"].update(likeness=1.5), "cosine"),
        (lambda row: row["metrics"].update(likeness="0.9"), "likeness"),
        (lambda row: row["metrics"].update(likeness=True), "likeness"),
        (lambda row: row["metrics"].update(likeness=10**400), "likeness"),
        (lambda row: row["metrics"].update(likeness=None), "reason"),
        (lambda row: (row["metrics"].update(likeness=None), row["reasons"].update(likeness=" ")), "reason"),
        (lambda row: row["metrics"].update(flat=0.5), "0 or 1"),
        (lambda row: row["metrics"].update(face_count=1.5), "count"),
        (lambda row: row["metrics"].pop("skin_z"), "skin_z"),
        (lambda row: row["metrics"].update(another=float("nan")), "another"),
        (lambda row: row.update(metrics=[]), "objects"),
        (lambda row: row.update(reasons=None), "objects"),
        (lambda row: row.update(seed=0.0), "seed"),
        (lambda row: row.update(seed=1), "one row a prompt and seed"),
        (lambda row: row.update(strength=0.5), "one strength"),
        (lambda row: row.update(strength=None), "strength"),
        (lambda row: row.update(prompt=""), "prompt"),
        (lambda row: row.pop("image"), "keys"),
        (lambda row: row.update(extra=1), "keys"),
    ],
)
def test_a_malformed_row_is_refused_in_one_line(healthy_rows, change, named):
    rows = healthy_rows()
    change(rows[0])
    with pytest.raises(InputError, match=named) as caught:
        parse_rows(rows)
    assert "\n" not in str(caught.value)


def test_a_missing_value_with_a_reason_is_kept_and_unscorable_is_told_apart(healthy_rows):
    rows = healthy_rows()
    for row, reason in zip(rows, ("no face found", "unscorable: eyes 9 px apart"), strict=False):
        row["metrics"]["skin_z"] = None
        row["reasons"]["skin_z"] = reason
    parsed = parse_rows(rows)
    assert [row.is_unscorable("skin_z") for row in parsed[:3]] == [False, True, False]


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=5,
)
KEYS = ["image", "file", "prompt", "seed", "strength", "metrics", "reasons"]


@settings(max_examples=60)
@given(st.lists(junk | st.fixed_dictionaries(dict.fromkeys(KEYS, junk)), max_size=3))
def test_any_rows_are_read_or_refused_with_an_input_error(rows):
    with contextlib.suppress(InputError):
        assert len(parse_rows(rows)) == len(rows)
