import json
import math

import numpy as np
import pytest
import scipy.stats

from evals.calibration import Calibration, build_calibration, load_calibration
from evals.calibration_statistics import genuine_quantile, metric_bands, skin_bands, skin_z_band
from evals.errors import InputError
from evals.inference import comparisons_needed
from evals.policy import CALIBRATION_KEYS
from evals.skin_realism_eval import FEATURE_SIGNS, skin_z

BACKEND = {"name": "yunet_sface", "weights": {"sface.onnx": "ab"}, "licence": "Apache-2.0", "detector_size": 320}
DOMAIN = {"base": "cd", "width": 128, "height": 128, "sampler": "euler"}


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def skin(rng, count):
    return [
        dict(zip(FEATURE_SIGNS, map(float, row), strict=True))
        for row in rng.normal(0, 0.3, (count, len(FEATURE_SIGNS)))
    ]


def people(seed=0, impostors=320, nulls=0, noise=0.5, references=16):
    rng = np.random.default_rng(seed)
    persona = rng.normal(size=32)
    strangers = unit(rng.normal(size=(impostors, 32)))
    return {
        "references": unit(persona + noise * rng.normal(size=(references, 32))),
        "impostors": strangers,
        "impostor_images": unit(np.repeat(strangers, 2, axis=0) + 0.05 * rng.normal(size=(2 * impostors, 32))),
        "nulls": unit(rng.normal(size=(nulls, 32))) if nulls else np.zeros((0, 32)),
        "training": unit(persona + noise * rng.normal(size=(24, 32))),
        "reference_skin": skin(rng, references),
        "held_out_copy": list(rng.uniform(0.3, 0.5, references)),
    }


def built(name="pistachio", far=0.01, **changes):
    given = {**people(), **changes}
    return build_calibration(name, BACKEND, DOMAIN, far=far, **given)


def test_every_threshold_is_derived_and_tau_lies_where_stated():
    data = people(nulls=50)
    made = built(**data)
    centre = unit(data["references"].mean(axis=0, keepdims=True))[0]
    assert set(made.thresholds) == set(CALIBRATION_KEYS)
    assert all(value is not None for value in made.thresholds.values())
    assert made.centroid == pytest.approx(tuple(centre))
    tau = made.threshold("tau")
    for group in ("impostors", "impostor_images", "nulls"):
        assert (data[group] @ centre > tau + 1e-12).mean() <= 0.01
    expected = max(
        np.quantile(data[g] @ centre, 0.99, method="higher") for g in ("impostors", "impostor_images", "nulls")
    )
    assert tau == pytest.approx(expected)
    assert made.threshold("impostor_mean") < tau < made.threshold("genuine_mean")
    low, high = made.tau_interval
    assert low <= tau
    assert high is None or tau <= high
    assert made.threshold("copy_image_distance") == pytest.approx(min(data["held_out_copy"]) / 2)


def test_the_false_accept_bound_is_clopper_pearsons():
    data = people()
    made = built(**data)
    hits = int((data["impostors"] @ np.array(made.centroid) > made.threshold("tau")).sum())
    expected = scipy.stats.binomtest(hits, 320, alternative="less").proportion_ci(0.95, method="exact").high
    assert made.far_upper == pytest.approx(expected)


def test_the_group_most_like_the_persona_sets_tau():
    data = people(nulls=60)
    near = unit(data["nulls"] + 0.3 * data["references"].mean(axis=0))
    assert built(**{**data, "nulls": near}).tau_group == "nulls"
    assert built(**{**data, "nulls": near}).threshold("tau") > built(**data).threshold("tau")


def test_genuine_figures_leave_each_reference_out():
    data = people(references=19)
    sims = [
        float(row @ unit(np.delete(data["references"], i, axis=0).mean(axis=0, keepdims=True))[0])
        for i, row in enumerate(data["references"])
    ]
    made = built(**data)
    assert made.threshold("genuine_mean") == pytest.approx(np.mean(sims))
    assert made.threshold("genuine_p95") == pytest.approx(np.quantile(sims, 0.95))


