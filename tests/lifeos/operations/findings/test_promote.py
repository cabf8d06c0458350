import dataclasses
import random
import shutil
from datetime import date
from pathlib import Path

import pytest

from evals.history import append
from lifeos.errors import InputError
from lifeos.operations.briefing import Briefing, Evidence, Item, render_briefing
from lifeos.operations.findings import promote
from lifeos.operations.findings.blocks import PLACES, HandEditedError, empty_block
from lifeos.operations.findings.ledger import FOLDER, append_decisions, read_ledger
from lifeos.operations.findings.promote import apply_promotion, plan_promotion, promotion_lock, render_memory
from tests.lifeos.operations.findings.ledgers import decision

TODAY = date(2026, 11, 27)


def briefing(number, *items, **changes):
    values = {
        "id": f"b{number}", "run_id": f"R{number}", "agent": "builtin", "contract": "agents/pistachio-agent-v3.md",
        "created": f"2026-11-{number:02d}T00:00:00Z", "base_commit": "unknown", "outcome": "ok", "inputs": (),
        "taint": "internal", "summary": "Some things.", "items": items,
    }  # fmt: skip
    return Briefing(**values | changes)


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "check out"
    for place in PLACES.values():
        file = root / place.file
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(f"# {place.name}\n\nKept.\n\n{empty_block(place.name)}\nKept too.\n".encode())
    (root / "note.md").write_text("measured\n", encoding="utf-8")
    return root


@pytest.fixture
def proof(root):
    row = append(root / "history.jsonl", {"id": "1", "value": 1})
    return Evidence("history.jsonl", row["hash"][:8])


def write(root, *briefings):
    folder = root / "artifacts" / "briefings"
    folder.mkdir(parents=True, exist_ok=True)
    for each in briefings:
        (folder / f"{each.id}.md").write_bytes(render_briefing(each).encode())
    return folder


def promoted(root, as_of=TODAY):
    plan = plan_promotion(root, root / "artifacts" / "briefings", as_of)
    apply_promotion(root, plan)
    return plan


def state(root):
    files = [root / place.file for place in PLACES.values()] + sorted((root / FOLDER).glob("*.jsonl"))
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def texts(root):
    return {kind: (root / place.file).read_text(encoding="utf-8") for kind, place in PLACES.items()}


def test_findings_and_tasks_reach_their_files_and_a_rule_waits(root, proof):
    write(root, briefing(
        1, Item("finding", "a.f", "The tail fails", (proof,), "measured"),
        Item("task", "a.t", "Train longer", (proof,), "inferred"),
        Item("rule", "a.r", "Ask for the tail", (proof,), "inferred", enforced_by="likeness_tail"),
    ))  # fmt: skip
    plan = promoted(root)
    shown = texts(root)
    assert "- a.f: The tail fails (F-" in shown["finding"]
    assert "- a.t: Train longer (T-" in shown["task"]
    assert "Ask for the tail" not in shown["rule"]
    assert [entry.kind for entry in plan.admitted] == ["finding", "task"]
    rule = next(entry for entry in plan.entries.values() if entry.kind == "rule")
    append_decisions(root, [decision(rule.id)])
    promoted(root)
    assert f"- a.r: Ask for the tail ({rule.id}, enforced by `likeness_tail`)" in texts(root)["rule"]
    assert all(text.startswith("# ") and text.endswith("Kept too.\n") for text in texts(root).values())


def test_nothing_is_written_by_a_plan_and_nothing_by_a_second_promotion(root, proof):
    write(root, briefing(1, Item("finding", "a.f", "The tail fails", (proof,), "measured")))
    before = state(root)
    plan = plan_promotion(root, root / "artifacts" / "briefings", TODAY)
    assert plan.changes
    assert state(root) == before
    promoted(root)
    after = state(root)
    assert after != before
    again = promoted(root)
    assert not again.records
    assert not again.changes
    assert state(root) == after


