from pathlib import Path

import pytest
from PIL import Image, ImageOps

from lifeos.lora.dataset_lint.image_facts import ImageFacts
from lifeos.lora.dataset_lint.images import image_findings

PATH = Path("dataset/0001.png")


def facts(**changes):
    return ImageFacts(**{"digest": "0", "format": "PNG", "mode": "RGB", "width": 128, "height": 128, "pixels": "x",
                         **changes})  # fmt: skip


def found(changed, buckets=((128, 128),), **options):
    return [finding.rule for finding in image_findings(PATH, changed, buckets, **options)]


def test_a_sound_picture():
    assert found(facts()) == []


@pytest.mark.parametrize(("changes", "rule"), [
    ({"problem": "an empty file"}, "image_unreadable"),
    ({"format": "WEBP", "pixels": None}, "image_format"),
    ({"frames": 3, "pixels": None}, "image_format"),
    ({"orientation": 6}, "image_orientation"),
    ({"alpha": "transparent", "pixels": None}, "image_transparent"),
    ({"mode": "CMYK", "pixels": None}, "image_mode"),
    ({"blank": True}, "image_blank"),
    ({"width": 127}, "image_small"),
    ({"width": 256}, "image_cropped"),
    ({"mode": "P"}, "image_palette"),
    ({"mode": "L", "grey": True}, "image_grey"),
    ({"mode": "RGBA", "alpha": "opaque"}, "image_opaque_alpha"),
])  # fmt: skip
def test_one_fault_is_one_finding(changes, rule):
    (finding,) = image_findings(PATH, facts(**changes), [(128, 128)])
    assert finding.rule == rule
    assert "0001.png" in finding.fix
    assert finding.line.startswith("dataset/0001.png: accepted ")


def test_a_reference_is_asked_for_less():
    assert found(facts(width=64, height=500, mode="P"), of_references=True) == []
    (finding,) = image_findings(PATH, facts(orientation=3), of_references=True)
    assert finding.gate == "persona_sane"


def test_several_faults_are_all_said():
    assert found(facts(orientation=8, width=64, height=64)) == ["image_orientation", "image_small"]


def test_enlarging_is_what_pillow_does():
    # A picture one pixel too narrow is enlarged by the trainer's own function.
    small = Image.new("RGB", (127, 500))
    assert ImageOps.fit(small, (128, 128)).size == (128, 128)
    assert found(facts(width=127, height=500)) == ["image_small"]
