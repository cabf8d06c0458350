"""A scaffolded entry can be read, fits the gates, and is red until its author says something."""

import pytest

from evals.known_failures import read_entries
from lifeos.errors import InputError
from lifeos.known_failures import gates, liveness
from lifeos.known_failures.scaffold import _KINDS, scaffold
from lifeos.manifest import default_manifest, load_manifest


@pytest.mark.parametrize("kind", sorted(_KINDS))
def test_it_is_read_and_is_not_live(kind, tmp_path, monkeypatch):
    folder = tmp_path / "evals" / "known_failures"
    made = scaffold("never-seen-before", "pod", kind, folder)
    (entry,) = read_entries(folder)
    assert (entry.id, entry.subject, entry.looks_at) == ("never-seen-before", "pod", kind)
    monkeypatch.setattr(gates, "read_entries", lambda: [entry])
    assert gates.checked_entries(load_manifest(default_manifest())) == [entry]
    assert not liveness.liveness(entry, tmp_path).live
    assert all(path.is_file() for path in made)
    assert (len(made) == 2) == (not entry.files)
    with pytest.raises(InputError, match="show never-seen-before"):
        scaffold("never-seen-before", "pod", kind, folder)


@pytest.mark.parametrize("name", ["", "Big", "a_b", "a--b", "-a", "ä", "a b", "../a"])
def test_an_id_that_is_none_writes_nothing(name, tmp_path):
    with pytest.raises(InputError, match="small letters"):
        scaffold(name, "pod", "recipe", tmp_path)
    assert not list(tmp_path.iterdir())


def test_subject_and_kind_are_known_ones(tmp_path):
    with pytest.raises(InputError, match="--subject"):
        scaffold("a", "nowhere", "recipe", tmp_path)
    with pytest.raises(InputError, match="--looks-at"):
        scaffold("a", "pod", "the sky", tmp_path)