def test_evidence_that_is_not_there_keeps_an_item_out(root, proof):
    items = [
        Item("finding", f"a.f{number}", f"Finding {number}", (evidence,), "measured")
        for number, evidence in enumerate([
            Evidence("history.jsonl", "00000000"), Evidence("nowhere.md", proof.sha8), Evidence("note.md", "00000000"),
            Evidence("check", proof.sha8),
        ])
    ]  # fmt: skip
    write(root, briefing(1, *items))
    plan = promoted(root)
    assert plan.admitted == []
    assert {entry.status for entry in plan.entries.values()} == {"waiting"}
    outside = root.parent / "outside.md"
    outside.write_text("x", encoding="utf-8")
    (root / "link.md").symlink_to(outside)
    from evals.content_hash import hash_file

    linked = Evidence("link.md", hash_file(outside)[:8])
    write(root, briefing(2, Item("finding", "a.g", "Outside", (linked,), "measured")))
    assert promoted(root).admitted == []
    inside = Evidence("note.md", hash_file(root / "note.md")[:8])
    write(root, briefing(3, Item("finding", "a.h", "Inside", (inside,), "measured")))
    assert [entry.key for entry in promoted(root).admitted] == ["a.h"]


def test_the_memory_does_not_depend_on_evidence_that_went_later(root, proof):
    write(root, briefing(1, Item("finding", "a.f", "The tail fails", (proof,), "measured")))
    promoted(root)
    after = state(root)
    (root / "history.jsonl").unlink()
    shutil.rmtree(root / "artifacts")
    assert not promoted(root).changes
    assert state(root) == after
    # The blocks are the ledger's: without them the same bytes come again.
    for place in PLACES.values():
        (root / place.file).write_bytes(f"# {place.name}\n\nKept.\n\n{empty_block(place.name)}\nKept too.\n".encode())
    for change in render_memory(root, read_ledger(root), TODAY):
        (root / change.file).write_bytes(change.after)
    assert state(root) == after


def test_a_refused_briefing_goes_to_quarantine_whole_with_its_reasons(root, proof):
    good = briefing(1, Item("finding", "a.f", "The tail fails", (proof,), "measured"))
    folder = write(root, good, briefing(2, Item("finding", "a.g", "Fine too", (proof,), "measured")))
    other = folder / "b2.md"
    other.write_bytes(other.read_bytes().replace(b"confidence: measured", b"confidence: sure"))
    renamed = folder / "b3.md"
    renamed.write_bytes(render_briefing(briefing(4, Item("finding", "a.h", "Fine", (proof,), "measured"))).encode())
    secret = folder / "b5.md"
    secret.write_bytes(render_briefing(briefing(
        5, Item("finding", "a.i", "The key is AKIAQWERTYUIOPASDFGH", (proof,), "measured"))).encode())  # fmt: skip
    plan = promoted(root)
    assert [entry.key for entry in plan.admitted] == ["a.f"]
    assert sorted(path.name for path in folder.glob("*.md")) == ["b1.md"]
    problems = {path.name: path.read_text(encoding="utf-8") for path in (folder / "quarantine").glob("*.txt")}
    assert "b2.md:20: confidence: accepted measured" in problems["b2.problems.txt"]
    assert "b3.md:1: id" in problems["b3.problems.txt"]
    assert "secret (AWS Access Key)" in problems["b5.problems.txt"]
    assert "AKIA" not in problems["b5.problems.txt"]
    assert {path.name for path in (folder / "quarantine").glob("*.md")} == {"b2.md", "b3.md", "b5.md"}
    assert "AKIA" not in "".join(texts(root).values()) + (root / FOLDER / "items.jsonl").read_text(encoding="utf-8")


def test_the_order_of_briefings_means_nothing(root, proof, tmp_path):
    items = [Item("finding", f"k.n{n % 3}", f"Sentence {n}", (proof,), "measured") for n in range(9)]
    briefings = [briefing(n + 1, item) for n, item in enumerate(items)]
    ends = []
    for seed in range(3):
        copy = tmp_path / f"copy{seed}"
        shutil.copytree(root, copy)
        shuffled = random.Random(seed).sample(briefings, len(briefings))
        for each in shuffled:
            write(copy, each)
            promoted(copy)
        ends.append({name: data for name, data in state(copy).items() if not name.endswith(".jsonl")})
        assert sorted((copy / FOLDER / "items.jsonl").read_bytes().split(b"\n"))[1:]
    assert ends[0] == ends[1] == ends[2]


