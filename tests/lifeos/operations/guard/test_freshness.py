from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.verdict import Outcome
from lifeos.errors import InputError
from lifeos.operations.guard.freshness import (
    EXCEPTIONS_FILE,
    freshness_verdict,
    governed_digest,
    read_freshness,
    verify_document,
)
from lifeos.operations.guard.globs import matches
from tests.lifeos.operations.guard.world import Place

DAY = date(2026, 11, 27)


@pytest.fixture
def place(tmp_path):
    place = Place(tmp_path)
    verify_document(place.look(), "docs/page.md", DAY)
    return place


def stale(place, as_of=DAY):
    found, problems = read_freshness(place.look(), as_of)
    return {each.document: each.stale for each in found if each.stale and each.excused is None}, problems


def test_a_verified_document_is_fresh_until_what_it_governs_changes(place):
    assert stale(place) == ({}, [])
    place.write("src/deep/more.py", "changed\n")
    assert "changed since it was verified" in stale(place)[0]["docs/page.md"]
    assert freshness_verdict(place.look(), DAY, control=False).outcome is Outcome.FAILED
    # It is no control file.
    assert freshness_verdict(place.look(), DAY, control=True).outcome is Outcome.PASSED
    verify_document(place.look(), "docs/page.md", DAY)
    assert stale(place) == ({}, [])


@pytest.mark.parametrize("change", ["add", "remove", "rename", "mode"])
def test_files_that_come_and_go_change_the_digest_and_time_does_not(place, change):
    import os

    if change == "add":
        place.write("src/new.py", "")
    elif change == "remove":
        (place.root / "src/code.py").unlink()
    elif change == "rename":
        (place.root / "src/code.py").rename(place.root / "src/code2.py")
    else:
        os.utime(place.root / "src/code.py", (1, 1))
    place.add()
    assert bool(stale(place)[0]) == (change != "mode")


def test_an_untracked_file_and_the_document_itself_do_not_count(place):
    place.write("src/untracked.py", "")
    assert stale(place) == ({}, [])
    place.write("src/page.md", "---\ngoverns: ['src/**']\n---\n")
    place.add()
    first = governed_digest(place.look(), "src/page.md", ["src/**"])
    place.write("src/page.md", "another text")
    assert governed_digest(place.look(), "src/page.md", ["src/**"]) == first


def test_line_ends_of_windows_change_nothing(place):
    for name in ("src/code.py", "docs/page.md"):
        place.write(name, place.text(name).replace("\n", "\r\n"))
    assert stale(place) == ({}, [])
    place.write("src/code.py", "changed\r\n")
    verify_document(place.look(), "docs/page.md", DAY)
    text = place.text("docs/page.md")
    assert text.count("\r\n") == text.count("\n")
    assert stale(place) == ({}, [])


def test_verifying_changes_two_lines_alone(tmp_path):
    place = Place(tmp_path)
    before = place.text("docs/page.md")
    digest = verify_document(place.look(), "docs/page.md", DAY)
    added = f"verified_on: 2026-11-27\nverified_digest: {digest}\n"
    assert place.text("docs/page.md") == before.replace("---\n\n", f"{added}---\n\n")
    place.write("src/code.py", "changed\n")
    verify_document(place.look(), "docs/page.md", date(2026, 12, 1))
    again = place.text("docs/page.md")
    assert again.splitlines()[4:] == before.splitlines()[2:]
    assert "verified_on: 2026-12-01\n" in again


def test_a_document_that_governs_nothing_ages(place):
    name = "context/session-learnings.md"
    assert stale(place, date(2027, 1, 30))[0] == {}
    assert "more than 90 days" in stale(place, date(2027, 1, 31))[0][name]
    assert freshness_verdict(place.look(), date(2027, 1, 31), control=True).outcome is Outcome.FAILED
    verify_document(place.look(), name, date(2027, 1, 31))
    assert stale(place, date(2027, 1, 31))[0] == {}


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ("governs: ['src/gone/*.py']", "matches no tracked file"),
        ("governs: ['src/*.py', 'gone']", "gone matches no tracked file"),
        ("governs: []", "accepted a list"),
        ("governs: src", "accepted a list"),
        ("governs: [1]", "accepted a list"),
        ("governs: ['src/*.py']", "never verified"),
        ("governs: ['src/*.py']\nverified_digest: abc", "changed since"),
        ("verified_on: yesterday", "accepted a date"),
        ("verified_on: null", "accepted a date"),
        ("verified_on: 2026-11-29", "accepted a day until 2026-11-27, got 2026-11-29"),
        ("a: 1\na: 2\nverified_on: 2026-11-01", "twice"),
        ("verified_on: 2026-11-01\nx: [", "front matter: line"),
    ],
)
def test_front_matter_that_cannot_be_held_to_is_stale(place, head, said):
    place.write("PROGRESS.md", f"---\n{head}\n---\n\n# P\n")
    assert said in stale(place)[0]["PROGRESS.md"]


