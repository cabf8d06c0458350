import pytest

from lifeos.git import git_state
from lifeos.operations.cycle.memory import own_files
from tests.lifeos.operations.cycle.world import World, checkout, git


@pytest.fixture
def world(tmp_path):
    return World(checkout(tmp_path / "check out"))


def names(world):
    return sorted(path.relative_to(world.root).as_posix() for path in own_files(world.root))


def changed(world):
    root = world.root
    return git_state(root, (root / "history.jsonl", root / "artifacts", *own_files(root)))["git_changed"]


def test_what_promotion_wrote_makes_no_checkout_dirty(world):
    world.go(until="promote")
    assert git(world.root, "status", "--porcelain") != ""
    assert {"context/ledger/items.jsonl", "PROGRESS.md", "context/session-learnings.md"} <= set(names(world))
    assert changed(world) == []


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("PROGRESS.md", b"Kept too.", b"Kept no more."),
        ("PROGRESS.md", b"Train longer", b"Train shorter"),
        ("CLAUDE.md", b"Kept.", b"Kept!"),
        ("context/session-learnings.md", b"# findings", b"# Findings"),
    ],
)
def test_an_edit_of_a_person_does(world, name, old, new):
    world.go(until="promote")
    file = world.root / name
    file.write_bytes(file.read_bytes().replace(old, new))
    assert name in changed(world)


def test_a_ledger_that_lost_a_line_is_changed(world):
    world.go()
    ledger = world.root / "context" / "ledger" / "items.jsonl"
    lines = ledger.read_bytes().splitlines(keepends=True)
    ledger.write_bytes(b"".join(lines[1:]))
    assert changed(world) == ["context/ledger/items.jsonl"]


def test_other_changes_and_a_control_file_that_head_does_not_know_stay_named(world):
    (world.root / "notes.txt").write_text("other\n", encoding="utf-8")
    git(world.root, "rm", "-q", "--cached", "PROGRESS.md")
    git(world.root, "commit", "-qm", "Forget it")
    assert sorted(changed(world)) == ["PROGRESS.md", "notes.txt"]


def test_a_folder_without_git_or_control_files_owns_nothing(tmp_path):
    assert own_files(tmp_path) == []
