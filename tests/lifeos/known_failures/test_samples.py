"""Images of a release as detectors see them: its verdicts, its rows, and the files that were judged."""

import pytest

from evals.verdict import Outcome, passed
from lifeos.errors import InputError
from lifeos.inputs import read_inputs
from lifeos.known_failures.samples import measured_samples, picture_of, released_samples
from lifeos.release import Release
from tests.lifeos.known_failures.test_capture import release


def test_a_walked_release_gives_rows_and_files(tmp_path):
    artifacts = tmp_path / "artifacts"
    release(artifacts, {}, {"face_count": 0.0})
    inputs = read_inputs({"artifacts": str(artifacts)})
    walked = Release({"image_flat": passed("x")}, "none", artifacts / "runs" / "release-x")
    samples = released_samples(walked, inputs)
    assert [row["metrics"]["face_count"] for row in samples.rows] == [1.0, 0.0]
    assert samples.verdict("image_flat").outcome is Outcome.PASSED
    assert samples.verdict("copy_image").outcome is Outcome.NOT_EVALUATED
    assert all(samples.picture(row).is_file() for row in samples.rows)
    # Another file under that name is not what was judged.
    samples.picture(samples.rows[0]).write_bytes(b"other")
    assert samples.picture(samples.rows[0]) is None
    assert picture_of({"file": "nonsense.png", "image": "0" * 64}, artifacts, None) is None


def test_a_walk_that_failed_is_not_looked_at(tmp_path):
    with pytest.raises(InputError, match="the optimizer broke"):
        released_samples(Release({}, "the optimizer broke"), read_inputs({"artifacts": str(tmp_path)}))
    with pytest.raises(InputError, match="--images"):
        measured_samples(read_inputs({"artifacts": str(tmp_path)}))
