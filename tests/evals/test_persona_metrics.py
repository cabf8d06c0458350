import dataclasses

import numpy as np
import pytest

from evals.copying_eval import SIGNATURE_LENGTH
from evals.image_rows import UNSCORABLE
from evals.persona_metrics import SEVERAL_FACES, PersonaMetrics


def unit(*values):
    return (np.array(values, dtype=np.float64) / np.linalg.norm(values)).tolist()


def signature(seed):
    rows = np.random.default_rng(seed).normal(size=(3, SIGNATURE_LENGTH // 3))
    rows -= rows.mean(axis=1, keepdims=True)
    return (rows / np.linalg.norm(rows)).ravel().tolist()


def record(embedding=(0.8, 0.6), reason=None, others=(), skin=None, skin_reason=None, seed=0):
    return {
        "embedding": None if embedding is None else unit(*embedding),
        "reason": reason,
        "others": [unit(*row) for row in others],
        "skin": skin,
        "skin_reason": skin_reason or reason,
        "signature": signature(seed),
    }


@pytest.fixture
def calibration(row_calibration):
    """The centroid of the fixtures is (1, 0)."""
    return row_calibration


@pytest.fixture
def persona(calibration):
    return PersonaMetrics(calibration, [record((0, 1), seed=1), record(None, "no face found", seed=2)])


def test_a_face_is_measured_against_the_centroid_and_the_training_faces(persona):
    measured = persona.of(record())
    assert measured.values["likeness"] == pytest.approx(0.8)
    assert measured.values["copy_face"] == pytest.approx(0.6 - 0.8)
    assert measured.values["copy_image"] == 0.0
    assert persona.of(record(seed=2)).values["copy_image"] == 1.0


def test_several_faces_agree_or_the_image_has_no_likeness(persona):
    bystander = persona.of(record((0.9, 0.1), others=[(0, 1), (-1, 0)]))
    assert bystander.values["likeness"] > 0.9
    in_the_background = persona.of(record((0, 1), others=[(-1, 0), (1, 0)]))
    assert in_the_background.values["likeness"] is in_the_background.values["copy_face"] is None
    assert in_the_background.reasons["likeness"] == in_the_background.reasons["copy_face"] == SEVERAL_FACES
    assert UNSCORABLE not in SEVERAL_FACES  # it counts against the LoRA


def test_no_face_and_too_small_a_face_keep_their_reasons(persona):
    for reason in ("no face found", "face too small, unscorable: 7.0 of 12.0 pixels between the eyes"):
        measured = persona.of(record(None, reason))
        for name in ("likeness", "copy_face", "skin_z"):
            assert (measured.values[name], measured.reasons[name]) == (None, reason)
        assert measured.values["copy_image"] == 0.0


def test_what_cannot_be_compared_is_left_out(calibration, persona):
    assert "likeness" not in persona.of(record((1, 2, 3))).values  # another backend's embedding
    assert "copy_face" not in PersonaMetrics(calibration, []).of(record()).values
    assert "copy_image" not in PersonaMetrics(calibration, []).of(record()).values
    bare = dataclasses.replace(
        calibration, skin_bands={}, thresholds={**calibration.thresholds, "copy_image_distance": None}
    )
    assert set(PersonaMetrics(bare, []).of(record()).values) == {"likeness"}


def test_skin_without_enough_features_in_common_is_unscorable(persona):
    measured = persona.of(record(skin={"fine": 0.0}))
    assert measured.values["skin_z"] is None
    assert UNSCORABLE in measured.reasons["skin_z"]
