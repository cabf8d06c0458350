"""Images by what they were made from: an image that exists is never made again."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evals.atomic import write_bytes, write_json
from evals.content_hash import hash_bytes

_KEY = re.compile(r"[0-9a-f]{64}")


class ImageStore:
    """A folder of PNG files named by key, each with its facts (JSON) beside it.

    An image counts as there only when its bytes still have the hash that was recorded, so a half-written, damaged or
    swapped file is made again instead of judged.
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
        facts = self.facts(key)
        try:
            return facts is not None and hash_bytes(self.path_for(key).read_bytes()) == facts.get("sha256")
        except OSError:
            return False

    def facts(self, key: str) -> dict[str, Any] | None:
        """Return what was recorded with the image (``sha256`` and what the caller gave), or None."""
        try:
            facts = json.loads(self.path_for(key).with_suffix(".json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return facts if isinstance(facts, dict) else None

    def put(self, key: str, png: bytes, facts: Mapping[str, Any]) -> Path:
        """Store an image; whoever looks sees it whole or not at all.

        Raises:
            OSError: the folder cannot be written.
        """
        path = self.path_for(key)
        write_bytes(path, png)
        # The facts come last: without them the image does not count.
        write_json(path.with_suffix(".json"), {**facts, "key": key, "sha256": hash_bytes(png)})
        return path
