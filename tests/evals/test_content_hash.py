import hashlib
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.content_hash import canonical_json, hash_bytes, hash_file, hash_folder, hash_json
from evals.errors import InputError

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(values)
def test_canonical_json_survives_a_round_trip_and_is_ascii_on_one_line(value):
    text = canonical_json(value)
    assert text.isascii()
    assert "\n" not in text
    assert canonical_json(json.loads(text)) == text


@given(st.dictionaries(st.text(), st.integers(), max_size=6))
def test_order_of_keys_moves_no_hash(mapping):
    assert hash_json(mapping) == hash_json(dict(reversed(mapping.items())))


def test_hash_json_is_the_sha256_of_sorted_compact_json():
    assert hash_json({"b": 1, "a": [0.5]}) == hashlib.sha256(b'{"a":[0.5],"b":1}').hexdigest()


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), [1, {"a": float("-inf")}], np.float64("nan")])
def test_not_a_number_is_refused(bad):
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical_json(bad)


@pytest.mark.parametrize("bad", [{1: 2}, [{None: 1}], {"a": {True: 1}}, {"a": {1, 2}}, np.float32(1), np.int64(1)])
def test_other_types_and_keys_are_refused(bad):
    with pytest.raises(TypeError):
        canonical_json(bad)


def test_hash_file_reads_bytes_and_names_a_missing_file(tmp_path):
    data = bytes(range(256)) * 9000
    (tmp_path / "a.bin").write_bytes(data)
    assert hash_file(tmp_path / "a.bin") == hash_bytes(data)
    with pytest.raises(InputError, match=r"b\.bin"):
        hash_file(tmp_path / "b.bin")


def test_hash_folder_covers_names_and_content_and_nothing_else(tmp_path):
    def made(name, files):
        for relative, text in files.items():
            path = tmp_path / name / relative
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path / name

    base = {"a.txt": "1", "sub/b.txt": "2", "c.png": "3"}
    first = hash_folder(made("one", base))
    assert first == hash_folder(made("two", base))
    assert first != hash_folder(made("renamed", {"a2.txt": "1", "sub/b.txt": "2", "c.png": "3"}))
    assert first != hash_folder(made("changed", {**base, "a.txt": "9"}))
    assert hash_folder(tmp_path / "one", "*.png") == hash_folder(tmp_path / "changed", "*.png")


def test_an_empty_or_missing_folder_has_no_hash(tmp_path):
    with pytest.raises(InputError, match="at least one file"):
        hash_folder(tmp_path)
    with pytest.raises(InputError, match="folder"):
        hash_folder(tmp_path / "absent")
