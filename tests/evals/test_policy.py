import copy
import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.errors import InputError
from evals.policy import DEFAULT_POLICY, load_policy, parse_policy, row_gates
from evals.rule import Reference

DATA = tomllib.loads(DEFAULT_POLICY.read_text(encoding="utf-8"))


def changed(gate, **values):
    data = copy.deepcopy(DATA)
    for key, value in values.items():
        if value is None:
            del data["gates"][gate][key]
        else:
            data["gates"][gate][key] = value
    return data


def test_the_shipped_policy_has_a_rule_for_every_row_gate():
    policy = load_policy()
    assert tuple(policy.rules) == row_gates()
    assert policy.rules["likeness"].threshold == Reference(0.0, "tau")
    assert policy.rules["face_rate"].threshold.source == "policy"


def test_the_demo_types_no_likeness_or_skin_threshold_by_hand():
    rules = load_policy().rules
    for reference in (
        rules["likeness"].threshold,
        rules["likeness_tail"].limit,
        rules["ceiling"].threshold,
        *rules["skin_realism"].band,
        *rules["likeness_norm"].scale,
        rules["copy_face"].limit,
    ):
        assert reference.source.startswith("calibration:")


def test_the_hash_follows_what_is_said_not_how(tmp_path):
    text = DEFAULT_POLICY.read_text(encoding="utf-8")
    gates = text.split("\n[")
    path = tmp_path / "policy.toml"
    path.write_text("\n[".join([gates[0], *reversed(gates[1:])]) + "\n# a remark\n", encoding="utf-8")
    assert load_policy(path).content_hash == load_policy().content_hash
    path.write_text(text.replace("threshold = 0.95", "threshold = 0.96"), encoding="utf-8")
    assert load_policy(path).content_hash != load_policy().content_hash


@pytest.mark.parametrize("gate", row_gates())
def test_a_gate_without_a_rule_is_refused(gate):
    data = copy.deepcopy(DATA)
    del data["gates"][gate]
    with pytest.raises(InputError, match=gate):
        parse_policy(data)


@pytest.mark.parametrize(
    ("gate", "values", "named"),
    [
        ("likeness", {"threshold": "calibration:tua"}, "calibration:tua"),
        ("likeness", {"threshold": "0.5"}, "threshold"),
        ("likeness", {"threshold": float("nan")}, "threshold"),
        ("likeness", {"threshold": True}, "threshold"),
        ("likeness", {"threshold": 10**400}, "threshold"),
        ("likeness", {"threshold": None}, "threshold"),
        ("likeness", {"treshold": 0.5}, "treshold"),
        ("likeness", {"statistic": "mean"}, "statistic"),
        ("likeness", {"metric": "likenes"}, "metric"),
        ("likeness", {"direction": "up"}, "direction"),
        ("likeness", {"compares": "maybe"}, "compares"),
        ("likeness", {"minimum_images": 1}, "minimum_images"),
        ("likeness", {"minimum_prompts": 2.0}, "minimum_prompts"),
        ("likeness", {"scale": ["calibration:tau"]}, "scale"),
        ("likeness", {"equals": 1.0}, "equals"),
        ("face_rate", {"threshold": 0.0}, "breach"),
        ("face_rate", {"threshold": 1.5}, "share"),
        ("face_rate", {"threshold": "calibration:tau"}, "share"),
        ("image_flat", {"threshold": 1.0}, "breach"),
        ("likeness_tail", {"direction": "at_least"}, "at_most"),
        ("worst_prompt", {"direction": "at_most"}, "at_least"),
        ("champion", {"compares": "point"}, "bound"),
        ("champion", {"threshold": 0.02}, "margin"),
        ("skin_realism", {"unscorable_share": 1.0}, "unscorable_share"),
        ("skin_realism", {"band": 3}, "band"),
    ],
)
def test_every_mistake_is_one_line_that_names_the_key(gate, values, named):
    with pytest.raises(InputError, match=named) as caught:
        parse_policy(changed(gate, **values), "mine.toml")
    assert str(caught.value).startswith("mine.toml: ")
    assert "accepted" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value"), [("schema", "lifeos.policy/2"), ("level", 1.0), ("level", 0.4), ("gates", [])]
)
def test_the_head_is_checked(key, value):
    with pytest.raises(InputError, match=key):
        parse_policy({**DATA, key: value})


