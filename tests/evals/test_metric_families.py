"""The wiring of metric families, on families made here."""

import math

import numpy as np
import pytest

from evals import metric_families
from evals.metric_families import Measured, MetricFamily, Picture, families, measure_families

IMAGE = np.zeros((16, 16, 3), np.uint8)
PICTURE = Picture(IMAGE, None, "no face found", 23.0)


@pytest.fixture
def only(monkeypatch):
    def put(*made):
        monkeypatch.setattr(metric_families, "families", lambda: made)

    return put


def test_families_of_this_package_name_their_metrics_and_bands():
    for family in families():
        assert family.metrics
        assert len(family.calibration_keys) == 2 * len(family.metrics)
        assert set(family.measure(PICTURE).values) == set(family.metrics)


def test_all_families_are_measured_in_one(only):
    one = MetricFamily(("gloss", "tone"), lambda picture: Measured({"gloss": np.float32(0.5), "tone": 2}))
    two = MetricFamily(("grain",), lambda picture: Measured({"grain": None}, {"grain": picture.reason}))
    only(one, two)
    measured = measure_families(PICTURE)
    assert measured.values == {"gloss": 0.5, "tone": 2.0, "grain": None}
    assert all(value is None or type(value) is float for value in measured.values.values())
    assert measured.reasons == {"grain": "no face found"}


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (Measured({}), "must measure"),
        (Measured({"gloss": 1.0, "other": 1.0}), "must measure"),
        (Measured({"gloss": None}), "needs a reason"),
        (Measured({"gloss": None}, {"gloss": ""}), "needs a reason"),
        (Measured({"gloss": math.nan}), "finite"),
        (Measured({"gloss": math.inf}), "finite"),
    ],
)
def test_what_a_family_may_not_give_is_refused(only, given, named):
    only(MetricFamily(("gloss",), lambda picture: given))
    with pytest.raises(ValueError, match=named):
        measure_families(PICTURE)


def test_a_metric_belongs_to_one_family(monkeypatch):
    import evals.copying_eval
    import evals.face_similarity_eval

    for module in (evals.copying_eval, evals.face_similarity_eval):
        monkeypatch.setattr(module, "FAMILY", MetricFamily(("gloss",), lambda picture: Measured({})), raising=False)
    families.cache_clear()
    try:
        with pytest.raises(ValueError, match="gloss is shared"):
            families()
    finally:
        monkeypatch.undo()
        families.cache_clear()


@pytest.mark.parametrize(("points", "reason"), [(None, None), (None, ""), (np.zeros((5, 2)), "no face")])
def test_a_picture_has_points_or_a_reason(points, reason):
    with pytest.raises(ValueError, match="points or a reason"):
        Picture(IMAGE, points, reason, 23.0)
