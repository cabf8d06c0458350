import os
import subprocess
from datetime import date

import pytest

from lifeos.errors import InputError
from lifeos.operations.as_of import read_as_of


def test_the_given_day_wins_and_heads_day_is_the_default(tmp_path):
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(tmp_path)]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run(
        [*git, "commit", "-q", "--allow-empty", "-m", "x", "--date", "2020-01-01T00:00:00Z"],
        check=True, env={**os.environ, "GIT_COMMITTER_DATE": "2026-03-04T23:30:00-0200"},
    )  # fmt: skip
    assert read_as_of(None, tmp_path) == date(2026, 3, 5)
    assert read_as_of("2026-11-27", tmp_path) == date(2026, 11, 27)


@pytest.mark.parametrize("given", [None, "", "today", "2026-02-30"])
def test_no_day_is_refused(tmp_path, given):
    with pytest.raises(InputError, match="--as-of"):
        read_as_of(given, tmp_path)
