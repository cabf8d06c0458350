"""The picture of a calibration."""

import numpy as np
from PIL import Image

from evals.calibration import build_calibration
from lifeos.calibrate import Similarities
from lifeos.report.calibration_plot import draw_calibration


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def made(persona="p", nulls=40):
    rng = np.random.default_rng(0)
    own = unit(np.eye(1, 16) + 0.1 * rng.normal(size=(12, 16)))
    strangers, bare = unit(rng.normal(size=(400, 16))), unit(rng.normal(size=(max(nulls, 1), 16)))[:nulls]
    calibration = build_calibration(
        persona, {"name": "b"}, {"base": "x"}, own, strangers, strangers, bare, [], [], 0.01
    )
    centre = np.asarray(calibration.centroid)
    return calibration, Similarities(own @ centre, strangers @ centre, bare @ centre)


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"), dtype=int)


def test_draws_all_groups_and_is_the_same_twice(tmp_path):
    calibration, similarities = made()
    draw_calibration(calibration, similarities, tmp_path / "new" / "a.png")
    draw_calibration(calibration, similarities, tmp_path / "b.png")
    assert (tmp_path / "new" / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert pixels(tmp_path / "b.png").shape == (504, 1080, 3)


def test_what_it_shows_moves_the_picture(tmp_path):
    calibration, similarities = made()
    draw_calibration(calibration, similarities, tmp_path / "a.png")
    moved = Similarities(similarities.genuine - 0.2, similarities.impostors, similarities.nulls)
    draw_calibration(calibration, moved, tmp_path / "b.png")
    first, second = pixels(tmp_path / "a.png"), pixels(tmp_path / "b.png")
    assert (np.abs(first - second).sum(axis=2) > 30).mean() > 0.002


def test_no_nulls_and_a_name_with_markup_are_drawn(tmp_path):
    calibration, similarities = made("$x_{1}$ <b>", nulls=0)
    draw_calibration(calibration, similarities, tmp_path / "a.png")
    assert pixels(tmp_path / "a.png").std() > 10
