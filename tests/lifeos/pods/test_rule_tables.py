import re

import pytest
from packaging.version import Version

from lifeos.errors import InputError
from lifeos.pods.rule_tables import load_rules, rules_folder
from lifeos.pods.snapshot import load_snapshot
from lifeos.settings import project_root


def test_every_row_has_a_source():
    tables = load_rules().tables
    for _, rows in tables:
        assert rows
        assert all(len(row.source) > 10 for row in rows)


def test_rows_of_one_package_do_not_overlap():
    rules = load_rules()
    for package in rules.built_packages:
        for row in rules.wheels(package):
            for version in row.checked:
                assert [other for other in rules.wheels(package) if Version(version) in other.range] == [row], version


def test_every_skew_is_proven_by_files_of_both_sides_or_says_where_it_was_seen():
    for row in load_rules().tables.skew:
        # What only a compiled part shows cannot be read again; somebody saw it run.
        assert row.proof or "seen" in row.source, row.id
        for proof in row.proof:
            assert proof.package in row.when, row.id


def test_every_wheel_of_the_snapshot_has_a_row():
    rules, versions = load_rules(), load_snapshot().versions
    assert not [
        f"{name} {version}"
        for name in rules.built_packages
        for version in versions[name]
        if rules.wheel(name, version) is None
    ]


def test_the_factor_for_the_disk_is_what_the_measured_wheels_show():
    measured = [wheel for wheel in load_snapshot().wheels.values() if wheel.unpacked is not None]
    factor = sum(wheel.unpacked for wheel in measured) / sum(wheel.size for wheel in measured)
    assert 0 <= load_rules().tables.disk[0].unpacked_per_download - factor < 0.1


def test_every_finding_is_described():
    described = (project_root() / "docs" / "pods.md").read_text(encoding="utf-8")
    tables = load_rules().tables
    found = {row.id for rows in (tables.skew, tables.overwrite, tables.companion, tables.missing_wheel) for row in rows}
    for name in ("rule_checks", "set_checks", "dependencies"):
        source = (project_root() / "lifeos" / "pods" / f"{name}.py").read_text(encoding="utf-8")
        found |= set(re.findall(r'"([a-z0-9]+(?:-[a-z0-9]+){2,})"', source))
    assert {"resolver-conflict", "hash-mismatch"} < set(re.findall(r"`([a-z0-9-]+)`", described))
    assert len(found) > 20
    assert not [one for one in sorted(found) if f"`{one}`" not in described]


def test_no_whole_set_stands_in_the_tables():
    # The search finds the sets; a table that named one would only repeat what somebody once knew.
    text = "\n".join(path.read_text(encoding="utf-8") for path in rules_folder().glob("*.toml"))
    assert not re.search(r"^\s*(torch|torchvision|onnxruntime-gpu)==", text, re.MULTILINE)


@pytest.mark.parametrize(
    "text",
    [
        "[[skew]\n",
        '[[skew]]\nid = "a"\nwhen = { a = "<1" }\nreason = "long enough a reason"\nsource = "somewhere"\n',
        '[[skew]]\nid = "a"\nwhen = { a = "<1", b = "~=2" }\nreason = "long enough a reason"\nsource = "somewhere"\n',
        '[[wheel]]\npackage = "torch"\nversions = ">=1"\narchs = ["sm_80"]\nchecked = ["1"]\nsource = "somewhere"\n',
        '[[driver]]\ncuda_major = 12\nminimum = "525"\n',
        "[[speed]]\n",
    ],
)
def test_a_row_that_cannot_be_meant_is_one_line(tmp_path, text):
    (tmp_path / "x.toml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as error:
        load_rules(tmp_path)
    assert "x.toml" in str(error.value)
    assert "\n" not in str(error.value)
