import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evals import history
from evals.content_hash import canonical_json, hash_json
from evals.errors import InputError

ROOT = Path(__file__).parents[2]
TIME = "2026-11-23T20:29:00Z"


def card(number, **more):
    return {"id": f"20261123T202900Z-{number:08x}", "schema": "lifeos.scorecard/1", "number": number, **more}


@pytest.fixture
def log(tmp_path):
    return tmp_path / "eval_history.jsonl"


def grown(path, *numbers):
    return [history.append(path, card(number)) for number in numbers]


def fork(log, tmp_path):
    grown(log, 1, 2)
    other = tmp_path / "theirs.jsonl"
    other.write_bytes(log.read_bytes())
    grown(log, 3)
    grown(other, 4, 5)
    return other


def test_rows_are_chained_and_verify(log):
    rows = grown(log, 1, 2, 3)
    assert [row["previous"] for row in rows] == [None, rows[0]["hash"], rows[1]["hash"]]
    assert history.read(log) == rows
    report = history.verify(log)
    assert (report.rows, report.tips, report.problems, report.torn) == (3, (rows[2]["hash"],), (), ())


def test_an_independent_reading_of_the_file_re_derives_the_hashes(log):
    grown(log, 1, 2)
    for line in log.read_text().splitlines():
        row = json.loads(line)
        own = row.pop("hash")
        text = json.dumps(row, sort_keys=True, separators=(",", ":"))
        assert hashlib.sha256(text.encode()).hexdigest() == own


def test_a_writer_killed_at_any_byte_costs_no_row(log, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # only a power cut could tell
    grown(log, 1)
    before = log.read_bytes()
    grown(log, 2)
    line = log.read_bytes()[len(before) :]
    for cut in range(len(line) + 1):
        path = tmp_path / f"cut{cut}" / log.name
        path.parent.mkdir()
        path.write_bytes(before + line[:cut])
        said = []
        row = history.append(path, card(3), on_recovery=said.append)
        report = history.verify(path)
        assert report.problems == ()
        assert report.tips == (row["hash"],)
        whole = cut >= len(line) - 1  # only the line end is missing
        assert report.rows == (3 if whole else 2)
        torn = list(path.parent.glob("*.torn-*"))
        if cut > 0 and not whole:
            assert [file.read_bytes() for file in torn] == [line[:cut]]
            assert report.torn == (torn[0].name,)
            assert torn[0].name in said[0]
        else:
            assert (torn, said) == ([], [])


def test_a_kill_during_recovery_loses_nothing(log, monkeypatch):
    grown(log, 1)
    log.write_bytes(log.read_bytes() + b'{"half":')
    real = history.write_bytes

    def killed_after(path, data):
        real(path, data)
        raise KeyboardInterrupt

    monkeypatch.setattr(history, "write_bytes", killed_after)
    with pytest.raises(KeyboardInterrupt):
        history.append(log, card(2))
    monkeypatch.undo()
    history.append(log, card(2))
    assert history.verify(log).rows == 2
    assert [file.read_bytes() for file in log.parent.glob("*.torn-*")] == [b'{"half":']


def test_an_unfinished_line_is_a_problem_to_verify_and_no_row_to_read(log):
    grown(log, 1)
    log.write_bytes(log.read_bytes() + b'{"half":')
    assert len(history.read(log)) == 1
    assert "unfinished" in history.verify(log).problems[0]


WRITER = """
import sys
from pathlib import Path
from evals import history
writer = int(sys.argv[2])
for number in range(int(sys.argv[3])):
    history.append(Path(sys.argv[1]), {"writer": writer, "number": number})
"""


def test_eight_writers_at_once_lose_nothing(log):
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(log), str(number), "12"], cwd=ROOT) for number in range(8)
    ]
    assert [writer.wait(timeout=120) for writer in writers] == [0] * 8
    rows = history.read(log)
    assert sorted((row["writer"], row["number"]) for row in rows) == [(w, n) for w in range(8) for n in range(12)]
    report = history.verify(log)
    assert (report.problems, len(report.tips)) == ((), 1)


@pytest.mark.timeout(120)
def test_a_killed_process_leaves_a_whole_row_or_none(log):
    grown(log, 0)
    for _ in range(3):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(log), "1", "100000"], cwd=ROOT)
        size = log.stat().st_size
        while log.stat().st_size < size + 400 and writer.poll() is None:
            pass
        writer.kill()
        writer.wait()
        last = history.append(log, card(9))
        report = history.verify(log)
        assert (report.problems, report.tips) == ((), (last["hash"],))


