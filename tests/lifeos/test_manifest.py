import pytest

from evals.policy import row_gates
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


def test_unlisted_rules_of_the_policy_are_soft_gates_that_say_what_they_prove(tmp_path, monkeypatch):
    path = written(tmp_path, {})
    assert load_manifest(path).from_policy == ()
    path.write_text('unlisted_rules = "release"\n' + path.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr("evals.policy.row_gates", lambda: ("likeness", "gloss"))
    monkeypatch.setattr("evals.policy.stated_proofs", lambda: {"gloss": "skin shines as it should"})
    manifest = load_manifest(path)
    assert [row.id for row in manifest.gates] == ["likeness", "gloss"]
    (gloss,) = manifest.from_policy
    assert (gloss.severity, gloss.phases, gloss.needs, gloss.proves) == (
        "soft", ["release"], [], "skin shines as it should"
    )  # fmt: skip
    monkeypatch.setattr("evals.policy.stated_proofs", dict)
    with pytest.raises(InputError, match=r"policy\.toml.*gloss"):
        load_manifest(path)


def test_every_rule_of_the_policy_is_a_gate_of_the_release():
    rows = {row.id for row in load_manifest(default_manifest()).phase("release")}
    assert set(row_gates()) <= rows


def test_the_house_has_gates_in_every_phase():
    manifest = load_manifest(default_manifest())
    assert all(manifest.phase(phase) for phase in ("cheap", "predeploy", "pod", "release"))
