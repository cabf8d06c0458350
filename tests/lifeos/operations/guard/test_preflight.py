"""Preflight and its commands, in a clone of this checkout's control files."""

import json
import shutil
from datetime import date

import pytest

from evals.verdict import Outcome
from lifeos import cli, settings
from lifeos.operations.guard.preflight import exit_code, guard_findings
from tests.lifeos.operations.guard.world import Place
from tests.must_block.test_control_plane_breaches import House

DAY = date(2026, 11, 27)


@pytest.fixture
def house(tmp_path, monkeypatch):
    house = House(tmp_path / "check out")
    real = settings.project_root()
    for name in ("lifeos.toml", "personas/pistachio/prompts.toml"):
        shutil.copy(real / name, house.root / name)
    (house.root / "models").mkdir()
    (house.root / "models" / "tiny-base").symlink_to(real / "models" / "tiny-base", target_is_directory=True)
    (house.root / "models" / "faces").symlink_to(real / "models" / "faces", target_is_directory=True)
    house.write(".gitignore", "artifacts/\nSTOP\n")
    house.add()
    house.git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "Begin")
    monkeypatch.setattr(settings, "project_root", lambda: house.root)
    return house


def answers(house, as_of=DAY):
    return {each.id: each for each in guard_findings(house.root, as_of)}


def test_a_healthy_checkout_is_ready(house):
    found = answers(house)
    blocking = {name: each.verdict.reason for name, each in found.items() if each.blocks}
    assert blocking == {}
    assert exit_code(tuple(found.values())) == 0
    assert found["environment"].verdict.outcome is Outcome.NOT_APPLICABLE
    assert not found["docs_freshness"].hard


@pytest.mark.parametrize(
    ("breach", "gate", "said"),
    [
        (lambda house: house.write("STOP", ""), "stop_file", "STOP is there"),
        (lambda house: house.write(".git/MERGE_HEAD", "x"), "git_state", "unfinished MERGE_HEAD"),
        (lambda house: house.write("lifeos.toml", "colour = 'red'\n"), "settings_valid", "colour"),
        (lambda house: house.write("evals/eval_history.jsonl", '{"a": 1}\n'), "history_chain", "eval_history"),
        (lambda house: house.write("context/ledger/items.jsonl", "{}\n"), "ledger_reads", "line 1"),
        (lambda house: house.write("agents/pistachio-agent-v3.md", "# none\n"), "agent_contract", "accepted one block"),
        (lambda house: house.write("governed.txt", "other\n"), "freshness", "changed since"),
    ],
)
def test_what_is_wrong_blocks_under_its_name(house, breach, gate, said):
    breach(house)
    found = answers(house)
    assert said in found[gate].verdict.reason
    assert found[gate].blocks
    assert exit_code(tuple(found.values())) == 1


def test_a_folder_without_git_is_not_evaluated(house):
    shutil.rmtree(house.root / ".git")
    found = answers(house)
    assert {name for name, each in found.items() if each.blocks} == {
        "git_state", "control_plane", "control_links", "context_budget", "freshness",
    }  # fmt: skip
    assert exit_code(tuple(found.values())) == 2


def test_an_edit_of_a_block_by_hand_is_seen(house):
    text = house.text("CLAUDE.md")
    house.write("CLAUDE.md", text.replace("None yet.", "- a rule: mine (R-1, enforced by `likeness`)"))
    assert "block critical-rules" in answers(house)["ledger_reads"].verdict.reason


def run(capsys, *arguments):
    code = cli.main([*arguments])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_the_commands_answer_in_words_and_json(house, capsys):
    day = ("--as-of", "2026-11-27")
    code, out, _ = run(capsys, "preflight", *day)
    assert code == 0
    assert out.rstrip().endswith("ready: 14 guardrails asked")
    code, out, _ = run(capsys, "preflight", *day, "--json")
    answer = json.loads(out)
    assert (code, answer["schema"], answer["verdict"]) == (0, "lifeos.preflight/1", "passed")
    house.write("governed.txt", "other\n")
    code, out, _ = run(capsys, "preflight", *day)
    assert code == 1
    assert "1 of 14 guardrails block" in out
    code, out, _ = run(capsys, "freshness-check", *day)
    assert code == 1
    assert "next: read CLAUDE.md, correct it, then lifeos freshness-check --verify CLAUDE.md" in out
    names = ("CLAUDE.md", "agents/pistachio-agent-v3.md", "context/projects/pistachio/context.md")
    verify = [word for name in names for word in ("--verify", name)]
    code, out, _ = run(capsys, "freshness-check", *day, "--json", *verify)
    assert (code, json.loads(out)["verdict"]) == (0, "passed")
    code, out, _ = run(capsys, "freshness-check", *day, "--verify", "gone.md")
    assert code == 2
    code, out, _ = run(capsys, "context-budget")
    assert code == 0
    assert "tokens are an estimate" in out
    house.write("CLAUDE.md", house.text("CLAUDE.md") + "x\n" * 150)
    code, out, _ = run(capsys, "context-budget", "--json")
    answer = json.loads(out)
    assert (code, answer["verdict"]) == (1, "failed")
    assert answer["cuts"][0]["bytes"] >= answer["cuts"][1]["bytes"]


def test_a_freshness_check_without_git_is_one_line(tmp_path, monkeypatch, capsys):
    place = Place(tmp_path / "a", git=False)
    monkeypatch.setattr(settings, "project_root", lambda: place.root)
    code, _, err = run(capsys, "freshness-check", "--as-of", "2026-11-27")
    assert code == 2
    assert err.count("\n") == 1
