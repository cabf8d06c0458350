"""Folders of photographs: scenes in colours as cameras would write them; no faces are needed."""

import numpy as np
import pytest
from PIL import Image

from lifeos.new_persona.plan import Request, plan_persona
from lifeos.settings import project_root
from tests.lifeos.new_persona import photographs as made


def scene(seed, width=200, height=160):
    """Another picture each: colours in large smooth patches."""
    small = np.random.default_rng(seed).integers(0, 255, (6, 6, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


@pytest.fixture
def folder(tmp_path):
    """Twenty photographs of twenty moments, in a folder with spaces and other letters."""
    folder = tmp_path / "Fotos äöü 人"
    folder.mkdir()
    for number in range(20):
        kind, suffix = (("JPEG", "jpg"), ("PNG", "png"), ("WEBP", "webp"), ("HEIF", "HEIC"))[number % 4]
        metadata = made.exif(taken=f"2024:05:01 12:{number:02}:00", gps=True)
        (folder / f"IMG {number:02}.{suffix}").write_bytes(made.encoded(scene(number), kind, exif=metadata))
    return folder


@pytest.fixture
def plan(folder, tmp_path):
    """Plans a persona of that folder on the shipped base; faces are not looked at unless asked."""
    (tmp_path / "into").mkdir()

    def build(**changes):
        asked = {"into": tmp_path / "into", "name": "Anna", "faces": False, **changes}
        return plan_persona(Request(asked.pop("photographs", folder), **asked), project_root())

    return build