def test_tampering_is_found(log):
    rows = grown(log, 1, 2, 3)
    lines = log.read_bytes().splitlines(keepends=True)

    def problems(*changed):
        log.write_bytes(b"".join(changed))
        return history.verify(log).problems

    forged = json.loads(lines[1])
    forged["number"] = 7
    assert "does not re-derive" in problems(lines[0], canonical_json(forged).encode() + b"\n", lines[2])[0]
    # Re-sealing the forged row breaks the next one.
    del forged["hash"]
    forged["hash"] = hash_json(forged)
    assert "is not above it" in problems(lines[0], canonical_json(forged).encode() + b"\n", lines[2])[0]
    assert "is not above it" in problems(lines[0], lines[2])[0]
    assert "is not above it" in problems(lines[1], lines[0], lines[2])[0]
    assert "twice" in problems(lines[0], lines[1], lines[1], lines[2])[0]
    hidden = lines[1].replace(b'"number":2', b'"number":7,"number":2')
    assert "does not re-derive" in problems(lines[0], hidden, lines[2])[0]
    assert problems(lines[0], lines[1]) == ()  # the newest row gone: only an earlier tip can tell
    assert "once a tip, is gone" in history.verify(log, known_tips=[rows[2]["hash"]]).problems[0]
    assert history.verify(log, known_tips=[rows[1]["hash"]]).problems == ()


def test_every_changed_byte_of_a_row_is_found(log):
    grown(log, 1, 2)
    data = log.read_bytes()
    for position in range(len(data)):
        if data[position : position + 1] == b"\n":
            continue
        changed = bytearray(data)
        changed[position] ^= 1
        log.write_bytes(bytes(changed))
        assert history.verify(log).problems, position


def test_a_corrupt_last_row_takes_no_successor(log):
    grown(log, 1)
    log.write_bytes(log.read_bytes().replace(b'"number":1', b'"number":2'))
    before = log.read_bytes()
    with pytest.raises(InputError, match="history verify"):
        history.append(log, card(3))
    assert log.read_bytes() == before


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_not_a_number_is_refused_at_the_door(log, value):
    with pytest.raises(InputError, match="finite"):
        history.append(log, {"metrics": [{"mean": value}]})
    assert not log.exists()


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1e999"])
def test_not_a_number_in_the_file_is_corruption(log, text):
    log.write_text('{"hash":"0","previous":null,"x":' + text + "}\n", newline="\n")
    assert "not JSON" in history.verify(log).problems[0]
    with pytest.raises(InputError):
        history.read(log)


@pytest.mark.parametrize(
    "content", [{"gates": [{1: "a"}]}, {"a": {True: 0}}, {"a": ({None: 1},)}, {"a": {1: 0, "1": 0}}, {1: 0}]
)
def test_a_key_that_is_no_text_is_refused_however_deep(log, content):
    with pytest.raises(InputError, match="mapping keys must be str"):
        history.append(log, {**card(1), **content})
    assert not log.exists()


def test_a_tuple_comes_back_as_the_list_that_a_reader_gets(log):
    row = history.append(log, card(1, interval=(0.25, (1, 2))))
    assert row["interval"] == [0.25, [1, 2]]
    assert history.read(log) == [row]


def test_keys_of_the_chain_cannot_be_handed_in(log):
    for key in ("previous", "hash", "joins"):
        with pytest.raises(InputError, match=key):
            history.append(log, card(1, **{key: None}))


def test_a_missing_history_has_no_rows_but_does_not_verify(log):
    assert history.read(log) == []
    assert "no history file" in history.verify(log).problems[0]


def test_a_fork_is_legal_and_a_join_names_both_tips(log, tmp_path):
    other = fork(log, tmp_path)
    own_tip, their_tip = history.read(log)[-1]["hash"], history.read(other)[-1]["hash"]
    join = history.merge(log, other, time=TIME)
    assert join["joins"] == [own_tip, their_tip]
    assert join["previous"] == own_tip
    assert join["id"].startswith("20261123T202900Z-")
    report = history.verify(log, known_tips=[own_tip, their_tip])
    assert (report.rows, report.tips, report.problems) == (6, (join["hash"],), ())
    after = history.append(log, card(6))
    assert after["previous"] == join["hash"]
    assert history.verify(log).problems == ()


def test_a_fork_in_one_file_verifies_with_two_tips_and_can_be_joined(log, tmp_path):
    # What git's union merge leaves.
    other = fork(log, tmp_path)
    theirs = other.read_bytes().splitlines(keepends=True)[2:]
    log.write_bytes(log.read_bytes() + b"".join(theirs))
    report = history.verify(log)
    assert (report.problems, len(report.tips)) == ((), 2)
    history.merge(log, log, time=TIME)
    assert len(history.verify(log).tips) == 1


def test_merging_again_or_a_mere_continuation_adds_no_join(log, tmp_path):
    other = fork(log, tmp_path)
    join = history.merge(log, other, time=TIME)
    before = log.read_bytes()
    assert history.merge(log, other, time=TIME) == join
    assert log.read_bytes() == before
    assert history.merge(other, log, time=TIME) == join  # the other side takes over the same row
    assert history.verify(other).tips == (join["hash"],)