def test_the_champion_rule_belongs_to_the_champion_gate_alone():
    data = copy.deepcopy(DATA)
    data["gates"]["likeness"] = data["gates"]["champion"]
    with pytest.raises(InputError, match="champion"):
        parse_policy(data)


def test_offsets_are_read_with_their_sign():
    rule = parse_policy(changed("likeness", threshold="calibration:genuine_p10-0.05")).rules["likeness"]
    assert rule.threshold == Reference(-0.05, "genuine_p10")
    assert rule.threshold.source == "calibration:genuine_p10-0.05"


def test_unreadable_files_are_named(tmp_path):
    with pytest.raises(InputError, match=r"absent\.toml"):
        load_policy(tmp_path / "absent.toml")
    (tmp_path / "broken.toml").write_text("level = ")
    with pytest.raises(InputError, match=r"broken\.toml"):
        load_policy(tmp_path / "broken.toml")


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150)
@given(st.sampled_from(row_gates()), st.sampled_from(sorted({k for row in DATA["gates"].values() for k in row})), junk)
def test_a_policy_is_read_or_refused_with_an_input_error(gate, key, value):
    data = copy.deepcopy(DATA)
    data["gates"][gate][key] = value
    try:
        policy = parse_policy(data)
    except InputError:
        return
    assert tuple(policy.rules) == row_gates()
    assert len(policy.content_hash) == 64


@given(junk)
def test_any_table_in_place_of_a_rule_is_refused(value):
    data = copy.deepcopy(DATA)
    data["gates"]["likeness"] = value
    with pytest.raises(InputError):
        parse_policy(data)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"gates": ["worst_prompt"]}, "sequential.gates"),
        ({"gates": []}, "one gate or more"),
        ({"gates": ["likeness", "likeness"]}, "each once"),
        ({"error": 0.0}, "sequential.error"),
        ({"error": 0.2}, "sequential.error"),
        ({"block": 1}, "sequential.block"),
        ({"looks": 3}, "sequential"),
    ],
)
def test_an_early_stop_that_could_never_be_right_is_refused(changes, why):
    data = copy.deepcopy(DATA)
    data["sequential"] |= changes
    with pytest.raises(InputError, match=why):
        parse_policy(data)


def test_without_its_table_the_whole_plan_is_drawn_and_the_hash_says_so():
    data = copy.deepcopy(DATA)
    whole = parse_policy(data)
    del data["sequential"]
    assert parse_policy(data).sequential is None
    assert parse_policy(data).content_hash != whole.content_hash


def test_only_hard_gates_stop_sampling():
    from lifeos.manifest import default_manifest, load_manifest

    severities = {row.id: row.severity for row in load_manifest(default_manifest()).gates}
    assert {severities[gate] for gate in load_policy().sequential.gates} == {"hard"}


MARGIN = {"metric": "skin_z", "margin": 0.3, "better": "higher"}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"also": [{**MARGIN, "margin": -0.1}]}, "margin: accepted a number >= 0"),
        ({"also": [{**MARGIN, "better": "inside"}]}, "band"),
        ({"also": [{**MARGIN, "band": [0.0, 1.0]}]}, "band"),
        ({"also": [{**MARGIN, "better": "sideways"}]}, "better"),
        ({"also": [MARGIN, MARGIN]}, "each metric once"),
        ({"also": [{**MARGIN, "metric": "likeness"}]}, "each metric once"),
        ({"also": [], "superior_on": ["skin_z"]}, "superior_on"),
        ({"superior_on": ["likeness", "likeness"]}, "superior_on"),
        ({"also": ["skin_z"]}, "a table"),
    ],
)
def test_a_margin_that_could_decide_nothing_is_refused(changes, why):
    data = copy.deepcopy(DATA)
    data["gates"]["champion"] |= changes
    with pytest.raises(InputError, match=why):
        parse_policy(data)