def test_null_seeds_alone_calibrate_and_their_number_is_kept():
    data = people(nulls=299)
    alone = {**data, "impostors": np.zeros((0, 0)), "impostor_images": np.zeros((0, 0))}
    made = built(**alone, null_seeds=304)
    centre = np.array(made.centroid)
    assert made.tau_group == "nulls"
    assert made.threshold("tau") == pytest.approx(np.quantile(data["nulls"] @ centre, 0.99, method="higher"))
    assert made.threshold("impostor_mean") == made.threshold("null_mean")
    assert made.threshold("impostor_p99") is None
    assert (made.counts["impostors"], made.counts["nulls"], made.counts["null_seeds"]) == (0, 299, 304)
    assert made.far_upper < 0.03
    assert Calibration.from_json(made.to_json()) == made
    with pytest.raises(InputError, match=r"at least 299 .* null seeds, got 298; next: add 1 more"):
        built(**{**alone, "nulls": data["nulls"][:298]})
    with pytest.raises(InputError, match="impostors"):
        built(**{**alone, "nulls": data["nulls"][:1]})


@pytest.mark.parametrize("count", [4, 5, 8, 18])
def test_few_references_give_wider_bands_never_narrower(count):
    data = people(references=count)
    made = built(**data)
    sims = [
        float(row @ unit(np.delete(data["references"], i, axis=0).mean(axis=0, keepdims=True))[0])
        for i, row in enumerate(data["references"])
    ]
    assert made.threshold("genuine_p95") >= max(sims) - 1e-12
    assert made.threshold("genuine_p05") <= min(sims) + 1e-12
    # Independent of the code: the upper end of scipy's prediction of one more value.
    half = scipy.stats.t.ppf(0.95, count - 1) * np.std(sims, ddof=1) * np.sqrt(1 + 1 / count)
    assert made.threshold("genuine_p95") == pytest.approx(max(np.mean(sims) + half, *sims))


@pytest.mark.parametrize(("count", "most"), [(5, 0.06), (8, 0.06), (18, 0.06), (50, 0.07)])
def test_one_more_genuine_value_stays_under_the_bound_as_often_as_stated(count, most):
    rng = np.random.default_rng(count)
    above = [np.mean(rng.normal(size=200) > genuine_quantile(rng.normal(size=count), 0.95)) for _ in range(600)]
    assert np.mean(above) < most
    values = rng.normal(size=count)
    assert genuine_quantile(-values, 0.05) == pytest.approx(-genuine_quantile(values, 0.95))


@pytest.mark.parametrize(("far", "count"), [(0.01, 298), (0.001, 320)])
def test_a_rate_that_the_comparisons_cannot_carry_is_refused_with_the_number_needed(far, count):
    with pytest.raises(InputError, match=f"at least {comparisons_needed(far)} independent.*got {count}"):
        built(far=far, **people(impostors=count))
    assert built(far=0.01, **people(impostors=200, nulls=99)).counts["comparisons"] == 299


def test_renaming_the_persona_moves_no_threshold_and_another_persona_moves_them():
    one, renamed, other = built(), built("cashew"), built(**people(seed=9))
    assert one.thresholds == renamed.thresholds
    assert one.content_hash == renamed.content_hash
    assert one.thresholds["tau"] != other.thresholds["tau"]
    assert one.content_hash != other.content_hash
    assert one.references_hash != other.references_hash


def test_json_round_trip_and_file(tmp_path):
    made = built(nulls=np.zeros((0, 32)))
    made.save(tmp_path / "calibration.json")
    read = load_calibration(tmp_path / "calibration.json")
    assert read == made
    assert read.content_hash == made.content_hash


