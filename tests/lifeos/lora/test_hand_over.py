"""What a copy may say of the judgement of another file."""

import json

import pytest

from evals import history
from evals.content_hash import hash_bytes
from evals.scorecard import HASHES, build_scorecard, gate_row
from evals.verdict import failed, passed
from lifeos.errors import InputError
from lifeos.lora.hand_over import STAMPS, judgement_of

LORA, OTHER = hash_bytes(b"one"), hash_bytes(b"two")


@pytest.fixture
def record(tmp_path):
    """Append a row and return it."""

    def append(lora=LORA, verdict=passed, time="2026-11-23T20:29:00Z", phase="release", source="lora"):
        return history.append(tmp_path / "history.jsonl", build_scorecard(
            time=time, phase=phase, run_id="run-1", persona="one", git_commit="a" * 40, git_dirty=False,
            git_changed=[], hashes={**dict.fromkeys(HASHES, "c" * 64), "lora": lora},
            gates=[gate_row("likeness", "hard", verdict("r"))], metrics={}, champion=None, face_backend=None,
            environment={"source": source}, durations={}, cost=None, reused=False,
        ))  # fmt: skip

    return append


@pytest.mark.parametrize(("verdict", "word"), [(passed, "approved"), (failed, "rejected")])
def test_the_row_that_judged_exactly_these_bytes_is_named(record, tmp_path, verdict, word):
    record(lora=OTHER)
    row = record(verdict=verdict)
    found = judgement_of(LORA, tmp_path / "history.jsonl")
    assert (found.row, found.row_hash, found.verdict, found.lora) == (row["id"], row["hash"], word, LORA)
    stamps = found.metadata()
    assert tuple(stamps) == STAMPS
    assert (stamps["lifeos.verdict"], stamps["lifeos.judged_sha256"]) == (word, LORA)
    assert stamps["lifeos.policy_hash"] == "c" * 64
    assert stamps["lifeos.hand_over"].startswith(f"{word} by row {row['id']}")
    assert judgement_of(LORA, tmp_path / "history.jsonl", row["hash"][:12]) == found


def test_the_latest_row_of_a_file_speaks_and_no_earlier_one_can_be_chosen(record, tmp_path):
    early = record()
    late = record(verdict=failed, time="2026-11-24T20:29:00Z")
    # A merged history may stand behind although it is older.
    record(time="2026-11-22T20:29:00Z")
    assert judgement_of(LORA, tmp_path / "history.jsonl").row == late["id"]
    with pytest.raises(InputError, match=f"before {late['id']} \\(rejected\\)"):
        judgement_of(LORA, tmp_path / "history.jsonl", early["id"])


def test_rows_that_judged_no_such_file_say_nothing(record, tmp_path):
    record(source="images")
    record(source="simulation")
    record(phase="predeploy")
    other = record(lora=OTHER)
    path = tmp_path / "history.jsonl"
    assert judgement_of(LORA, path) is None
    assert judgement_of(LORA, tmp_path / "absent.jsonl") is None
    for row in (other, history.read(path)[0]):
        with pytest.raises(InputError, match="accepted a release of this file"):
            judgement_of(LORA, path, row["hash"])
    with pytest.raises(InputError):
        judgement_of(LORA, path, "20991231")


def test_a_history_that_was_changed_says_nothing_at_all(record, tmp_path):
    record(verdict=failed)
    record(lora=OTHER)
    path = tmp_path / "history.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([lines[0].replace("rejected", "approved"), *lines[1:]]) + "\n", encoding="utf-8")
    with pytest.raises(InputError):
        judgement_of(LORA, path)
    # A row that was left out.
    path.write_text(lines[1] + "\n", encoding="utf-8")
    assert json.loads(lines[1])["previous"]
    with pytest.raises(InputError, match="next: lifeos history verify"):
        judgement_of(OTHER, path)
