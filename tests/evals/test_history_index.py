import json
import os
import sqlite3

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evals import history, history_index
from evals.content_hash import canonical_json, hash_json
from evals.errors import InputError


def card(number, **more):
    return {"id": f"20261123T202900Z-{number:08x}", "schema": "lifeos.scorecard/1", "number": number, **more}


@pytest.fixture
def log(tmp_path):
    return tmp_path / "eval_history.jsonl"


def numbers(found):
    return [row["number"] for row in found]


def grown(path, *cards):
    return [history.append(path, each) for each in cards]


def resealed(row, **changed):
    content = {key: value for key, value in {**row, **changed}.items() if key != "hash"}
    return {**content, "hash": hash_json(content)}


def test_rows_come_by_their_facts_in_the_order_of_the_file(log):
    made = grown(log, card(1, persona="a"), card(2, persona="b"), card(3, persona="a", phase="release", reused=True))
    assert history_index.rows(log) == made
    assert numbers(history_index.rows(log, persona="a")) == [1, 3]
    assert numbers(history_index.rows(log, persona="a", last=1)) == [3]
    assert history_index.rows(log, persona="a", phase="pod") == []
    (entry,) = history_index.entries(log, phase="release")
    assert (entry.number, entry.hash, entry.reused) == (3, made[2]["hash"], True)
    assert entry.facts["persona"] == "a"
    assert entry.facts["verdict"] is None


def test_a_missing_history_has_no_rows_and_gets_no_index(log):
    assert history_index.rows(log) == []
    assert history_index.starting_with(log, "2026") == []
    assert not history_index.index_path(log).exists()


@pytest.fixture
def parsed(monkeypatch):
    """Numbers of the rows that are parsed for the index or for an answer."""
    seen, real = [], history_index.parse_line
    monkeypatch.setattr(history_index, "parse_line", lambda *given: seen.append(given[1]) or real(*given))
    return seen


def test_only_rows_behind_those_known_are_parsed(log, parsed):
    grown(log, card(1), card(2))
    history_index.entries(log)
    grown(log, card(3))
    parsed.clear()
    assert len(history_index.entries(log)) == 3
    assert parsed == [3]
    history_index.entries(log)
    assert parsed == [3]


def test_an_index_that_is_stale_is_made_anew(log):
    made = grown(log, card(1, persona="a"), card(2, persona="a"))
    history_index.entries(log)
    other = resealed({**made[0], "persona": "b"})
    second = resealed(made[1], previous=other["hash"])
    log.write_text("".join(canonical_json(row) + "\n" for row in (other, second)), newline="\n")
    assert numbers(history_index.rows(log, persona="b")) == [1]
    log.write_text(canonical_json(other) + "\n", newline="\n")
    assert len(history_index.entries(log)) == 1


def test_a_longer_history_in_the_place_of_the_one_that_is_known_is_read_from_its_start(log, tmp_path):
    grown(log, card(1, persona="a"))
    history_index.entries(log)
    other = tmp_path / "other.jsonl"
    made = grown(other, card(7, persona="a", note="x" * 500), card(8, persona="a"))
    log.write_bytes(other.read_bytes())
    assert history_index.rows(log) == made


def test_a_row_that_changed_amid_a_file_of_equal_length_is_read_anew(log):
    made = grown(log, card(1, persona="a"), card(2, persona="a"))
    history_index.entries(log)
    before = log.stat()
    first = resealed(made[0], persona="b")
    log.write_text("".join(canonical_json(row) + "\n" for row in (first, made[1])), newline="\n")
    os.utime(log, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert log.stat().st_size == before.st_size
    assert numbers(history_index.rows(log, persona="b")) == [1]


def test_rows_written_while_the_index_is_made_are_not_parsed_again(log, parsed, monkeypatch):
    grown(log, card(1))
    real = history_index.whole_lines

    def meanwhile(*given):
        monkeypatch.setattr(history_index, "whole_lines", real)
        grown(log, card(2))
        return real(*given)

    monkeypatch.setattr(history_index, "whole_lines", meanwhile)
    history_index.entries(log)
    assert len(history_index.entries(log)) == 2
    assert parsed == [1, 2]


@pytest.mark.parametrize("junk", [b"", b"no database at all", b"SQLite format 3\0" + b"\xff" * 4000])
def test_an_index_that_is_damaged_is_made_anew(log, junk):
    made = grown(log, card(1), card(2))
    history_index.index_path(log).write_bytes(junk)
    assert history_index.rows(log) == made
    assert history_index.rows(log) == made


def test_an_index_of_another_revision_is_made_anew(log, parsed, monkeypatch):
    made = grown(log, card(1))
    with monkeypatch.context() as patch:
        patch.setattr(history_index, "_REVISION", history_index._REVISION + 1)
        history_index.entries(log)
    made += grown(log, card(2))
    parsed.clear()
    assert [entry.hash for entry in history_index.entries(log)] == [row["hash"] for row in made]
    assert parsed == [1, 2]


def test_a_row_changed_behind_the_back_of_the_index_does_not_leave_it(log):
    made = grown(log, card(1, persona="a"), card(2, persona="a"))
    history_index.entries(log)
    before = log.stat()
    other = resealed({**made[0], "persona": "b"})
    log.write_text("".join(canonical_json(row) + "\n" for row in (other, made[1])), newline="\n")
    os.utime(log, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(InputError, match="got another one"):
        history_index.rows(log)


def test_a_corrupt_row_is_said_and_leaves_no_index_that_has_it(log):
    grown(log, card(1))
    log.write_bytes(log.read_bytes() + b'{"hash": "00"}\n')
    for _ in range(2):
        with pytest.raises(InputError, match="line 2"):
            history_index.entries(log)


def test_where_no_index_can_be_kept_the_rows_are_read(log, monkeypatch):
    made = grown(log, card(1))
    real = sqlite3.connect

    def connect(path, **options):
        if path != ":memory:":
            raise sqlite3.OperationalError("unable to open database file")
        return real(path, **options)

    monkeypatch.setattr(sqlite3, "connect", connect)
    assert history_index.rows(log) == made
    assert not history_index.index_path(log).exists()


def test_a_torn_line_is_no_row_until_it_is_whole(log):
    grown(log, card(1))
    log.write_bytes(log.read_bytes() + b'{"half":')
    assert numbers(history_index.rows(log)) == [1]
    grown(log, card(2))
    assert numbers(history_index.rows(log)) == [1, 2]


def test_a_fact_that_is_not_kept_is_refused(log):
    grown(log, card(1))
    with pytest.raises(ValueError, match="number"):
        history_index.rows(log, number="1")


@given(
    st.lists(
        st.tuples(st.sampled_from(["append", "ask"]), st.sampled_from("ab"), st.sampled_from(["release", "pod"])),
        max_size=12,
    )
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_was_asked_before_an_answer_is_that_of_the_whole_file(tmp_path_factory, steps):
    log = tmp_path_factory.mktemp("log") / "h.jsonl"
    for number, (step, persona, phase) in enumerate(steps):
        if step == "append":
            history.append(log, card(number, persona=persona, phase=phase))
        expected = [row for row in history.read(log) if row["persona"] == persona and row["phase"] == phase]
        assert history_index.rows(log, persona=persona, phase=phase) == expected
        starts = {row["id"][:20] for row in expected}
        for start in starts:
            whole = [row for row in history.read(log) if row["id"].startswith(start) or row["hash"].startswith(start)]
            assert history_index.starting_with(log, start) == whole
    assert [json.loads(line) for line in log.read_text().splitlines()] == history.read(log) if log.exists() else True
