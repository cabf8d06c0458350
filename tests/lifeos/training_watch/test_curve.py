import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeos.training_watch.curve import CURVE_NAME, CurvePoint, read_curve, write_curve
from lifeos.training_watch.news import news_of


def point(step=100, **changes):
    return CurvePoint(**{
        "step": step, "lora": "0" * 64, "images": 8, "likeness": 0.5, "likeness_interval": (0.4, 0.6),
        "likeness_by_prompt": {"A1": 0.45, "A2": 0.55}, "face_rate": 0.875, "skin_z": -0.5, "skin_scored": 7,
        "copy_nearest": 0.04, "copies": 0, "ruled_out": {}, "loss": 0.1, "gradient_norm": 0.2, "weight_norm": 3.0,
        "learning_rate": 1e-3, "d": None, "seconds_per_step": 0.2, "expected_seconds_per_step": 0.2, **changes,
    })  # fmt: skip


def test_a_look_is_one_line():
    (line,) = point(d=1e-3, ruled_out={"face_rate": "too few"}).lines()
    assert line == ("step 100: likeness 0.500 +- 0.100, skin z -0.50, 0 copies, nearest 0.0400, one face in 88%, "
                    "loss 0.1000, d 1.00e-03, 0.2 s a step, ruled out by face_rate")  # fmt: skip
    (bare,) = point(skin_z=None, copy_nearest=None, loss=None, seconds_per_step=None).lines()
    assert "no skin to score, 0 copies, one face" in bare


@pytest.mark.parametrize(("seconds", "expected", "told"), [
    (0.41, 0.2, "2.0 times"), (0.4, 0.2, None), (9.0, None, None), (None, 0.2, None), (1.0, 0.0, None),
])  # fmt: skip
def test_a_rate_under_half_of_the_first_steps_is_a_second_line(seconds, expected, told):
    lines = point(seconds_per_step=seconds, expected_seconds_per_step=expected).lines()
    assert len(lines) == 1 + (told is not None)
    assert told is None or told in lines[1]


@given(st.integers(0, 3), st.binary(max_size=30))
def test_what_was_written_comes_back_up_to_what_is_not_whole(tmp_path_factory, count, torn):
    folder = tmp_path_factory.mktemp("curve")
    points = [point(step) for step in range(1, count + 1)]
    write_curve(folder, points)
    with (folder / CURVE_NAME).open("ab") as file:
        file.write(torn.replace(b"\n", b" ") + b"\n{}\n")
    assert read_curve(folder) == points


def test_no_curve_is_an_empty_one(tmp_path):
    assert read_curve(tmp_path) == []


def test_news_are_told_once_and_not_again_after_a_kill(tmp_path):
    write_curve(tmp_path, [point(1), point(2)])
    news = news_of(tmp_path)
    assert news() == []
    write_curve(tmp_path, [point(1)])  # resumed: step 2 is repeated
    assert news() == []
    write_curve(tmp_path, [point(1), point(2), point(3), point(4, seconds_per_step=1.0)])
    assert [line.split(":")[0] for line in news()] == ["step 3", "step 4", "step 4"]
    assert news() == []
    assert news_of(tmp_path / "none")() == []
