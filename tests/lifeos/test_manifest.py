import pytest

from lifeos.errors import InputError
from lifeos.manifest import default_manifest, load_manifest, missing_needs

ROW = '[[gate]]\nid = "{id}"\nphases = ["{phase}"]\nseverity = "{severity}"\nneeds = ["{need}"]\nproves = "it"\n'
GOOD = {"id": "likeness", "phase": "release", "severity": "hard", "need": "lora"}


def written(tmp_path, *rows):
    path = tmp_path / "manifest.toml"
    path.write_text("".join(ROW.format(**{**GOOD, **row}) for row in rows), encoding="utf-8")
    return path


def test_phases_and_needs(tmp_path):
    manifest = load_manifest(written(tmp_path, {}, {"id": "other", "phase": "cheap", "need": "gpu"}))
    assert [row.id for row in manifest.phase("release")] == ["likeness"]
    assert missing_needs(manifest.gates[0], frozenset({"lora"})) == []
    assert missing_needs(manifest.gates[1], frozenset({"lora"})) == ["gpu"]
    assert manifest.row("nobody") is None


@pytest.mark.parametrize(
    "row",
    [{"id": "Bad Id"}, {"phase": "never"}, {"severity": "medium"}, {"need": "money"}],
)
def test_unknown_words_are_refused(tmp_path, row):
    with pytest.raises(InputError, match=r"manifest\.toml"):
        load_manifest(written(tmp_path, row))


def test_a_repeated_or_an_empty_list_is_refused(tmp_path):
    with pytest.raises(InputError, match="likeness is repeated"):
        load_manifest(written(tmp_path, {}, {}))
    with pytest.raises(InputError):
        load_manifest(written(tmp_path))


def test_the_house_has_gates_in_every_phase():
    manifest = load_manifest(default_manifest())
    assert all(manifest.phase(phase) for phase in ("cheap", "predeploy", "pod", "release"))