def test_a_day_ahead_is_another_time_zone(place):
    place.write("PROGRESS.md", "---\nverified_on: 2026-11-28\n---\n\n# P\n")
    assert stale(place)[0] == {}


def test_a_document_that_says_nothing_is_not_judged(place):
    place.write("PROGRESS.md", "---\ntitle: x\n---\n\n# P\n")
    assert "PROGRESS.md" not in {each.document for each in read_freshness(place.look(), DAY)[0]}
    with pytest.raises(InputError, match="front matter with governs"):
        verify_document(place.look(), "PROGRESS.md", DAY)
    with pytest.raises(InputError, match="tracked document"):
        verify_document(place.look(), "gone.md", DAY)


def exception(**changes):
    values = {"document": "docs/page.md", "until": date(2026, 12, 1), "reason": "rewritten next week", "by": "Ada"}
    shown = (f"{key} = {value}" if isinstance(value, date) else f'{key} = "{value}"' for key, value in
             (values | changes).items())  # fmt: skip
    return "[[exception]]\n" + "\n".join(shown) + "\n"


def test_an_exception_holds_until_its_day_and_no_longer_than_it_is_needed(place):
    place.write(EXCEPTIONS_FILE, exception())
    assert stale(place) == ({}, [f"{EXCEPTIONS_FILE}: docs/page.md needs no exception"])
    place.write("src/code.py", "changed\n")
    assert stale(place, date(2026, 12, 1)) == ({}, [])
    found, problems = stale(place, date(2026, 12, 2))
    assert "docs/page.md" in found
    assert "ended on 2026-12-01" in problems[0]
    assert freshness_verdict(place.look(), date(2026, 12, 2), control=True).outcome is Outcome.FAILED


@pytest.mark.parametrize(("until", "problems"), [(date(2027, 2, 25), 0), (date(2027, 2, 26), 1)])
def test_an_exception_ends_within_ninety_days(place, until, problems):
    place.write("src/code.py", "changed\n")
    place.write(EXCEPTIONS_FILE, exception(until=until))
    said = stale(place)[1]
    assert len(said) == problems
    assert all("accepted at most 90 days for docs/page.md, got until 2027-02-26" in each for each in said)


@pytest.mark.parametrize("text", ["[[exception]]\n", exception(by=""), exception(reason=""), "x = 1\n", "[[exception"])
def test_exceptions_that_are_none_are_refused(place, text):
    place.write(EXCEPTIONS_FILE, text)
    with pytest.raises(InputError, match="freshness-exceptions"):
        read_freshness(place.look(), DAY)


def test_without_git_or_anything_to_judge_it_cannot_be_told(tmp_path):
    place = Place(tmp_path / "a", git=False)
    assert freshness_verdict(place.look(), DAY, control=True).outcome is Outcome.NOT_EVALUATED
    other = Place(tmp_path / "b")
    other.write("context/session-learnings.md", "# L\n")
    assert freshness_verdict(other.look(), DAY, control=True).outcome is Outcome.NOT_EVALUATED


@pytest.mark.parametrize(
    ("name", "pattern", "expected"),
    [
        ("a/b/c.py", "a/**/*.py", True), ("a/c.py", "a/**/*.py", True), ("a/b/c.py", "a/*.py", False),
        ("a/c.py", "a/?.py", True), ("a/cc.py", "a/?.py", False), ("a/b/c", "a/**", True), ("ab/c", "a/**", False),
        ("a.py", "a.py", True), ("axpy", "a.py", False), ("a/c.py", "**/*.py", True), ("c.py", "**/*.py", True),
    ],
)  # fmt: skip
def test_patterns(name, pattern, expected):
    assert matches(name, pattern) is expected


@given(st.text("ab/*?.", max_size=8), st.text("ab/.", max_size=8))
def test_a_name_matches_itself_and_no_pattern_breaks(pattern, name):
    assert matches(name, pattern) in (True, False)
    assert matches(name, name)
