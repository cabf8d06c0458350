"""A calibration in words."""

from dataclasses import replace

from lifeos.report.calibration_lines import calibration_lines, calibration_notes
from tests.lifeos.report.test_calibration_plot import made


def test_every_threshold_and_count_is_said():
    calibration = replace(made()[0], domain={"width": 64, "height": 64})
    text = "\n".join(calibration_lines(calibration))
    assert all(name in text for name in calibration.thresholds)
    assert "references 12, impostors 400, impostor_images 400" in text
    assert "nulls 40" in text


def test_null_seeds_alone_are_said_with_their_number():
    calibration = made()[0]
    alone = {**calibration.counts, "impostors": 0, "nulls": 299, "null_seeds": 304}
    alone = replace(calibration, counts=alone, domain={"width": 64, "height": 64})
    assert "nulls 299 in 304 null seeds" in calibration_lines(alone)[0]
    assert "299 faces of the base without a LoRA (304 null seeds) and nobody else" in calibration_notes(alone)[0]


def test_a_missing_band_of_skin_says_what_it_costs_and_a_whole_calibration_has_no_note():
    calibration = replace(made()[0], domain={"width": 64, "height": 64})
    assert [note.split(":")[0] for note in calibration_notes(calibration)] == ["no band of skin", "no limit for copies"]
    whole = replace(
        calibration,
        thresholds={**calibration.thresholds, "skin_z_low": -1.0},
        counts={**calibration.counts, "held_out_copy": 12},
    )
    assert calibration_notes(whole) == []
