"""The safetensors container, read without trust and written so that equal content gives equal bytes.

Format: https://huggingface.co/docs/safetensors. Neither torch nor the safetensors package is needed. The package's
writer keeps metadata in an unordered map, so its files differ from run to run; ours do not.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from lifeos.errors import InputError

MAX_HEADER_BYTES = 32 << 20
MAX_TENSORS = 100_000
MAX_DIMENSIONS = 8

# bfloat16 has no numpy type: it is read as the upper half of a float32.
_DTYPES: dict[str, tuple[str, int]] = {
    "F64": ("<f8", 8), "F32": ("<f4", 4), "F16": ("<f2", 2), "BF16": ("<u2", 2), "I64": ("<i8", 8), "I32": ("<i4", 4),
    "I16": ("<i2", 2), "I8": ("i1", 1), "U8": ("u1", 1), "U16": ("<u2", 2), "U32": ("<u4", 4), "U64": ("<u8", 8),
    "BOOL": ("?", 1),
}
_FOREIGN = (
    (re.compile(rb"PK\x03\x04"), "a zip archive (a pickled checkpoint), refused unread"),
    (re.compile(rb"\x80[\x00-\x05]"), "a pickle, refused unread"),
    (re.compile(rb"GGUF"), "a GGUF file"),
    (re.compile(rb"\s*<"), "a web page"),
    (re.compile(rb"version "), "a Git LFS pointer, not the file itself"),
    (re.compile(rb"\x1f\x8b"), "a gzip archive"),
)


class NotSafetensorsError(InputError):
    """The file is there and is not a whole, well-formed safetensors file."""


@dataclass(frozen=True)
class TensorEntry:
    """Where one tensor lies: type as in the header, shape, first byte and end counted from the data's start."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


@dataclass(frozen=True)
class TensorFile:
    """A checked header; tensors are read on demand.

    Args:
        path: the file.
        metadata: its ``__metadata__``, possibly empty.
        entries: name -> entry, in the header's order.
        data_start: byte at which data begin.
    """

    path: Path
    metadata: Mapping[str, str]
    entries: Mapping[str, TensorEntry]
    data_start: int

    def read(self) -> dict[str, npt.NDArray[Any]]:
        """Read every tensor; floating types come as float32 (float64 stays), others as they are.

        Raises:
            NotSafetensorsError: the file shrank since its header was read.
        """
        data = self.path.read_bytes()
        arrays = {}
        for name, entry in self.entries.items():
            raw = data[self.data_start + entry.start : self.data_start + entry.end]
            if len(raw) != entry.end - entry.start:
                _refuse(self.path, "the file changed while it was read")
            arrays[name] = _decode(raw, entry)
        return arrays


def read_header(path: Path) -> TensorFile:
    """Read and check the header of a safetensors file; no tensor is read.

    Checked before anything is believed: the kind of file, header length, JSON (nesting, duplicate keys, sizes), known
    types, shapes that agree with their bytes, offsets inside the file, neither overlap nor hole nor trailing bytes.

    Raises:
        NotSafetensorsError: any of those does not hold; one line says which.
        InputError: there is no such file, or it may not be read.
    """
    path = Path(path)
    if path.is_dir():
        _refuse(path, "a folder")
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            start = file.read(64)
            _refuse_foreign(path, start, size)
            length = int.from_bytes(start[:8], "little")
            if length > MAX_HEADER_BYTES:
                _refuse(path, f"a header of {length} bytes where at most {MAX_HEADER_BYTES} are read")
            if length < 2 or 8 + length > size:
                _refuse(path, f"a file of {size} bytes that promises a header of {length} (truncated or foreign)")
            file.seek(8)
            raw = file.read(length)
    except OSError as error:
        raise InputError(f"{path}: accepted a safetensors file, got {error.strerror}; next: check the path") from error
    header = _parse_json(path, raw)
    metadata = _check_metadata(path, header.pop("__metadata__", {}))
    if len(header) > MAX_TENSORS:
        _refuse(path, f"{len(header)} tensors where at most {MAX_TENSORS} are read")
    entries = {name: _check_entry(path, name, entry) for name, entry in header.items()}
    _check_layout(path, entries, size - 8 - length)
    return TensorFile(path, metadata, entries, 8 + length)


def encode(tensors: Mapping[str, tuple[str, npt.NDArray[Any]]], metadata: Mapping[str, str]) -> bytes:
    """Return a safetensors file as bytes; equal arguments give equal bytes.

    Args:
        tensors: name -> (type as in the header, array). For ``BF16`` the array holds float32 values, rounded here to
            nearest even; other types are converted by numpy.
        metadata: text values by name.

    Raises:
        ValueError: an unknown type, or a value that becomes infinite in it.
    """
    header: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))}
    parts: list[bytes] = []
    offset = 0
    # Widest types first keeps every tensor aligned, as the format asks.
    for name in sorted(tensors, key=lambda key: (-_DTYPES[tensors[key][0]][1], key)):
        dtype, array = tensors[name]
        raw = _encode(name, dtype, array)
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [offset, offset + len(raw)]}
        parts.append(raw)
        offset += len(raw)
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=True).encode("ascii")
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + b"".join(parts)