def test_it_is_bound_to_backend_and_domain():
    made = built()
    assert made.mismatch(BACKEND, DOMAIN) is None
    assert made.mismatch(dict(reversed(BACKEND.items())), json.loads(json.dumps(DOMAIN))) is None
    assert "detector_size" in made.mismatch({**BACKEND, "detector_size": 640}, DOMAIN)
    assert "width" in made.mismatch(BACKEND, {**DOMAIN, "width": 256})
    assert "not stated" in made.mismatch(None, DOMAIN)
    assert "not stated" in made.mismatch(BACKEND, None)


def test_what_was_not_handed_in_has_no_threshold():
    made = built(training=None, reference_skin=[], held_out_copy=[])
    for key in ("null_mean", "null_p99", "skin_z_low", "skin_z_high", "copy_face_p95", "copy_image_distance"):
        assert made.threshold(key) is None
    with pytest.raises(KeyError):
        made.threshold("tua")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"references": people()["references"][:3]}, "at least 4 references"),
        ({"references": np.zeros((0, 32))}, "at least 4 references"),
        ({"references": people()["references"] * 2}, "length 1"),
        ({"impostors": np.full((320, 32), np.nan)}, "NaN"),
        ({"impostors": people()["impostors"][:, :16]}, "shape"),
        ({"impostors": people()["impostors"][0]}, "shape"),
        ({"impostor_images": people()["impostors"][:10]}, "impostor_images"),
        ({"reference_skin": [{"fine": 1.0}]}, "reference_skin"),
        ({"reference_skin": [dict.fromkeys(FEATURE_SIGNS, math.nan)] * 16}, "NaN"),
        ({"held_out_copy": [0.4] * 3}, "held_out_copy"),
        ({"held_out_copy": [0.4] * 15 + [0.0]}, "differ from every training"),
        ({"held_out_copy": [0.4] * 15 + [math.nan]}, "NaN"),
        ({"reference_metrics": [{"gloss": 1.0}]}, "reference_metrics"),
        ({"reference_metrics": [{"gloss": math.nan}] * 16}, "gloss"),
        ({"far": 0.0}, "far"),
        ({"far": math.nan}, "far"),
        ({"references": unit(np.repeat([[1.0] + [0.0] * 31, [-1.0] + [0.0] * 31], 8, axis=0))}, "common direction"),
    ],
)
def test_unusable_evidence_is_refused_in_one_line(change, named):
    with pytest.raises(InputError, match=named) as caught:
        built(**change)
    assert "\n" not in str(caught.value)


def test_an_instrument_that_cannot_tell_strangers_from_references_is_refused():
    with pytest.raises(InputError, match="liker to each other"):
        built(**people(noise=30.0))


def test_skin_bands_are_median_and_mad_over_the_images_that_have_a_feature():
    features = [{"a": float(x), "b": 1.0, "c": None if x > 2 else 2.0} for x in range(9)]
    assert skin_bands(features) == {
        "a": {"median": 4.0, "mad": float(scipy.stats.median_abs_deviation(range(9))), "count": 9.0},
        "b": {"median": 1.0, "mad": 0.02, "count": 9.0},
    }


def test_the_skin_band_holds_new_genuine_images_and_is_two_sided():
    rng = np.random.default_rng(2)
    inside = []
    for _ in range(60):
        references, new = skin(rng, 16), skin(rng, 1)[0]
        low, high, count = skin_z_band(references)
        assert count == 16
        assert low < 0 < high
        inside.append(low <= skin_z(new, skin_bands(references)) <= high)
    assert np.mean(inside) > 0.9


def test_no_band_from_references_without_skin_or_without_spread():
    assert skin_z_band([]) == (None, None, 0)
    assert skin_z_band([{}] * 16) == (None, None, 0)
    assert skin_z_band([dict.fromkeys(FEATURE_SIGNS, 1.0)] * 16) == (None, None, 16)