def test_an_edit_by_hand_stops_before_anything_is_written(root, proof):
    write(root, briefing(1, Item("finding", "a.f", "The tail fails", (proof,), "measured")))
    promoted(root)
    file = root / PLACES["finding"].file
    file.write_text(file.read_text(encoding="utf-8").replace("The tail fails", "The tail is fine"), encoding="utf-8")
    write(root, briefing(2, Item("finding", "a.g", "Another", (proof,), "measured")))
    before = state(root)
    with pytest.raises(HandEditedError, match="The tail is fine"):
        promoted(root)
    assert state(root) == before
    plan = plan_promotion(root, root / "artifacts" / "briefings", TODAY, overwrite=True)
    apply_promotion(root, plan)
    assert "The tail fails" in texts(root)["finding"]


def test_a_file_that_changed_since_the_plan_is_not_written_over(root, proof):
    write(root, briefing(1, Item("finding", "a.f", "The tail fails", (proof,), "measured")))
    plan = plan_promotion(root, root / "artifacts" / "briefings", TODAY)
    file = root / PLACES["finding"].file
    file.write_bytes(file.read_bytes() + b"A person writes.\n")
    with pytest.raises(InputError, match="as planned"):
        apply_promotion(root, plan)
    assert file.read_bytes().endswith(b"A person writes.\n")
    promoted(root)
    assert file.read_bytes().endswith(b"A person writes.\n")
    assert "The tail fails" in texts(root)["finding"]


def test_a_kill_at_any_write_is_mended_by_promoting_again(root, proof, monkeypatch, tmp_path):
    finding = Item("finding", "a.f", "The tail fails", (proof,), "measured")
    task = Item("task", "a.t", "Train longer", (proof,), "measured")
    folder = write(root, briefing(1, finding, task))
    (folder / "bad.md").write_text("no briefing", encoding="utf-8")
    whole = tmp_path / "whole"
    shutil.copytree(root, whole)
    promoted(whole)
    from evals import atomic

    real, points = atomic._replace, 0
    for kill_at in range(20):
        copy = tmp_path / f"kill{kill_at}"
        shutil.copytree(root, copy)
        writes = iter(range(100))

        def replace(source, target, writes=writes, kill_at=kill_at):
            if next(writes) == kill_at:
                raise KeyboardInterrupt
            real(source, target)

        monkeypatch.setattr(atomic, "_replace", replace)
        try:
            promoted(copy)
        except KeyboardInterrupt:
            points += 1
        finally:
            monkeypatch.setattr(atomic, "_replace", real)
        promoted(copy)
        assert state(copy) == state(whole)
        assert (copy / "artifacts/briefings/quarantine/bad.md").exists()
    # The ledger, two control files, the reasons of the quarantine.
    assert points == 4


def test_a_missing_control_file_or_block_stops_before_anything_is_written(root, proof):
    write(root, briefing(1, Item("finding", "a.f", "The tail fails", (proof,), "measured")))
    (root / "PROGRESS.md").unlink()
    with pytest.raises(InputError, match=r"PROGRESS\.md"):
        promoted(root)
    (root / "PROGRESS.md").write_text("# Progress\n", encoding="utf-8")
    with pytest.raises(InputError, match="pending-tasks"):
        promoted(root)
    assert not (root / FOLDER).exists()


def test_a_lock_that_is_held_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(promote, "LOCK_SECONDS", 0.1)
    with promotion_lock(tmp_path), pytest.raises(InputError, match="another run holds"), promotion_lock(tmp_path):
        pass


def test_expiry_is_driven_by_the_given_day_alone(root, proof):
    write(root, briefing(1, Item("finding", "a.f", "The tail fails", (proof,), "measured")))
    promoted(root)
    assert "The tail fails" in texts(root)["finding"]
    promoted(root, date(2028, 1, 1))
    assert "The tail fails" not in texts(root)["finding"]
    promoted(root)
    assert "The tail fails" in texts(root)["finding"]


def test_further_briefings_enter_as_files_do(root, proof):
    from evals.content_hash import hash_bytes

    own = dataclasses.replace(briefing(1, Item("finding", "a.f", "The tail fails", (proof,), "measured")), id="gate-1")
    given = [(own, hash_bytes(render_briefing(own).encode()))]
    folder = Path(root / "artifacts" / "briefings")
    plan = plan_promotion(root, folder, TODAY, further=given)
    apply_promotion(root, plan)
    assert [entry.key for entry in plan.admitted] == ["a.f"]
    assert not plan_promotion(root, folder, TODAY, further=given).records
