import re
import shutil
import subprocess
import threading
from dataclasses import replace
from functools import partial

import pytest
from filelock import FileLock

from evals import history
from evals.content_hash import hash_bytes, hash_file, hash_folder
from evals.history import verify
from evals.scorecard import HASHES, gate_row
from evals.verdict import failed, not_evaluated
from lifeos import runner
from lifeos.champion import CHAMPION_FILE, check_champion, read_champion
from lifeos.cli import main
from lifeos.inputs import champion_file, read_inputs
from lifeos.lora.families import base_hash
from lifeos.persona import load_persona
from lifeos.promotion import Facts, committed_tip, name_champion, promote, refusals
from tests.lifeos import simulated_release as simulation
from tests.lifeos.simulated_release import make_persona
from tests.lifeos.test_champion import LORA, scorecard

TIME = "2026-11-25T10:00:00Z"


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return make_persona(tmp_path_factory.mktemp("promotion"))


@pytest.fixture
def inputs(shared, tmp_path):
    """A persona of its own (so that champion.json may be written) and an empty history."""
    folder = tmp_path / "persona one"
    shutil.copytree(shared, folder)
    options = {"persona": folder, "history": tmp_path / "h.jsonl", "artifacts": tmp_path / "artifacts"}
    return read_inputs(options)


@pytest.fixture
def hashes(inputs):
    """Of everything a row must have been made with."""
    persona = load_persona(inputs.persona)
    return {
        **dict.fromkeys(HASHES, "c" * 64), "lora": hash_bytes(LORA), "policy": hash_file(inputs.policy),
        "calibration": hash_file(persona.calibration), "references": hash_folder(persona.references, "*"),
        "base": base_hash(persona.base),
    }  # fmt: skip


@pytest.fixture
def recorded(inputs, hashes):
    def record(**changes):
        given = {**hashes, **changes.pop("hashes", {})}
        return history.append(inputs.history, scorecard(hashes=given, **changes))

    return record


def test_an_approved_row_becomes_the_champion_and_its_bytes_pass_the_loaders_check(inputs, recorded, tmp_path):
    row = recorded()
    (inputs.persona / "v3.safetensors").write_bytes(LORA)
    done = promote(inputs, row["id"], time=TIME, location="v3.safetensors")
    assert (done.refusals, done.replaced, done.persona_edited) == ((), None, True)
    told = read_champion(inputs.persona / CHAMPION_FILE)
    assert (told.lora, told.row, told.row_hash, told.promoted) == (hash_bytes(LORA), row["id"], row["hash"], TIME)
    assert check_champion(inputs.persona / "v3.safetensors", inputs.persona / CHAMPION_FILE, inputs.history) == told
    assert load_persona(inputs.persona).champion == CHAMPION_FILE
    assert champion_file(inputs) == inputs.persona / "v3.safetensors"
    again = promote(inputs, row["id"], time="2026-11-26T10:00:00Z")
    assert again.unchanged
    assert read_champion(inputs.persona / CHAMPION_FILE) == told


def test_a_dry_run_writes_nothing(inputs, recorded):
    before = (inputs.persona / "persona.toml").read_bytes()
    assert promote(inputs, recorded()["id"], time=TIME, dry_run=True).champion is not None
    assert not (inputs.persona / CHAMPION_FILE).exists()
    assert (inputs.persona / "persona.toml").read_bytes() == before


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"phase": "predeploy"}, "phase predeploy"),
        ({"gates": [gate_row("likeness", "hard", failed("r"))]}, r"rejected, not approved \(likeness failed\)"),
        ({"gates": [gate_row("likeness", "hard", not_evaluated("r"))]}, "not evaluated, not approved"),
        ({"narrowed": True}, "narrowed"),
        ({"persona": "two"}, "judges persona two, not one"),
        ({"environment": {"source": "images"}}, "finished images"),
        ({"environment": {"source": "simulation"}}, "a simulation"),
        ({"hashes": {"lora": None}}, "no LoRA"),
        ({"hashes": {"policy": "d" * 64}}, "another policy"),
        ({"hashes": {"calibration": "d" * 64}}, "another calibration"),
        ({"hashes": {"references": "d" * 64}}, "another references"),
        ({"hashes": {"base": "d" * 64}}, "another base"),
        ({"git_dirty": True, "git_changed": ["evals/judge.py"]}, r"had changes \(evals/judge.py\)"),
        ({"git_dirty": None}, "git did not answer"),
    ],
)
def test_each_reason_refuses_alone(inputs, recorded, changes, why):
    done = promote(inputs, recorded(**changes)["id"], time=TIME)
    assert done.champion is None
    assert any(re.search(why, each) for each in done.refusals)
    assert not (inputs.persona / CHAMPION_FILE).exists()


