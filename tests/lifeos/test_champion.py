import io
import json
import urllib.request

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evals import history
from evals.content_hash import hash_bytes
from evals.scorecard import HASHES, build_scorecard, gate_row
from evals.verdict import failed, passed
from lifeos.champion import (
    CHAMPION_FILE,
    Champion,
    NotTheChampionError,
    champion_lora,
    check_champion,
    fetch_champion,
    fetched_file,
    keep_copy,
    read_champion,
    write_champion,
)
from lifeos.errors import InputError

LORA = b"the approved bytes"


def scorecard(lora=hash_bytes(LORA), verdict=passed, time="2026-11-23T20:29:00Z", **changes):
    return build_scorecard(
        **{
            "time": time, "phase": "release", "run_id": "run-1", "persona": "one", "git_commit": "a" * 40,
            "git_dirty": False, "git_changed": [], "hashes": {**dict.fromkeys(HASHES, "c" * 64), "lora": lora},
            "gates": [gate_row("likeness", "hard", verdict("r"))], "metrics": {}, "champion": None,
            "face_backend": None, "environment": {"source": "lora"}, "durations": {}, "cost": None, "reused": False,
            **changes,
        }
    )  # fmt: skip


def champion(row, **changes):
    return Champion(
        **{
            "schema": "lifeos.champion/1", "persona": "one", "lora": row["hashes"]["lora"], "row": row["id"],
            "row_hash": row["hash"], "policy": "c" * 64, "calibration": None, "base": "c" * 64, "approved": True,
            "promoted": "2026-11-24T08:00:00Z", **changes,
        }
    )  # fmt: skip


@pytest.fixture
def place(tmp_path):
    """A folder with a LoRA, a history that approves it and the champion.json."""
    (tmp_path / "good.safetensors").write_bytes(LORA)
    row = history.append(tmp_path / "history.jsonl", scorecard())
    write_champion(tmp_path / CHAMPION_FILE, champion(row, location="good.safetensors"))
    return tmp_path


def checked(place, name="good.safetensors"):
    return check_champion(place / name, place / CHAMPION_FILE, place / "history.jsonl")


def test_exactly_the_approved_bytes_are_the_champion(place):
    assert checked(place).lora == hash_bytes(LORA)
    (place / "copy.bin").write_bytes(LORA)
    assert checked(place, "copy.bin").row.startswith("20261123")


def test_other_bytes_an_adopted_model_and_a_row_that_says_otherwise_are_not(place):
    (place / "other.safetensors").write_bytes(LORA + b" ")
    with pytest.raises(NotTheChampionError, match="other bytes"):
        checked(place, "other.safetensors")
    told = read_champion(place / CHAMPION_FILE)
    for changes, why in (
        ({"approved": False}, "never approved"),
        ({"row": "20261123T202900Z-ffffffff"}, "not in"),
        ({"row_hash": "f" * 64}, "not in"),
    ):
        write_champion(place / CHAMPION_FILE, told.model_copy(update=changes))
        with pytest.raises(NotTheChampionError, match=why):
            checked(place)


def test_a_row_that_rejected_or_judged_another_file_approves_nothing(place):
    for made in (scorecard(verdict=failed), scorecard(lora="d" * 64)):
        row = history.append(place / "history.jsonl", made)
        write_champion(place / CHAMPION_FILE, champion(row, lora=hash_bytes(LORA)))
        with pytest.raises(NotTheChampionError, match="does not approve"):
            checked(place)


def test_a_history_that_was_changed_proves_nothing(place):
    text = (place / "history.jsonl").read_text(encoding="utf-8")
    (place / "history.jsonl").write_text(text.replace('"reused":false', '"reused":true'), encoding="utf-8")
    with pytest.raises(NotTheChampionError, match="does not verify"):
        checked(place)


@pytest.mark.parametrize("name", ["good.safetensors", CHAMPION_FILE, "history.jsonl"])
def test_what_is_missing_is_a_usage_error(place, name):
    (place / name).unlink()
    with pytest.raises(InputError, match="next: "):
        checked(place)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10_000), st.integers(0, 255))
def test_no_single_changed_byte_is_read_as_another_champion(place, where, value):
    original = (place / CHAMPION_FILE).read_bytes()
    data = bytearray(original)
    data[where % len(data)] = value
    changed = place / "changed.json"
    changed.write_bytes(bytes(data))
    if bytes(data) == original:
        return
    with pytest.raises(InputError):
        read_champion(changed)


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"sha256": 1}', "[" * 99, '{"schema": "x/2", "sha256": 1}'])
def test_what_is_no_champion_is_one_clear_line(tmp_path, text):
    (tmp_path / CHAMPION_FILE).write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as raised:
        read_champion(tmp_path / CHAMPION_FILE)
    assert "\n" not in str(raised.value)


