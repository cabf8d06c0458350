import pytest

from tests.lifeos.report.recorded_release import record


@pytest.fixture
def place(tmp_path):
    """Folder, artifacts and row of a recorded release: candidate and champion, two prompts by two seeds."""
    return record(tmp_path)