def test_every_reason_is_told_at_once(inputs, recorded):
    row = recorded(persona="two", environment={"source": "images"}, git_dirty=True)
    assert len(promote(inputs, row["id"], time=TIME).refusals) == 3


def test_a_dirty_checkout_is_taken_when_told_and_named_in_the_file(inputs, recorded):
    row = recorded(git_dirty=True, git_changed=["notes.md"])
    assert promote(inputs, row["id"], time=TIME, allow_dirty=True).refusals == ()
    assert read_champion(inputs.persona / CHAMPION_FILE).dirty == ["notes.md"]


def test_only_the_latest_row_of_a_file_counts(inputs, recorded):
    first = recorded()
    later = recorded(gates=[gate_row("likeness", "hard", failed("r"))], time="2026-11-24T09:00:00Z")
    done = promote(inputs, first["id"], time=TIME)
    assert done.refusals == (f"a later row judges the same file: {later['id']} (rejected)",)
    assert promote(inputs, recorded(time="2026-11-24T10:00:00Z")["id"], time=TIME).refusals == ()


def test_a_row_that_was_merged_in_behind_is_no_later_for_it(inputs, recorded):
    newest = recorded(time="2026-11-25T09:00:00Z")
    older = recorded(time="2026-11-24T09:00:00Z")  # stands behind, as after a merge
    (refusal,) = promote(inputs, older["id"], time=TIME).refusals
    assert newest["id"] in refusal
    (refusal,) = promote(inputs, newest["id"], time=TIME).refusals
    assert older["id"] in refusal  # which of the two is the latest nobody can tell: neither is promoted


def test_what_is_no_scorecard_is_refused(inputs, recorded):
    recorded()
    review = history.append(inputs.history, {"schema": "lifeos.review/1", "id": "20261125T090000Z-aaaaaaaa"})
    assert promote(inputs, review["id"], time=TIME).refusals == (f"row {review['id']} is no scorecard",)


def test_a_history_that_lost_a_committed_row_authorises_nothing(inputs, recorded, tmp_path):
    root = tmp_path / "checkout"
    (root / "evals").mkdir(parents=True)
    kept = replace(inputs, project=replace(inputs.project, root=root), history=root / "evals" / "h.jsonl")
    first, lost = (recorded(time=f"2026-11-2{day}T09:00:00Z", hashes={"lora": str(day) * 64}) for day in (3, 4))
    shutil.copy(inputs.history, kept.history)
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "x"]):
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *identity, *command], cwd=root, check=True, capture_output=True)
    assert committed_tip(root, kept.history) == lost["hash"]
    assert promote(kept, first["id"], time=TIME, dry_run=True).refusals == ()
    kept.history.write_bytes(kept.history.read_bytes().splitlines(keepends=True)[0])
    (refusal,) = promote(kept, first["id"], time=TIME, dry_run=True).refusals
    assert "once a tip, is gone" in refusal


