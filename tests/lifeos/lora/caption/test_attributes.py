"""Against the demo persona's own captions, which name what its renders show; and against pictures made to order."""

import os

import numpy as np
import pytest
import skimage.data
from PIL import Image

from evals.adherence_eval import stated
from evals.faces import find_faces, open_backend
from evals.images import read_image
from lifeos.expressions import reader_of
from lifeos.lora.caption import attributes
from lifeos.lora.caption.attributes import KINDS, background_word, measure_attributes, shot_word, tilt_word
from lifeos.settings import project_root

ROOT = project_root()
DATASET = ROOT / "personas/pistachio/dataset"


@pytest.fixture(scope="module")
def faces():
    return open_backend("yunet_sface", ROOT / "models/faces")


@pytest.fixture(scope="module")
def shown(faces):
    """What each training image shows, with its shipped caption."""
    reader = reader_of(ROOT / "models/tiny-base")
    found = []
    for path in sorted(DATASET.glob("*.png")):
        image = read_image(path)
        face = find_faces(faces, image)[0]
        caption = path.with_suffix(".txt").read_text(encoding="utf-8")
        found.append((measure_attributes(image, face.points, face.box, None, reader, rendered=True), caption))
    return found


def agreement(shown, kind, phrase):
    """(named, named as the caption does) over the training images."""
    named = [(one.words[kind], phrase(caption)) for one, caption in shown if kind in one.words]
    return len(named), sum(measured == said for measured, said in named)


def test_the_table_of_the_documentation(shown):
    light = {True: "hard light", False: "soft light"}
    measured = {
        "expression": agreement(shown, "expression", lambda text: stated(text).expression),
        "facing": agreement(shown, "facing", lambda text: f"facing {stated(text).facing}"),
        "hardness": agreement(shown, "hardness", lambda text: light["hard light" in text]),
        "background": agreement(shown, "background", lambda text: f"{stated(text).background} background"),
    }
    assert len(shown) == 62
    assert measured == {
        "expression": (62, 60), "facing": (62, 62), "hardness": (55, 55), "background": (62, 62),
    }  # fmt: skip
    written = (ROOT / "docs/captions.md").read_text(encoding="utf-8")
    for kind, (named, right) in measured.items():
        assert f"| `{kind}` | {named} | {right} |" in written, kind


def test_nothing_else_is_named_of_an_even_upright_set(shown):
    assert {one.words["shot"] for one, _ in shown} == {"close-up"}
    assert not [one for one, _ in shown if "tilt" in one.words]


def test_the_side_of_the_light_changes_with_the_mirror_image(faces):
    other = {"left": "right", "right": "left"}
    named = 0
    for path in sorted(DATASET.glob("*.png"))[:12]:
        image = read_image(path)
        words = []
        for picture in (image, np.ascontiguousarray(image[:, ::-1])):
            face = find_faces(faces, picture)[0]
            words.append(measure_attributes(picture, face.points, face.box, None).words)
        assert words[0].get("facing", "")[7:] == other.get(words[1]["facing"][7:], "front")
        if "side" in words[0] and "side" in words[1]:
            named += 1
            assert words[0]["side"].split()[-1] == other[words[1]["side"].split()[-1]]
    assert named >= 6


@pytest.mark.parametrize(("degrees", "word"), [(-25, "head tilted right"), (0, None), (25, "head tilted left")])
def test_tilt_is_that_of_the_turned_picture(faces, degrees, word):
    for name in ("0001", "0010", "0041"):
        with Image.open(DATASET / f"{name}.png") as opened:
            turned = np.asarray(opened.convert("RGB").rotate(degrees, resample=Image.Resampling.BICUBIC))
        assert tilt_word(find_faces(faces, turned)[0].points) == word


def test_a_photograph(faces):
    """A portrait by NASA: what is said of it is what anybody sees; what needs renders is not said."""
    image = read_image(os.path.join(os.path.dirname(skimage.data.__file__), "astronaut.png"))
    face = find_faces(faces, image)[0]
    found = measure_attributes(image, face.points, face.box, None)
    assert {kind: found.words[kind] for kind in ("facing", "background", "shot")} == {
        "facing": "facing front", "background": "busy background", "shot": "medium shot",
    }  # fmt: skip
    assert set(found.missing) == {"expression", "hardness"}


def test_without_a_face_only_the_background_is_said():
    grey = np.full((64, 64, 3), 128, dtype=np.uint8)
    found = measure_attributes(grey, None, None, "no face found")
    assert dict(found.words) == {"background": "grey background"}
    assert (found.brightness, found.warmth) == (None, None)
    assert dict(found.missing) == dict.fromkeys(set(KINDS) - {"background"}, "no face found")


def test_backgrounds():
    picture = np.zeros((200, 100, 3), dtype=np.uint8)
    for name, colour in (("blue", (30, 70, 170)), ("white", (235, 235, 230)), ("red", (150, 30, 30))):
        picture[:] = colour
        picture[60:, 20:80] = (200, 150, 130)
        assert background_word(picture) == f"{name} background"
    # One side red, the other of the corners' colour: neither one colour nor busy.
    picture[:, :50], picture[:, 50:] = (30, 70, 170), (30, 72, 171)
    picture[8:24, :5] = (150, 30, 30)
    picture[8:24, -5:] = (150, 30, 30)
    assert background_word(picture) is None
    noise = np.random.default_rng(0).integers(0, 256, (200, 100, 3), dtype=np.uint8)
    assert background_word(noise) == "busy background"


@pytest.mark.parametrize(
    ("share", "word"),
    [
        (0.9, "close-up"),
        (0.45, "close-up"),
        (0.449, "head and shoulders"),
        (0.279, "medium shot"),
        (0.149, "wide shot"),
    ],
)
def test_shots(share, word):
    assert shot_word(share) == word


def test_points_that_coincide_say_nothing_of_the_pose():
    assert attributes.facing_word(np.ones((5, 2), dtype=np.float32)) is None
