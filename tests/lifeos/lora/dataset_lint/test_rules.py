import ast
import re

import pytest

from lifeos.errors import InputError
from lifeos.lora.dataset_lint.rules import GATES, RULES_FILE, SOFT_GATES, load_rules, rule_book
from lifeos.manifest import default_manifest, load_manifest
from lifeos.settings import project_root

PACKAGE = RULES_FILE.parent


def test_every_rule_is_found_by_some_code_and_every_finding_has_a_rule():
    known = {rule.id for rule in rule_book().rule}
    prefixes = tuple(sorted({name.split("_")[0] + "_" for name in known}))
    texts = {
        node.value
        for path in PACKAGE.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert known <= texts
    candidates = {text for text in texts if re.fullmatch(r"[a-z]+_[a-z_]+", text) and text.startswith(prefixes)}
    assert candidates - known <= {"image_facts", "duplicate_findings", "image_signature", "trigger_count"}


def test_severities_are_those_of_the_manifest():
    rows = {row.id: row for row in load_manifest(default_manifest()).gates}
    assert {gate for gate in GATES if rows[gate].severity == "soft"} == set(SOFT_GATES)
    assert all(rows[gate].phases == ["predeploy"] for gate in GATES)


def test_every_rule_is_documented():
    described = (project_root() / "docs" / "dataset.md").read_text(encoding="utf-8")
    for rule in rule_book().rule:
        assert f"| `{rule.id}` | `{rule.gate}` |" in described, rule.id


def test_limits_are_filled_in():
    assert "0.009" in rule_book().accepted("duplicate_near")
    with pytest.raises(KeyError):
        rule_book().rule_of("speed")


@pytest.mark.parametrize("change", [
    ("near_duplicate_distance = 0.009", "near_duplicate_distance = 9.0"),
    ("[limits]", "[limits]\nspeed = 1"),
    ('gate = "dataset_faces"', 'gate = "faces"'),
    ('id = "face_none"', 'id = "face_several"'),
    ("[limits]", "[limits"),
])  # fmt: skip
def test_a_rules_file_with_a_fault(tmp_path, change):
    path = tmp_path / "rules.toml"
    path.write_text(RULES_FILE.read_text(encoding="utf-8").replace(*change, 1), encoding="utf-8")
    with pytest.raises(InputError, match=r"rules\.toml"):
        load_rules(path)