def test_a_promotion_waits_for_another(inputs, recorded):
    row = recorded()
    inputs.artifacts.mkdir(parents=True, exist_ok=True)
    done = threading.Thread(target=promote, args=(inputs, row["id"]), kwargs={"time": TIME})
    with FileLock(str(inputs.artifacts / "champion.lock")):
        done.start()
        done.join(timeout=1.0)
        assert done.is_alive()
        assert not (inputs.persona / CHAMPION_FILE).exists()
    done.join(timeout=30.0)
    assert read_champion(inputs.persona / CHAMPION_FILE).lora == hash_bytes(LORA)


def test_a_successor_must_have_been_compared_with_the_champion_and_approved_over_it(inputs, recorded):
    first = recorded()
    assert promote(inputs, first["id"], time=TIME).refusals == ()
    second = {"lora": "e" * 64}
    for champion, why in (
        (None, "not compared"),
        ({"lora": "f" * 64, "decision": {"verdict": "approve"}}, "not compared"),
        ({"lora": hash_bytes(LORA), "decision": {"verdict": "no_decision"}}, "no_decision, not approve"),
        ({"lora": hash_bytes(LORA), "decision": None}, "missing, not approve"),
    ):
        (refusal,) = promote(inputs, recorded(hashes=second, champion=champion)["id"], time=TIME).refusals
        assert why in refusal
    good = {"lora": hash_bytes(LORA), "decision": {"verdict": "approve"}}
    done = promote(inputs, recorded(hashes=second, champion=good)["id"], time=TIME)
    assert (done.refusals, done.champion.previous) == ((), hash_bytes(LORA))


def test_a_broken_or_forked_history_authorises_nothing(inputs, recorded):
    row = recorded()
    facts = Facts.of(inputs, load_persona(inputs.persona), None)
    assert refusals(row, facts) == []
    broken = verify(inputs.history, ["a" * 64])  # a tip that once was committed and is gone
    assert "does not verify" in refusals(row, Facts(facts.persona, facts.hashes, None, broken, facts.rows))[0]
    forked = type(broken)(2, ("a" * 64, "b" * 64), (), ())
    assert "fork" in refusals(row, Facts(facts.persona, facts.hashes, None, forked, facts.rows))[0]


def test_a_location_with_other_bytes_is_refused(inputs, recorded):
    row = recorded()
    (inputs.persona / "v3.safetensors").write_bytes(b"other")
    for location, why in (("v3.safetensors", "other bytes"), ("gone.safetensors", "names no file")):
        assert why in promote(inputs, row["id"], time=TIME, location=location).refusals[0]
    assert not (inputs.persona / CHAMPION_FILE).exists()


def test_two_promotions_at_once_leave_one_whole_file(inputs, recorded):
    rows = [recorded(hashes={"lora": character * 64}) for character in "de"]
    threads = [threading.Thread(target=promote, args=(inputs, row["id"]), kwargs={"time": TIME}) for row in rows]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read_champion(inputs.persona / CHAMPION_FILE).lora in ("d" * 64, "e" * 64)


@pytest.mark.parametrize(
    ("line", "after"),
    [
        ('champion = "none"   # a first release', 'champion = "champion.json"'),
        ("champion='none'", 'champion = "champion.json"'),
        ('champion = "none"\r', 'champion = "champion.json"\r'),
        ('champion = "best.safetensors"', None),
        ('# champion = "none"', None),
        ('champion = "none"\nchampion = "none"', None),
    ],
)
def test_one_line_of_the_persona_is_edited_and_no_other_byte(tmp_path, line, after):
    text = 'name = "ä"\n{}\nfar = 0.01  # champion = "none" is said here too\n'
    (tmp_path / "persona.toml").write_bytes(text.format(line).encode())
    assert name_champion(tmp_path) is (after is not None)
    assert (tmp_path / "persona.toml").read_bytes() == text.format(line if after is None else after).encode()