def test_a_key_that_stands_twice_is_refused(place):
    text = (place / CHAMPION_FILE).read_text(encoding="utf-8")
    (place / CHAMPION_FILE).write_text(text.replace("{", '{"approved": true,', 1), encoding="utf-8")
    with pytest.raises(InputError, match="changed since"):
        read_champion(place / CHAMPION_FILE)


def test_a_checkout_with_other_line_ends_reads_the_same(place):
    text = (place / CHAMPION_FILE).read_bytes()
    (place / CHAMPION_FILE).write_bytes(text.replace(b"\n", b"\r\n"))
    assert checked(place).approved


class TestFetch:
    def test_a_path_is_copied_verified_and_brought_once(self, place):
        target = fetch_champion(place / CHAMPION_FILE, place / "artifacts")
        assert target == fetched_file(place / "artifacts", hash_bytes(LORA))
        assert target.read_bytes() == LORA
        (place / "good.safetensors").unlink()
        assert fetch_champion(place / CHAMPION_FILE, place / "artifacts") == target
        assert champion_lora(place / CHAMPION_FILE, place / "artifacts") == target

    def test_other_bytes_leave_nothing_behind(self, place):
        (place / "good.safetensors").write_bytes(b"something else")
        with pytest.raises(NotTheChampionError, match="other bytes"):
            fetch_champion(place / CHAMPION_FILE, place / "artifacts")
        assert list((place / "artifacts" / "champions").iterdir()) == []
        with pytest.raises(InputError, match="fetch-champion"):
            champion_lora(place / CHAMPION_FILE, place / "artifacts")

    def test_an_address_is_opened_and_its_bytes_are_verified_too(self, place):
        told = read_champion(place / CHAMPION_FILE)
        write_champion(
            place / CHAMPION_FILE, told.model_copy(update={"location": "https://models.example/a.safetensors"})
        )
        asked = []
        opened = fetch_champion(
            place / CHAMPION_FILE, place / "artifacts", lambda address: asked.append(address) or io.BytesIO(LORA)
        )
        assert (asked, opened.read_bytes()) == (["https://models.example/a.safetensors"], LORA)

    def test_more_than_a_download_may_be_is_cut_off(self, place, monkeypatch):
        monkeypatch.setattr("lifeos.champion.LARGEST_DOWNLOAD", len(LORA) - 1)
        with pytest.raises(NotTheChampionError, match="larger than"):
            fetch_champion(place / CHAMPION_FILE, place / "artifacts")
        assert list((place / "artifacts" / "champions").iterdir()) == []

    @pytest.mark.parametrize("location", ["http://x/y", "file:///etc/passwd", "ftp://x/y", "hf://a/b"])
    def test_other_addresses_are_never_opened(self, place, location, monkeypatch):
        monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: pytest.fail("opened"))
        told = read_champion(place / CHAMPION_FILE)
        write_champion(place / CHAMPION_FILE, told.model_copy(update={"location": location}))
        with pytest.raises(InputError, match="accepted a path or https"):
            fetch_champion(place / CHAMPION_FILE, place / "artifacts")

    def test_nowhere_to_fetch_from_and_a_place_that_is_gone(self, place):
        told = read_champion(place / CHAMPION_FILE)
        for location, why in ((None, "--location"), ("gone.safetensors", "correct the location")):
            write_champion(place / CHAMPION_FILE, told.model_copy(update={"location": location}))
            with pytest.raises(InputError, match=why):
                fetch_champion(place / CHAMPION_FILE, place / "artifacts")


def test_a_copy_is_kept_of_the_right_bytes_only(tmp_path):
    (tmp_path / "a").write_bytes(LORA)
    assert not keep_copy(tmp_path / "a", "f" * 64, tmp_path)
    assert not keep_copy(tmp_path / "missing", hash_bytes(LORA), tmp_path)
    assert keep_copy(tmp_path / "a", hash_bytes(LORA), tmp_path)
    assert fetched_file(tmp_path, hash_bytes(LORA)).read_bytes() == LORA


def test_the_file_is_json_that_people_can_read(place):
    told = json.loads((place / CHAMPION_FILE).read_text(encoding="utf-8"))
    assert (told["schema"], told["approved"], told["location"]) == ("lifeos.champion/1", True, "good.safetensors")
