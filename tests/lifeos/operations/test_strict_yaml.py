import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lifeos.operations.strict_yaml import Document, YamlError, read_yaml, split_front_matter

CHARACTERS = st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="\ufeff\ufffe\uffff")
SINGLE = (
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(CHARACTERS, max_size=20)
)
KEYS = st.text("abc_", min_size=1, max_size=5)
PLAIN = st.recursive(
    SINGLE,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(PLAIN)
def test_what_pyyaml_writes_is_read_back(value):
    assert read_yaml(yaml.safe_dump(value, allow_unicode=True), "x") == value


@given(st.text(max_size=300))
def test_no_text_does_more_than_be_refused(text):
    refused = None
    try:
        read_yaml(text, "x")
    except YamlError as error:
        refused = error
    if refused is not None:
        assert refused.line >= 1
        assert "\n" not in str(refused)


@pytest.mark.parametrize(
    ("text", "line", "got"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "'a' twice"),
        ("a: &x 1\n", 1, "anchor"),
        ("a: 1\nb: *x\n", 2, "alias"),
        ("a: !!python/object:os.system 1\n", 1, "tag"),
        ("a: 1\n1: 2\n", 2, "no text"),
        ("a: [1\n", 2, "expected"),
        ("a: .nan\n", 1, "not finite"),
        ("a: .inf\n", 1, "not finite"),
        ("a: " + "[" * 30 + "]" * 30, 1, "deeper"),
        ("a: 1\n---\nb: 2\n", 2, "another document"),
        ("<<: {a: 1}\n", 1, "another kind"),
        ("a: =\n", 1, "another kind"),
        ("x" * 300_000, 1, "more than"),
    ],
)
def test_what_two_readers_could_read_differently_is_refused_with_its_line(text, line, got):
    with pytest.raises(YamlError, match=got) as caught:
        read_yaml(text, "file.md")
    assert caught.value.line == line
    assert str(caught.value).startswith(f"file.md: line {line}: ")


def test_times_stay_text_and_nesting_to_the_limit_is_read():
    assert read_yaml("a: 2026-11-27\n", "x") == {"a": "2026-11-27"}
    assert read_yaml("- 2026-11-27T07:00:00Z\n", "x") == ["2026-11-27T07:00:00Z"]
    assert read_yaml("[" * 20 + "1" + "]" * 20, "x")
    assert read_yaml("", "x") is None


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_front_matter_is_split_off_and_lines_are_counted_on(end):
    document = split_front_matter(end.join(["---", "a: 1", "---", "body", ""]), "x")
    assert document.values == {"a": 1}
    assert document.body == f"body{end}"
    assert document.body_line == 4


def test_a_document_without_front_matter_is_all_body():
    assert split_front_matter("# Title\n---\n", "x").body == "# Title\n---\n"
    assert split_front_matter("", "x").values == {}
    assert split_front_matter("---\n---\nrest", "x") == Document({}, "rest", 3)


@pytest.mark.parametrize(("text", "line"), [("---\na: 1\n", 1), ("---\n- 1\n---\n", 2), ("---\na: 1\na: 2\n---\n", 3)])
def test_front_matter_that_is_none_is_refused(text, line):
    with pytest.raises(YamlError) as caught:
        split_front_matter(text, "x")
    assert caught.value.line == line
