"""A spoiled LoRA file is called by its own name: no entry but its own finds anything in it."""

import pytest

from evals.known_failures import read_entries
from lifeos.errors import InputError
from lifeos.known_failures.detection import detect
from lifeos.known_failures.liveness import reproduced

OF_FILES = [entry for entry in read_entries() if entry.looks_at == "weights"]

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("entry", OF_FILES, ids=[entry.id for entry in OF_FILES])
def test_only_its_own_entry_finds_it(entry, tmp_path):
    broken, found = reproduced(entry, tmp_path / "broken", tmp_path / "artifacts", broken=True), set()
    for each in OF_FILES:
        try:
            found |= {each.id} if detect(each, broken).found else set()
        except InputError:  # a file that cannot be read is looked into by none
            continue
    assert found == {entry.id}