def test_the_commands_say_yes_and_no_with_their_status(inputs, recorded, tmp_path, capsys):
    where = ["--persona", str(inputs.persona), "--history", str(inputs.history)]
    bad = recorded(environment={"source": "images"})
    assert main(["promote-lora", bad["id"], *where, "--artifacts", str(inputs.artifacts)]) == 1
    assert "REFUSED\n  - finished images were judged" in capsys.readouterr().out
    row = recorded(time="2026-11-24T09:00:00Z")
    (inputs.persona / "v3.safetensors").write_bytes(LORA)
    options = [*where, "--artifacts", str(inputs.artifacts), "--location", "v3.safetensors"]
    assert main(["promote-lora", row["id"], *options]) == 0
    assert "is now the champion" in capsys.readouterr().out
    assert main(["check-champion", str(inputs.persona / "v3.safetensors"), *where]) == 0
    (tmp_path / "other").write_bytes(b"x")
    assert main(["check-champion", str(tmp_path / "other"), *where]) == 1
    assert main(["check-champion", str(tmp_path / "missing"), *where]) == 2
    assert main(["promote-lora", "nothing", *where]) == 2
    fetch = ["fetch-champion", "--persona", str(inputs.persona), "--artifacts", str(inputs.artifacts)]
    assert main(fetch) == 0
    (inputs.persona / "v3.safetensors").unlink()
    assert main(fetch) == 0


def test_a_champion_that_is_named_and_gone_is_no_first_release(inputs, recorded):
    promote(inputs, recorded()["id"], time=TIME)
    from lifeos.errors import InputError
    from lifeos.inputs import declared_needs

    assert "champion" in declared_needs(inputs, "release")
    with pytest.raises(InputError, match="fetch-champion"):
        champion_file(inputs)
    (inputs.persona / CHAMPION_FILE).unlink()
    with pytest.raises(InputError, match="promote-lora"):
        champion_file(inputs)


class TestAdopt:
    @pytest.fixture
    def adopt(self, inputs, tmp_path, monkeypatch):
        monkeypatch.setattr(runner, "run_gate", partial(runner.run_gate, engine=simulation.NAME))
        where = ["--persona", str(inputs.persona), "--history", str(inputs.history)]

        def run(*more, **behaviour):
            file = simulation.write_lora(tmp_path / "old.safetensors", **behaviour)
            return main(["adopt-champion", str(file), *where, "--artifacts", str(inputs.artifacts), *more]), file

        return run

    def test_an_adopted_model_is_compared_with_and_never_loaded(self, inputs, adopt, capsys):
        status, file = adopt(identity=2)  # another person: rejected, and registered all the same
        assert status == 0
        told = read_champion(inputs.persona / CHAMPION_FILE)
        assert (told.approved, told.lora, told.location) == (False, hash_file(file), None)
        assert history.find(inputs.history, told.row)["verdict"] == "rejected"
        assert "registered, not approved" in capsys.readouterr().out
        assert champion_file(inputs).read_bytes() == file.read_bytes()
        where = ["--persona", str(inputs.persona), "--history", str(inputs.history)]
        assert main(["check-champion", str(file), *where]) == 1
        assert "never approved" in capsys.readouterr().out
        assert adopt(identity=1)[0] == 2  # there is one already
        assert adopt("--replace", identity=1)[0] == 0
        assert read_champion(inputs.persona / CHAMPION_FILE).previous == told.lora

    def test_a_location_is_looked_at_before_anything_is_judged(self, inputs, adopt, capsys):
        assert adopt("--location", "gone.safetensors", identity=1)[0] == 1
        assert "names no file" in capsys.readouterr().out
        assert adopt("--location", "ftp://x/y", identity=1)[0] == 2
        assert not (inputs.persona / CHAMPION_FILE).exists()
        assert not inputs.history.exists()

    def test_what_could_not_be_judged_is_not_registered(self, inputs, adopt):
        assert adopt(identity=1, weights=["weights_whole"])[0] == 1
        assert not (inputs.persona / CHAMPION_FILE).exists()
