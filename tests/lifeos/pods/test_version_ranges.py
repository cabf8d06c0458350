import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from lifeos.pods.version_ranges import VersionRange, complement, merge, parse_range

VERSIONS = st.tuples(st.integers(0, 3), st.integers(0, 3)).map(lambda pair: Version(f"{pair[0]}.{pair[1]}"))


@st.composite
def ranges(draw):
    low, high = sorted(draw(st.lists(VERSIONS, min_size=2, max_size=2, unique=True)))
    keep = draw(st.sampled_from(["both", "low", "high"]))
    return VersionRange(low if keep != "high" else None, high if keep != "low" else None)


@settings(deadline=None)
@given(ranges(), VERSIONS)
def test_a_range_holds_what_its_specifier_holds(found, version):
    assert (version in found) == SpecifierSet(found.specifier).contains(version)
    assert parse_range(found.specifier) == found


@settings(deadline=None)
@given(ranges(), VERSIONS)
def test_the_complement_holds_the_rest(found, version):
    assert (version in found) != any(version in outside for outside in complement(found))


@settings(deadline=None)
@given(st.lists(ranges(), max_size=5), VERSIONS)
def test_merging_changes_nothing_but_the_number(found, version):
    merged = merge(found)
    assert any(version in one for one in merged) == any(version in one for one in found)
    assert len(merged) <= len(found)


def test_a_local_label_counts_as_its_public_version():
    assert Version("2.10.0+cu128") in parse_range(">=2.10,<2.11")


@pytest.mark.parametrize("text", ["", "2.0", "==2.0", ">=2,>=3", "<1,<2", ">=x", ">=3,<2", ">2", "~=1.2"])
def test_anything_else_is_refused(text):
    with pytest.raises(ValueError, match="a range"):
        parse_range(text)
