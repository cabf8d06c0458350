import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from evals.copying_eval import nearest
from lifeos.lora.dataset_lint import duplicates
from lifeos.lora.dataset_lint.duplicates import Signatures, disjoint_findings, duplicate_findings
from lifeos.lora.dataset_lint.image_facts import image_facts
from lifeos.lora.dataset_lint.rules import rule_book
from lifeos.settings import project_root

SHIPPED = sorted((project_root() / "personas/pistachio/dataset").glob("*.png"))


def facts(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return image_facts(buffer.getvalue(), "0" * 64)


def shipped(number=0):
    with Image.open(SHIPPED[number]) as image:
        return image.convert("RGB")


def signatures(*pictures):
    made = Signatures()
    for name, found in pictures:
        made.add(Path("dataset") / name, found)
    return made


def pair(changed):
    return duplicate_findings(signatures(("a.png", facts(shipped())), ("b.png", changed)))


def crop(image, share):
    width, height = image.size
    edge = (round(share * width), round(share * height))
    return image.crop((*edge, width - edge[0], height - edge[1]))


COPIES = {
    "jpeg": lambda image: facts(image, "JPEG", quality=30),
    "half": lambda image: facts(image.resize((64, 64))),
    "double": lambda image: facts(image.resize((256, 256))),
    "mirror": lambda image: facts(ImageOps.mirror(image)),
    "brighter": lambda image: facts(ImageEnhance.Brightness(image).enhance(1.2)),
    "crop": lambda image: facts(crop(image, 0.02)),
    "turned": lambda image: facts(image.rotate(2, resample=Image.Resampling.BILINEAR)),
}


@pytest.mark.parametrize("kind", COPIES)
def test_a_changed_copy_is_found(kind):
    (finding,) = pair(COPIES[kind](shipped()))
    assert finding.rule == "duplicate_near"
    assert finding.gate == "dataset_duplicates"


def test_equal_pixels_are_an_exact_duplicate():
    (finding,) = pair(facts(shipped(), compress_level=0))
    assert (finding.rule, finding.file.name, finding.got) == ("duplicate_exact", "b.png", "the same pixels as a.png")


def test_the_lesser_of_two_is_named():
    first, second = facts(shipped(), "JPEG", quality=90), facts(shipped())
    (finding,) = duplicate_findings(signatures(("a.jpg", first), ("b longer.png", second)))
    assert finding.file.name == "a.jpg"
    larger = facts(shipped().resize((256, 256)), "JPEG")
    (finding,) = duplicate_findings(signatures(("a.png", second), ("b.jpg", larger)))
    assert finding.file.name == "a.png"


def test_the_shipped_pictures_differ_and_lie_as_far_apart_as_the_rules_say():
    made = signatures(*((path.name, image_facts(path.read_bytes(), "")) for path in SHIPPED))
    assert duplicate_findings(made) == []
    rows = made.rows(0, len(made))
    closest = min(nearest(rows[index], np.delete(rows, index, 0)) for index in range(len(rows)))
    assert closest == pytest.approx(0.0113, abs=2e-4)
    assert closest > rule_book().limits.near_duplicate_distance


def test_rounding_the_signatures_moves_no_verdict():
    one, other = facts(shipped(0)), facts(shipped(1))
    made = signatures(("a.png", one), ("b.png", other))
    exact = nearest(one.signature_values(), other.signature_values())
    rounded = nearest(made.rows(0, 1)[0], made.rows(1, 2))
    assert abs(exact - rounded) < 1e-5


def test_references_that_are_trained_on():
    training = signatures(("a.png", facts(shipped(0))), ("b.png", facts(shipped(1))))
    held = Signatures()
    for name, found in (("x.png", facts(shipped(1), compress_level=0)), ("y.jpg", facts(shipped(0), "JPEG")),
                        ("z.png", facts(shipped(2)))):  # fmt: skip
        held.add(Path("references") / name, found)
    found = disjoint_findings(held, training)
    assert [(finding.rule, finding.file.name) for finding in found] == [
        ("reference_trained", "x.png"), ("reference_near", "y.jpg"),
    ]  # fmt: skip
    assert {finding.gate for finding in found} == {"persona_sane"}
    assert "dataset/b.png" in found[0].got


def test_blocks_do_not_change_what_is_found(monkeypatch):
    pictures = [(f"{number}.png", facts(shipped(number % 7), "PNG")) for number in range(7)]
    pictures += [(f"{number}c.jpg", facts(shipped(number), "JPEG", quality=40)) for number in range(7)]
    whole = duplicate_findings(signatures(*pictures))
    monkeypatch.setattr(duplicates, "_BLOCK", 3)
    assert duplicate_findings(signatures(*pictures)) == whole
    assert len(whole) == 7


def test_unreadable_and_blank_pictures_resemble_nothing():
    blank = facts(Image.new("RGB", (64, 64), (9, 9, 9)))
    assert len(signatures(("a.png", blank), ("b.png", blank), ("c.png", image_facts(b"", "0")))) == 0


def test_nothing_to_compare():
    assert duplicate_findings(Signatures()) == []
    assert disjoint_findings(signatures(("a.png", facts(shipped()))), Signatures()) == []
