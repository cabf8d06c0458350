import colorsys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.adherence_eval import (
    COLOURS,
    METRICS,
    Shown,
    Stated,
    corner_colour,
    is_colour,
    is_facing,
    measure_adherence,
    stated,
)
from evals.image_rows import UNSCORABLE

WORDS = ("frowning", "neutral", "smiling", "surprised")


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("photo of a pstch person, neutral, facing left, soft light, blue background", ("left", "blue", "neutral")),
        ("Photo of a person SMILING, looking at the camera, on a Gray  background", ("front", "grey", "smiling")),
        ("a man facing forward against a white studio backdrop", ("front", "white", None)),
        ("she smiles, looking to the right, red wall", ("right", "red", "smiling")),
        ("he frowns, facing the camera", ("front", None, "frowning")),
        ("a woman at the beach, golden light", (None, None, None)),
        ("neutral background, neutral light", (None, None, None)),
        ("facing left then facing right, red background or blue background", (None, None, None)),
        ("smiling, not frowning", (None, None, None)),
        ("the left hand, a red dress, right", (None, None, None)),
        ("", (None, None, None)),
    ],
)
def test_words_of_a_prompt(prompt, words):
    assert stated(prompt) == Stated(*words)


def on(rgb, side=128):
    """A face-coloured disc before one colour."""
    image = np.full((side, side, 3), rgb, np.uint8)
    rows, columns = np.mgrid[:side, :side]
    image[np.hypot(rows - side / 2, columns - side / 2) < side / 3] = (210, 160, 130)
    return image


@pytest.mark.parametrize(
    ("rgb", "names"),
    [
        ((0, 0, 0), {"black"}),
        ((128, 128, 128), {"grey"}),
        ((145, 145, 145), {"grey", "white"}),
        ((240, 240, 235), {"white"}),
        ((255, 0, 0), {"red"}),
        ((160, 35, 35), {"red"}),
        ((255, 165, 0), {"orange"}),
        ((255, 235, 0), {"yellow"}),
        ((0, 128, 0), {"green"}),
        ((40, 80, 170), {"blue"}),
        ((110, 180, 235), {"blue"}),
        ((128, 0, 128), {"purple"}),
    ],
)
def test_colours_have_their_names(rgb, names):
    colour = corner_colour(on(rgb))
    assert {name for name in COLOURS if is_colour(colour, name)} == names


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_hue_and_lightness_agree_with_hsv(hue, saturation, value):
    rgb = tuple(round(255 * part) for part in colorsys.hsv_to_rgb(hue, saturation, value))
    names = {name for name in COLOURS if is_colour(corner_colour(on(rgb)), name)}
    if saturation < 0.02 and 0.35 < value < 0.55:
        assert names == {"grey"}
    if saturation > 0.6 and value > 0.5:
        assert not names & {"black", "grey", "white"}
    if saturation > 0.6 and value > 0.5 and 0.30 < hue < 0.36:
        assert "green" in names


def test_only_the_upper_corners_are_looked_at():
    image = on((40, 80, 170))
    image[20:] = (255, 0, 0)
    assert is_colour(corner_colour(image), "blue")
    with pytest.raises(ValueError, match="mauve"):
        is_colour((50.0, 0.0, 0.0), "mauve")


def test_three_ways_to_face():
    assert [[is_facing(yaw, word) for word in ("left", "front", "right")] for yaw in (-25.0, -11.0, 3.0, 11.5)] == [
        [True, False, False],
        [False, True, False],
        [False, True, False],
        [False, False, True],
    ]
    with pytest.raises(ValueError, match="left, front, right"):
        is_facing(0.0, "up")


def shown(yaw=-20.0, background=(30.0, 18.0, -48.0), expression="smiling", readable=WORDS, reason=None):
    return Shown(yaw, background, expression, readable, reason)


PROMPT = "photo of a person, smiling, facing left, blue background"


def test_an_image_that_shows_what_is_named_follows():
    assert measure_adherence(PROMPT, shown()).values == dict.fromkeys(METRICS, 1.0)
    half = measure_adherence(PROMPT, shown(yaw=20.0, expression="neutral"))
    assert half.values["adherence"] == pytest.approx(1 / 3)
    assert (half.values["pose_follows"], half.values["expression_follows"]) == (0.0, 0.0)


def test_what_is_not_named_or_not_readable_is_not_counted():
    measured = measure_adherence("photo of a person facing left", shown())
    assert measured.values == {
        "adherence": 1.0,
        "pose_follows": 1.0,
        "background_follows": None,
        "expression_follows": None,
    }
    assert all(UNSCORABLE in reason for reason in measured.reasons.values())
    no_reader = measure_adherence(PROMPT, shown(expression=None, readable=()))
    assert (no_reader.values["adherence"], no_reader.values["expression_follows"]) == (1.0, None)
    for prompt in (None, "at the beach"):
        nothing = measure_adherence(prompt, shown())
        assert set(nothing.values.values()) == {None}
        assert set(nothing.reasons) == set(METRICS)
        assert all(UNSCORABLE in reason for reason in nothing.reasons.values())


def test_no_face_follows_nothing_and_too_small_a_face_is_unscorable():
    none = measure_adherence(PROMPT, shown(yaw=None, expression=None, reason="no face found"))
    assert none.values["adherence"] == pytest.approx(1 / 3)  # the background is there
    assert none.values["pose_follows"] == none.values["expression_follows"] == 0.0
    reason = "face too small, unscorable: 7.0 of 12.0 pixels between the eyes"
    small = measure_adherence("smiling, facing left", shown(yaw=None, expression=None, reason=reason))
    assert set(small.values.values()) == {None}
    assert small.reasons["adherence"] == reason