def test_a_join_that_names_one_row_or_a_stranger_is_found(log):
    rows = grown(log, 1, 2)
    for joins in ([rows[1]["hash"]], [rows[1]["hash"], "f" * 64], [rows[1]["hash"]] * 2):
        content = {"schema": history.JOIN_SCHEMA, "joins": joins, "previous": joins[0]}
        line = canonical_json({**content, "hash": hash_json(content)}).encode() + b"\n"
        path = log.with_name("joined.jsonl")
        path.write_bytes(log.read_bytes() + line)
        assert history.verify(path).problems


def test_a_tampered_or_unrelated_history_is_not_merged(log, tmp_path):
    other = fork(log, tmp_path)
    other.write_bytes(other.read_bytes().replace(b'"number":4', b'"number":8'))
    before = log.read_bytes()
    with pytest.raises(InputError, match="does not re-derive"):
        history.merge(log, other, time=TIME)
    unrelated = tmp_path / "unrelated.jsonl"
    grown(unrelated, 70)
    with pytest.raises(InputError, match="unrelated"):
        history.merge(log, unrelated, time=TIME)
    with pytest.raises(InputError, match="no history file"):
        history.merge(log, tmp_path / "absent.jsonl", time=TIME)
    assert log.read_bytes() == before


def test_find_takes_the_start_of_one_id_or_hash(log):
    rows = grown(log, 0x11111111, 0x22222222)
    assert history.find(log, rows[0]["id"]) == rows[0]
    assert history.find(log, rows[1]["hash"][:16]) == rows[1]
    for ambiguous in ("2026", "", "nothing"):
        with pytest.raises(InputError, match="lifeos history"):
            history.find(log, ambiguous)


def test_line_ends_of_a_windows_checkout_change_no_row(log):
    grown(log, 1, 2)
    log.write_bytes(log.read_bytes().replace(b"\n", b"\r\n"))
    assert history.verify(log).problems == ()
    history.append(log, card(3))
    assert history.verify(log).rows == 3


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(max_size=200), st.text(alphabet='{}[]":,0123456789enul\n\r\x00é', max_size=120)))
def test_any_bytes_give_problems_and_never_a_crash(tmp_path, junk):
    path = tmp_path / "junk.jsonl"
    path.write_bytes(junk if isinstance(junk, bytes) else junk.encode())
    report = history.verify(path)
    assert bool(report.problems) == bool(path.read_bytes())


def test_deeply_nested_junk_is_a_problem(log):
    log.write_bytes(b"[" * 200_000 + b"\n")
    assert "not JSON" in history.verify(log).problems[0]


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.dictionaries(st.text().filter(lambda k: k not in ("hash", "previous", "schema", "joins")), json_values),
        max_size=3,
    )
)
def test_whatever_json_goes_in_comes_back_and_verifies(tmp_path, cards):
    path = tmp_path / "any.jsonl"
    path.unlink(missing_ok=True)
    for content in cards:
        history.append(path, content)
    assert [{k: v for k, v in row.items() if k not in ("hash", "previous")} for row in history.read(path)] == cards
    assert not cards or history.verify(path).problems == ()


def test_a_key_written_twice_is_corruption_though_its_hash_derives(log):
    content = '{"a":1,"a":2,"previous":null}'
    own = hashlib.sha256(content.encode()).hexdigest()
    log.write_text(content.replace('"previous"', f'"hash":"{own}","previous"') + "\n", newline="\n")
    with pytest.raises(InputError, match="does not re-derive"):
        history.read(log)
    assert history.verify(log).problems != ()


def test_a_last_row_of_any_length_is_found_from_the_end(log):
    for size in (10, 20_000, 70_000):
        row = history.append(log, card(size, note="n" * size))
        assert history.append(log, card(size + 1))["previous"] == row["hash"]
    assert history.verify(log).problems == ()


def test_what_is_written_while_a_history_is_verified_is_no_part_of_the_answer(log, monkeypatch):
    grown(log, 1)
    real = history.read_tail

    def meanwhile(file):
        tail = real(file)
        with log.open("ab") as more:
            more.write(b"no row at all\n")
        return tail

    monkeypatch.setattr(history, "read_tail", meanwhile)
    report = history.verify(log)
    assert (report.rows, report.problems) == (1, ())


def test_the_name_of_a_new_history_is_made_durable_once(log, monkeypatch):
    folders = []
    monkeypatch.setattr(history, "sync_folder", folders.append)
    grown(log, 1, 2)
    assert folders == [log.parent]


def test_a_history_is_made_with_its_folders(tmp_path):
    path = tmp_path / "new" / "deep" / "h.jsonl"
    row = history.append(path, card(1))
    assert history.read(path) == [row]


def test_a_refused_scorecard_leaves_no_file(log):
    with pytest.raises(InputError):
        history.append(log, card(1, value=float("nan")))
    assert not log.exists()