def _refuse(path: Path, what: str) -> NoReturn:
    raise NotSafetensorsError(f"{path}: accepted a whole safetensors file, got {what}; next: export it again")


def _refuse_foreign(path: Path, start: bytes, size: int) -> None:
    if size == 0:
        _refuse(path, "an empty file")
    # A safetensors file has "{" at byte 8; a small header length may begin with any of the bytes below.
    if start[8:9] != b"{":
        for pattern, what in _FOREIGN:
            if pattern.match(start):
                _refuse(path, what)
    if size < 10:
        _refuse(path, f"a file of {size} bytes")
    if start[8:9] != b"{":
        _refuse(path, "something else (no header where one must begin)")


def _parse_json(path: Path, raw: bytes) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise ValueError("a name twice")
        return found

    def refuse_constant(name: str) -> NoReturn:
        raise ValueError(f"the number {name}")

    try:
        header = json.loads(raw.decode("utf-8"), object_pairs_hook=unique, parse_constant=refuse_constant)
    except (ValueError, RecursionError) as error:
        _refuse(path, f"a header that cannot be read ({str(error)[:80]})")
    if not isinstance(header, dict):
        _refuse(path, "a header that is no mapping")
    return header


def _check_metadata(path: Path, metadata: Any) -> dict[str, str]:
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        _refuse(path, "metadata that are not text")
    return dict(metadata)


def _check_entry(path: Path, name: str, entry: Any) -> TensorEntry:
    shown = f"tensor {name[:80]!r}"
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        _refuse(path, f"{shown} without dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        _refuse(path, f"{shown} of unknown type {str(dtype)[:20]!r}")
    if not _is_sizes(shape) or len(shape) > MAX_DIMENSIONS:
        _refuse(path, f"{shown} with a shape that is none")
    if not _is_sizes(offsets) or len(offsets) != 2:
        _refuse(path, f"{shown} with offsets that are none")
    start, end = offsets
    if math.prod(shape) * _DTYPES[dtype][1] != end - start:
        _refuse(path, f"{shown} whose shape and bytes disagree")
    return TensorEntry(dtype, tuple(shape), start, end)


def _is_sizes(value: Any) -> bool:
    return isinstance(value, list) and all(type(size) is int and 0 <= size < 2**48 for size in value)


def _check_layout(path: Path, entries: Mapping[str, TensorEntry], data_bytes: int) -> None:
    position = 0
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].start, item[1].end)):
        if entry.end > data_bytes:
            _refuse(path, f"tensor {name[:80]!r} ending beyond the file (truncated)")
        if entry.start != position:
            _refuse(path, f"tensor {name[:80]!r} overlapping another or leaving a hole")
        position = entry.end
    if position != data_bytes:
        _refuse(path, f"{data_bytes - position} bytes that belong to no tensor")


def _decode(raw: bytes, entry: TensorEntry) -> npt.NDArray[Any]:
    array = np.frombuffer(raw, dtype=_DTYPES[entry.dtype][0]).reshape(entry.shape)
    if entry.dtype == "BF16":
        return (array.astype(np.uint32) << np.uint32(16)).view(np.float32).reshape(entry.shape)
    return array.astype(np.float32) if entry.dtype == "F16" else array


def _encode(name: str, dtype: str, array: npt.NDArray[Any]) -> bytes:
    if dtype not in _DTYPES:
        raise ValueError(f"{name}: dtype must be one of {sorted(_DTYPES)}, but got {dtype!r}")
    if dtype == "BF16":
        bits = np.ascontiguousarray(array, dtype="<f4").view(np.uint32)
        finite = np.isfinite(array)
        rounded = np.where(finite, bits + ((bits >> np.uint32(16)) & np.uint32(1)) + np.uint32(0x7FFF), bits)
        encoded = (rounded >> np.uint32(16)).astype("<u2")
        overflow = bool((finite & ((encoded & 0x7F80) == 0x7F80)).any())
    else:
        with np.errstate(over="ignore"):
            encoded = np.ascontiguousarray(array).astype(_DTYPES[dtype][0])
        overflow = dtype.startswith("F") and bool((np.isfinite(array) & ~np.isfinite(encoded)).any())
    if overflow:
        raise ValueError(f"{name}: a value does not fit into {dtype}")
    return encoded.tobytes()
