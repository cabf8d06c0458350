import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeos.errors import InputError
from lifeos.lora.safetensors_file import MAX_HEADER_BYTES, NotSafetensorsError, encode, read_header


def build(header, data=b"", pad=True):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    if pad:
        text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data


ONE = {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}


def test_round_trip_agrees_with_the_safetensors_package(tmp_path):
    from safetensors.numpy import load_file, save_file

    arrays = {"x.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "y": np.array(2.5, np.float16),
              "z": np.zeros((0, 4), np.float32), "n": np.arange(3, dtype=np.int64)}
    ours = tmp_path / "ours.safetensors"
    types = {"float32": "F32", "float16": "F16", "int64": "I64"}
    ours.write_bytes(encode({name: (types[str(array.dtype)], array) for name, array in arrays.items()}, {"k": "v"}))
    for name, array in load_file(ours).items():
        np.testing.assert_array_equal(array, arrays[name])
    theirs = tmp_path / "theirs.safetensors"
    save_file(arrays, theirs, metadata={"k": "v"})
    read = read_header(theirs)
    assert dict(read.metadata) == {"k": "v"}
    for name, array in read.read().items():
        np.testing.assert_array_equal(array, arrays[name])


def test_equal_content_gives_equal_bytes():
    tensors = {name: ("F16", np.ones(3, np.float32)) for name in "abc"}
    metadata = {str(index): "x" for index in range(50)}
    assert encode(tensors, metadata) == encode(dict(reversed(tensors.items())), dict(reversed(metadata.items())))


def test_bfloat16_rounds_as_torch_does(tmp_path):
    import torch

    values = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    path = tmp_path / "b.safetensors"
    path.write_bytes(encode({"a": ("BF16", values)}, {}))
    expected = torch.from_numpy(values).to(torch.bfloat16).float().numpy()
    np.testing.assert_array_equal(read_header(path).read()["a"], expected)


@pytest.mark.parametrize("dtype", ["F16", "BF16"])
def test_a_value_that_does_not_fit_is_refused(dtype):
    with pytest.raises(ValueError, match="does not fit"):
        encode({"a": (dtype, np.array([3.4e38], np.float32))}, {})


HOSTILE = {
    "empty": (b"", "an empty file"),
    "short": (b"\x05\0\0", "a file of 3 bytes"),
    "zip": (b"PK\x03\x04" + b"\0" * 60, "zip archive"),
    "pickle": (b"\x80\x02}q\x00." + b"\0" * 60, "pickle"),
    "html": (b"<!DOCTYPE html><html>" + b" " * 60, "web page"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS pointer"),
    "gguf": (b"GGUF\x03\0\0\0" + b"\0" * 60, "GGUF"),
    "huge header": ((1 << 62).to_bytes(8, "little") + b"{}" + b" " * 60, "a header of"),
    "long header": ((MAX_HEADER_BYTES + 1).to_bytes(8, "little") + b"{}" + b" " * 60, "a header of"),
    "truncated header": (build(ONE, b"\0" * 8)[:20], "truncated"),
    "truncated data": (build(ONE, b"\0" * 7), "truncated"),
    "trailing": (build(ONE, b"\0" * 9), "belong to no tensor"),
    "no json": (build(b"{nonsense"), "cannot be read"),
    "deep": (build(b'{"a":' * 60_000), "cannot be read"),
    "list": (build(b'{"a": 1}' + b"x"), "cannot be read"),
    "twice": (build(b'{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},'
                    b'"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'), "a name twice"),
    "nan": (build(b'{"a": NaN}'), "NaN"),
    "utf-8": (build(b'{"\xff": 1}'), "cannot be read"),
    "unknown type": (build({"a": {"dtype": "F12", "shape": [1], "data_offsets": [0, 1]}}, b"\0"), "unknown type"),
    "negative": (build({"a": {"dtype": "U8", "shape": [-1], "data_offsets": [0, 1]}}, b"\0"), "a shape that is none"),
    "boolean": (build({"a": {"dtype": "U8", "shape": [True], "data_offsets": [0, 1]}}, b"\0"), "a shape that is none"),
    "overflow": (build({"a": {"dtype": "U8", "shape": [1 << 40, 1 << 40], "data_offsets": [0, 0]}}), "disagree"),
    "backwards": (build({"a": {"dtype": "U8", "shape": [1], "data_offsets": [2, 1]}}, b"\0\0"), "disagree"),
    "overlap": (build({**ONE, "b": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]}}, b"\0" * 12), "overlap"),
    "hole": (build({"a": {"dtype": "U8", "shape": [1], "data_offsets": [1, 2]}}, b"\0\0"), "hole"),
    "extra field": (build({"a": {**ONE["a"], "x": 1}}, b"\0" * 8), "without dtype"),
    "metadata": (build({"__metadata__": {"a": 1}}), "metadata"),
    "zeros": (b"\0" * 100, "something else"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_file_gives_one_clear_line(name, tmp_path):
    data, reason = HOSTILE[name]
    path = tmp_path / "x.safetensors"
    path.write_bytes(data)
    with pytest.raises(NotSafetensorsError, match=reason) as caught:
        read_header(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_folder_and_absent_file(tmp_path):
    with pytest.raises(NotSafetensorsError, match="a folder"):
        read_header(tmp_path)
    with pytest.raises(InputError, match="No such file") as caught:
        read_header(tmp_path / "none.safetensors")
    assert not isinstance(caught.value, NotSafetensorsError)


@given(data=st.binary(max_size=300), cut=st.integers(0, 120))
def test_any_bytes_are_read_or_refused(data, cut, tmp_path_factory):
    path = tmp_path_factory.mktemp("any") / "x.safetensors"
    whole = build(ONE, b"\0" * 8)
    for content in (data, whole[:cut] + data, build(data, data)):
        path.write_bytes(content)
        try:
            read_header(path).read()
        except NotSafetensorsError:
            continue
        assert content[8:9] == b"{"
