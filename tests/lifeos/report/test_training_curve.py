"""The picture and the page of a training run."""

import re

import pytest

from lifeos.lora.training_log import LogEntry
from lifeos.report.training_curve import PAGE_NAME, PICTURE_NAME, CurveLimits, draw_training_curve, write_training_curve
from tests.lifeos.report.test_calibration_plot import made, pixels
from tests.lifeos.training_watch.test_curve import point

LIMITS = CurveLimits(0.6, (-2.0, 2.0), 0.005)


def log(count, d=None):
    return [LogEntry(step, 1.0 / step, 1e-3, 0.2, 3.0, d and d * step, 0.5) for step in range(1, count + 1)]


def looks(*likeness):
    return [
        point(100 * number, likeness=value, likeness_interval=(value - 0.05, value + 0.05))
        for number, value in enumerate(likeness, 1)
    ]


def values_of(axes):
    return [list(line.get_ydata()) for line in axes.get_lines()]


def test_every_look_and_limit_is_on_it():
    points = [*looks(0.4, 0.7), point(300, ruled_out={"copy_image": "x"}, copy_nearest=0.001, copies=1, skin_z=None)]
    figure = draw_training_curve(points, log(300, d=1e-4), LIMITS)
    likeness, skin, copying, loss, size = figure.axes
    assert [0.4, 0.7, 0.5] in values_of(likeness)
    assert values_of(likeness)[1:3] == [[0.4, 0.7], [0.5]]  # looks that stand, looks that are ruled out
    assert [0.6, 0.6] in values_of(likeness)
    assert [-0.5, -0.5] in values_of(skin)  # the third has no skin to score
    assert [0.04, 0.04, 0.001] in values_of(copying)
    assert [0.005, 0.005] in values_of(copying)
    assert size.get_ylabel() == "d x learning rate"
    assert size.get_yscale() == "log"
    assert draw_training_curve(points, log(300), LIMITS).axes[4].get_yscale() == "linear"
    assert size.get_lines()[0].get_ydata()[0] == pytest.approx(1e-7)
    assert len(loss.get_lines()[0].get_xdata()) == 60  # five steps a point


def test_page_and_picture_are_whole_small_and_the_same_twice(tmp_path):
    for name in ("a", "b"):
        write_training_curve(tmp_path / name, "<b>$x$</b>", looks(0.4, 0.7), log(200), LIMITS)
    first, second = ((tmp_path / name / PAGE_NAME).read_text(encoding="utf-8") for name in ("a", "b"))
    assert first == second
    assert "&lt;b&gt;$x$&lt;/b&gt;" in first
    assert not re.search(r"(src|href)=.(?!data:|#)", first)
    assert re.findall(r"<tr><td>(\d+)</td><td>([\d.]+)</td>", first) == [("100", "0.400"), ("200", "0.700")]
    assert (tmp_path / "a" / PICTURE_NAME).read_bytes() == (tmp_path / "b" / PICTURE_NAME).read_bytes()
    assert (tmp_path / "a" / PICTURE_NAME).stat().st_size < 40_000
    assert pixels(tmp_path / "a" / PICTURE_NAME).std() > 10


def test_one_look_without_any_limit_is_drawn(tmp_path):
    write_training_curve(tmp_path, "p", [point(copy_nearest=None, skin_z=None)], [], CurveLimits(None, None, None))
    assert (tmp_path / PICTURE_NAME).exists()


def test_limits_are_those_of_the_calibration():
    calibration, _ = made()
    limits = CurveLimits.of(calibration)
    assert limits == CurveLimits(calibration.threshold("tau"), None, None)
