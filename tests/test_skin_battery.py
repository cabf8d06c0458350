"""The battery's own arithmetic, and that docs/skin-battery.md says what its JSON holds."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.skin_battery.__main__ import main
from benchmarks.skin_battery.degrade import DEGRADATIONS, exposed
from benchmarks.skin_battery.measure import METRICS, Measured, is_calibration
from benchmarks.skin_battery.renders import FIRST_PERSON, PEOPLE_A_SHARD, TONES
from benchmarks.skin_battery.report import tables, verdict
from benchmarks.skin_battery.statistics import area_under_curve, bands_of, flagged, limits, scores

DOCS = Path(__file__).resolve().parent.parent / "docs"
VALUES = st.lists(st.integers(-5, 5), min_size=1, max_size=30)


@given(VALUES, VALUES)
@settings(max_examples=60, deadline=None)
def test_the_area_is_that_of_scipy(changed, clean):
    from scipy.stats import mannwhitneyu

    area, error = area_under_curve(np.array(changed, float), np.array(clean, float))
    expected = mannwhitneyu(changed, clean, method="asymptotic").statistic / (len(changed) * len(clean))
    assert area == pytest.approx(expected)
    assert 0 <= error <= 0.51


def test_the_error_of_the_area_is_what_repeated_samples_show():
    generator = np.random.default_rng(0)
    drawn = [area_under_curve(generator.normal(1, 1, 80), generator.normal(0, 1, 80)) for _ in range(300)]
    assert np.mean([error for _, error in drawn]) == pytest.approx(np.std([area for area, _ in drawn]), rel=0.15)


def test_nothing_to_compare_has_no_area_and_nothing_to_count_no_share():
    assert area_under_curve(np.array([np.nan]), np.array([1.0])) is None
    row = flagged(np.array([np.nan, np.nan]), (-1.0, 1.0))
    assert (row["share"], row["n"], row["unscorable"]) == (None, 0, 2)
    assert verdict(None) == "not measured"
    assert (verdict(3.0), verdict(3.01)) == ("within", "MISSED")


def test_unscorable_pictures_are_neither_inside_nor_outside():
    row = flagged(np.array([0.0, 5.0, -5.0, np.nan]), (-1.0, 1.0))
    assert (row["n"], row["unscorable"]) == (3, 1)
    assert (row["share"], row["below"]) == (pytest.approx(2 / 3), pytest.approx(1 / 3))


def test_the_rule_leaves_outside_what_it_says():
    assert flagged(values := np.random.default_rng(1).normal(size=4000), limits(values))["share"] == pytest.approx(0.05)


def test_scores_are_those_of_the_judge_and_missing_where_a_feature_is():
    generator = np.random.default_rng(2)
    values = generator.normal(size=(40, len(METRICS)))
    values[0, 0] = math.nan
    names = np.array([""] * 40)
    given_scores = scores(measured := Measured(np.arange(40), names, names, values, names), bands_of(measured))
    assert math.isnan(given_scores[0])
    assert np.isfinite(given_scores[1:]).all()


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_a_change_keeps_the_form_and_repeats(name):
    image = np.random.default_rng(3).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    one, two = (DEGRADATIONS[name].apply(image.copy(), 40.0, 7) for _ in range(2))
    assert (one.dtype, one.shape) == (np.uint8, image.shape)
    assert (one == two).all()
    assert (one == image).all() == (name == "none")


@given(st.integers(0, 255), st.sampled_from([0.25, 0.5, 2.0]))
@settings(deadline=None)
def test_exposure_is_that_of_linear_light(level, factor):
    from skimage.color import rgb2xyz

    before = np.full((1, 1, 3), level, np.uint8)
    after = exposed(factor)(before, 40.0, 0)
    wanted = min(1.0, factor * rgb2xyz(before)[0, 0, 1])
    steps = [rgb2xyz(np.clip(after.astype(int) + step, 0, 255).astype(np.uint8))[0, 0, 1] for step in (-1, 1)]
    assert steps[0] - 1e-6 <= wanted <= steps[1] + 1e-6


def test_halves_share_no_person_and_people_are_of_no_other_set():
    import tomllib

    seeds = tomllib.loads((DOCS.parent / "models" / "tiny-base" / "build" / "seeds.toml").read_text(encoding="utf-8"))
    known = seeds["identities"]
    assert max(known["base"][1], known["impostors"][1], known["persona"], *known["further_personas"]) < FIRST_PERSON
    assert {is_calibration(number) for number in range(4)} == {True, False}
    assert PEOPLE_A_SHARD == 10


def test_a_folder_without_renders_is_refused(tmp_path, capsys):
    assert main([str(tmp_path)]) == 2
    assert "got none" in capsys.readouterr().err


def results_of_docs():
    return json.loads((DOCS / "skin-battery.json").read_text(encoding="utf-8"))


class TestDocs:
    def test_every_table_is_that_of_the_results(self):
        text = (DOCS / "skin-battery.md").read_text(encoding="utf-8")
        written = dict(re.findall(r"<!-- ([a-z-]+) -->\n((?:\|.*\n)+)", text))
        assert {name: table.rstrip("\n") for name, table in written.items()} == tables(results_of_docs())

    def test_a_thousand_renders_for_each_tone(self):
        assert all(results_of_docs()["counts"][tone]["renders"] >= 1000 for tone in TONES)

    def test_files_are_small(self):
        assert (DOCS / "skin-battery.json").stat().st_size <= 60_000
        assert (DOCS / "skin-battery.png").stat().st_size <= 150_000
