import json
import shutil
from datetime import date

import pytest

from evals.history import append
from lifeos import cli, settings
from lifeos.operations.cycle.state import CycleState, Options, StageState, cycles_folder, save_state
from lifeos.operations.findings.ledger import append_items
from lifeos.operations.status import read_status, status_lines
from lifeos.settings import load_project
from tests.lifeos.operations.findings.ledgers import record
from tests.must_block.test_control_plane_breaches import House

DAY = date(2026, 11, 27)


@pytest.fixture
def house(tmp_path):
    house = House(tmp_path / "check out")
    real = settings.project_root()
    for name in ("lifeos.toml", "personas/pistachio/prompts.toml"):
        shutil.copy(real / name, house.root / name)
    (house.root / "models").mkdir()
    for name in ("tiny-base", "faces"):
        (house.root / "models" / name).symlink_to(real / "models" / name, target_is_directory=True)
    house.write(".gitignore", "artifacts/\nSTOP\n*.lock\n")
    house.write("evals/eval_history.jsonl", "")
    house.add()
    house.git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "Begin")
    return house


def read(house):
    root = house.root
    return read_status(load_project(root), root / "artifacts", root / "evals" / "eval_history.jsonl", DAY)


def add(house, phase, verdict, number=1, **more):
    row = {"id": f"2026112{number}T070000Z-{phase}", "time": f"2026-11-2{number}T07:00:00Z", "phase": phase,
           "verdict": verdict, "gates": [], "persona": "pistachio"}  # fmt: skip
    return append(house.root / "evals" / "eval_history.jsonl", row | more)


def cycle(house, code, reason, committed=False, failed=False):
    stages = {"commit": StageState(status="done")} if committed else {}
    stages |= {"run": StageState(status="failed")} if failed else {}
    state = CycleState(run="cycle-1", as_of="2026-11-27", created="2026-11-27T07:00:00Z", base_commit="unknown",
                       options=Options(), stages=stages, exit_code=code, reason=reason)  # fmt: skip
    save_state(cycles_folder(house.root / "artifacts") / "cycle-1", state)


def test_a_fresh_checkout_is_told_in_ten_lines_and_what_to_type(house):
    status = read(house)
    lines = status_lines(status)
    assert len(lines) <= 10
    assert lines[1] == "guardrails  ready"
    assert "release     never ran" in lines
    assert status.next == ("lifeos gate release", "no release was judged yet")


@pytest.mark.parametrize(
    ("change", "command"),
    [
        (lambda h: h.write("STOP", ""), "lifeos preflight"),
        (lambda h: cycle(h, 40, "cheap gates rejected"), "lifeos run-full-cycle --resume cycle-1"),
        (lambda h: cycle(h, None, ""), "lifeos run-full-cycle --resume cycle-1"),
        (lambda h: cycle(h, 40, "phase predeploy was not evaluated", committed=True), "lifeos gate release"),
        (lambda h: cycle(h, 0, "done", committed=True), "lifeos gate release"),
        (lambda h: cycle(h, 21, "stalled", failed=True), "lifeos gate release"),
        (lambda h: append_items(h.root, [record(kind="rule")]), "lifeos review"),
        (lambda h: h.write("artifacts/briefings/b.md", "# a briefing\n"), "lifeos promote-findings"),
        (lambda h: add(h, "predeploy", "rejected"), "lifeos gate predeploy"),
        (lambda h: add(h, "predeploy", "approved"), "lifeos gate release"),
        (lambda h: add(h, "release", "rejected"), "lifeos where-to-mend"),
        (lambda h: add(h, "release", "not_evaluated"), "lifeos gate release"),
        (lambda h: add(h, "release", "approved", hashes={"lora": "a"}), "lifeos promote-lora 20261121T070000Z-release"),
        (lambda h: add(h, "release", "approved", hashes={"lora": None}), "lifeos run-full-cycle"),
    ],
)
def test_the_next_command_follows_from_what_is_there(house, change, command):
    change(house)
    assert read(house).next[0] == command


def test_the_latest_row_of_a_phase_counts_and_memory_is_counted(house):
    add(house, "release", "approved", 1)
    row = add(house, "release", "rejected", 2)
    weak = record("Another", key="a.c", confidence="observed")
    append_items(house.root, [record(), weak, record("Third", kind="task")])
    status = read(house)
    assert status.phases["release"] == {"verdict": "rejected", "row": row["id"], "time": row["time"]}
    assert {name: count for name, count in status.memory.items() if count} == {"finding": 1, "task": 1, "waiting": 1}


def test_what_cannot_be_read_is_said_in_its_place(house):
    house.write("personas/pistachio/champion.json", "{}")
    house.write("evals/eval_history.jsonl", "nonsense\n")
    house.write("context/ledger/items.jsonl", "nonsense\n")
    status = read(house)
    assert "champion.json" in status.champion
    assert status.next[0] == "lifeos preflight"
    assert {each.split(":")[0] for each in status.guard} >= {"history_chain", "ledger_reads"}


def test_the_command_answers_in_words_and_json(house, monkeypatch, capsys):
    monkeypatch.setattr(settings, "project_root", lambda: house.root)
    assert cli.main(["status", "--as-of", "2026-11-27"]) == 0
    assert capsys.readouterr().out.startswith("checkout    ")
    assert cli.main(["status", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["schema"], answer["next"]["command"]) == ("lifeos.status/1", "lifeos gate release")
    shutil.rmtree(house.root / ".git")
    assert cli.main(["status"]) == 0
    assert cli.main(["status", "--as-of", "soon"]) == 2
