"""Images by what they were made from: an image that lies whole on the disk is never made again.

What is known of an image lies inside its file, so both come with one rename: with a record beside it, a kill between
the two left an image that did not count.
"""

import json
import re
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evals.atomic import write_all
from evals.content_hash import canonical_json, hash_bytes

_KEY = re.compile(r"[0-9a-f]{64}")
_START = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
_HEADER_BYTES = 33  # signature and IHDR, which every PNG begins with; the record is the chunk behind them
_KEYWORD = b"lifeos\0"
_OWN_FACTS = ("key", "sha256")


class ImageStore:
    """A folder of PNG files named by key, each with its facts (JSON) in a text chunk under the keyword ``lifeos``.

    An image counts as there only when its bytes are those that were put under this very key, so a half-written, damaged
    or swapped file is made again instead of judged.
    """

    def __init__(self, folder: Path) -> None:
        """Use ``folder``, which is created by the first ``put``."""
        self.folder = Path(folder)

    def path_for(self, key: str) -> Path:
        """Return where the image of ``key`` (64 hexadecimal digits) lies or would lie.

        Raises:
            ValueError: ``key`` is no such thing.
        """
        if not _KEY.fullmatch(key):
            raise ValueError(f"key must be 64 hexadecimal digits, but got {key!r}")
        return self.folder / key[:2] / f"{key}.png"

    def has(self, key: str) -> bool:
        """True when the image is there and whole."""
        return self.facts(key) is not None

    def facts(self, key: str) -> dict[str, Any] | None:
        """Return what lies in the image, or None when the image is not there and whole.

        Keys: ``key``, ``sha256`` (of the PNG as it was given to ``put``), and the facts given with it.
        """
        try:
            return _read_record(key, self.path_for(key).read_bytes())
        except OSError:
            return None

    def put(self, key: str, png: bytes, facts: Mapping[str, Any]) -> Path:
        """Store an image; whoever looks sees it whole, with its facts, or not at all.

        Args:
            key: 64 hexadecimal digits.
            png: the bytes of a PNG file.
            facts: JSON types with finite numbers; ``key`` and ``sha256`` are the store's own.

        Raises:
            ValueError: key, image or facts are not such.
            TypeError: a fact is of another type.
            OSError: the folder cannot be written.
        """
        self.put_all([(key, png, facts)])
        return self.path_for(key)

    def put_all(self, images: Sequence[tuple[str, bytes, Mapping[str, Any]]]) -> None:
        """Store several images, each given as to ``put``; quicker than one by one, and all on the disk at its end.

        Whoever looks meanwhile, or after a kill, sees each of them whole or not at all. Raises what ``put`` raises,
        an error in what is given before anything is written.
        """
        write_all({self.path_for(key): _with_record(key, png, facts) for key, png, facts in images})


def _with_record(key: str, png: bytes, facts: Mapping[str, Any]) -> bytes:
    if not png.startswith(_START):
        raise ValueError(f"png must be the bytes of a PNG file, but got {png[:8]!r}")
    taken = [name for name in _OWN_FACTS if name in facts]
    if taken:
        raise ValueError(f"facts must not hold {' and '.join(_OWN_FACTS)}, but got {taken[0]}")
    record = canonical_json({**facts, "key": key, "sha256": hash_bytes(png)}).encode("ascii")
    body = b"tEXt" + _KEYWORD + record
    length, check = len(record) + len(_KEYWORD), zlib.crc32(body)
    return png[:_HEADER_BYTES] + length.to_bytes(4, "big") + body + check.to_bytes(4, "big") + png[_HEADER_BYTES:]


def _read_record(key: str, data: bytes) -> dict[str, Any] | None:
    length = int.from_bytes(data[_HEADER_BYTES : _HEADER_BYTES + 4], "big")
    body = data[_HEADER_BYTES + 4 : _HEADER_BYTES + 8 + length]
    png = data[:_HEADER_BYTES] + data[_HEADER_BYTES + 12 + length :]
    try:
        record = json.loads(body.removeprefix(b"tEXt" + _KEYWORD))
        given = {name: value for name, value in record.items() if name not in _OWN_FACTS}
        # Made once more from what was read: one byte that differs, in the picture or in the facts, shows.
        return dict(record) if _with_record(key, png, given) == data else None
    except (ValueError, AttributeError, RecursionError):
        return None
