from pathlib import Path

import pytest

from lifeos.lora.dataset_lint.faces import face_findings

PATH = Path("dataset/a.png")


def record(faces=1, distance=36.0, size=(128, 128), reason=None):
    return {"faces": faces, "inter_ocular": distance, "size": list(size), "reason": reason}


def rules(record, buckets=((128, 128),), **options):
    return [finding.rule for finding in face_findings(PATH, record, buckets, **options)]


@pytest.mark.parametrize(("found", "expected"), [
    (record(), []),
    (record(0, None, reason="no face found"), ["face_none"]),
    (record(0, None, reason="face too small: 8.0 of 12.0 pixels between the eyes"), ["face_small"]),
    (record(2), ["face_several"]),
    (record(distance=11.9), ["face_small"]),
    (record(distance=12.0), []),
])  # fmt: skip
def test_one_record(found, expected):
    assert rules(found) == expected


def test_size_is_that_in_the_picture_as_trained():
    large = record(distance=40.0, size=(1280, 1280))
    assert rules(large) == ["face_small"]
    assert rules(large, [(1280, 1280)]) == ["face_small"]
    assert rules(record(distance=52.0, size=(1280, 1280)), [(1280, 1280)]) == []


def test_a_reference_is_measured_as_it_is():
    assert rules(record(distance=13.0, size=(1280, 1280)), (), of_references=True) == []
    (finding,) = face_findings(PATH, record(3), (), of_references=True)
    assert finding.gate == "persona_sane"