def test_a_metric_band_is_the_prediction_interval_of_one_more_image():
    rng = np.random.default_rng(3)
    values = rng.normal(2.0, 0.3, 16)
    bands = metric_bands([{"gloss": float(value), "tone": None} for value in values])
    sigma = scipy.stats.median_abs_deviation(values, scale=1.4826**-1)
    half = scipy.stats.t(15).ppf(0.995) * sigma * math.sqrt(1 + 1 / 16)
    assert bands["gloss_low"] == pytest.approx(np.median(values) - half)
    assert bands["gloss_high"] == pytest.approx(np.median(values) + half)
    assert (bands["tone_low"], bands["tone_high"]) == (None, None)
    assert metric_bands([]) == {}
    assert (
        metric_bands([{"gloss": 1.0}] * 3)
        == metric_bands([{"gloss": 1.0}] * 16)
        == dict.fromkeys(("gloss_low", "gloss_high"))
    )
    with pytest.raises(InputError, match="gloss"):
        metric_bands([{"gloss": math.nan}] * 16)


def test_bands_of_metric_families_are_optional_when_read(monkeypatch):
    rows = [{"gloss": float(value)} for value in np.random.default_rng(4).normal(0, 1, 16)]
    with_bands, without = built(reference_metrics=rows), built()
    assert with_bands.references_hash != without.references_hash
    for made in (with_bands, without):
        assert Calibration.from_json(json.loads(json.dumps(made.to_json()))) == made
    with pytest.raises(KeyError):
        with_bands.threshold("gloss_low")  # no family of this name: its band is read and not used
    monkeypatch.setattr("evals.calibration.calibration_keys", lambda: (*CALIBRATION_KEYS, "gloss_low"))
    assert with_bands.threshold("gloss_low") == metric_bands(rows)["gloss_low"]
    assert without.threshold("gloss_low") is None


@pytest.mark.parametrize(
    "change",
    [
        {"schema": "lifeos.calibration/2"},
        {"far": math.nan},
        {"far": "x"},
        {"centroid": [0.5, 0.5]},
        {"thresholds": {}},
        {"thresholds": {**dict.fromkeys(CALIBRATION_KEYS, 0.5), "tau": math.inf}},
        {"tau_interval": [1]},
        {"extra": 1},
    ],
)
def test_a_changed_file_is_refused(tmp_path, change):
    with pytest.raises(InputError, match="calibration"):
        Calibration.from_json({**built().to_json(), **change})


def test_files_that_are_no_calibration_are_refused(tmp_path):
    path = tmp_path / "calibration.json"
    for text in ("", "[]", "{}", '{"schema": "lifeos.calibration/1"}'):
        path.write_text(text)
        with pytest.raises(InputError, match="calibration"):
            load_calibration(path)
    with pytest.raises(InputError, match="absent"):
        load_calibration(tmp_path / "absent.json")


def test_a_calibration_older_than_base_rows_and_a_second_backend_is_read_with_its_hash(tmp_path):
    old = built()
    data = old.to_json()
    assert not {"base", "second"} & data.keys()
    del data["thresholds"]["genuine_pairwise"]
    read = Calibration.from_json(data)
    assert read.threshold("genuine_pairwise") is None
    assert (read.base, read.second) == (None, None)
    assert read.to_json() == data
    second = {"backend": {"name": "other"}, "centroid": [0.6, 0.8], "tau": 0.4, "nulls": 96}
    new = built(base={"bound_to": {"prompts": "ab"}, "rows": [{"metrics": {"yaw": 3.0}}]}, second=second)
    new.save(tmp_path / "calibration.json")
    assert load_calibration(tmp_path / "calibration.json") == new
    assert new.content_hash != old.content_hash
    for broken in ({"tau": 0.4}, {**second, "centroid": [1.0, 1.0]}, {**second, "tau": math.nan}):
        with pytest.raises(InputError):
            Calibration.from_json({**data, "second": broken})


def test_pairs_of_references_agree_with_scipy():
    from scipy.spatial.distance import pdist

    data = people()
    expected = 1 - pdist(data["references"], "cosine").mean()
    assert built(**data).threshold("genuine_pairwise") == pytest.approx(expected)
