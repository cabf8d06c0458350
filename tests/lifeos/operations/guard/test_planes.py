import pytest

from evals.verdict import Outcome
from lifeos.operations.guard.planes import control_files, control_plane_verdict
from tests.lifeos.operations.guard.world import Place


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def test_a_healthy_control_plane_passes(place):
    verdict = control_plane_verdict(place.look())
    assert verdict.outcome is Outcome.PASSED, verdict.reason
    assert control_files(place.look()) == [
        "CLAUDE.md", "PROGRESS.md", "agents/anna.md", "context/projects/anna/context.md",
        "context/session-learnings.md",
    ]  # fmt: skip


def test_without_git_it_cannot_be_told(tmp_path):
    assert control_plane_verdict(Place(tmp_path / "a", git=False).look()).outcome is Outcome.NOT_EVALUATED


def test_a_copy_inside_another_repository_is_no_checkout(place):
    inner = Place(place.root / "inner", git=False)
    assert inner.look().tracked is None


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("artifacts/briefings/b.md", "x", "belongs to the data plane"),
        ("context/transcript.log", "x", "on no list"),
        ("context/ledger/other.jsonl", "x", "on no list"),
        ("context/face.png", b"\x89PNG", "on no list"),
        ("agents/deep/agent.md", "x", "on no list"),
        ("CLAUDE.md", "# T\n" + "A short line.\n" * 900, "at most 12288 bytes"),
        ("CLAUDE.md", b"\xff\xfe", "accepted UTF-8"),
        ("CLAUDE.md", " \n", "got nothing"),
        ("CLAUDE.md", "a\u202eb", r"U\+202E"),
        ("CLAUDE.md", "a\x00b", r"U\+0000"),
        ("CLAUDE.md", "line " * 400, "2000 characters"),
        ("CLAUDE.md", "x" * 250, "encoded characters"),
        ("CLAUDE.md", "<<<<<<< HEAD\na\n=======\nb\n>>>>>>> x\n", "conflict"),
        ("PROGRESS.md", "".join(f"2026-11-27T07:0{n}:00 did it\n" for n in range(9)), "a log"),
        ("PROGRESS.md", "".join(f"- [2026-11-27 07:0{n}] did it\n" for n in range(9)), "a log"),
    ],
)
def test_a_file_on_the_wrong_side_or_of_the_wrong_kind_is_named(place, name, text, said):
    place.write(name, text)
    place.add()
    verdict = control_plane_verdict(place.look())
    assert verdict.outcome is Outcome.FAILED
    import re

    assert re.search(f"{re.escape(name)}: .*{said}", verdict.reason), verdict.reason


def test_what_is_missing_untracked_or_a_link_is_named(place):
    (place.root / "PROGRESS.md").unlink()
    assert "PROGRESS.md: accepted a plain file" in control_plane_verdict(place.look()).reason
    place.git("rm", "--cached", "-q", "PROGRESS.md")
    assert "PROGRESS.md: accepted a tracked file" in control_plane_verdict(place.look()).reason
    (place.root / "PROGRESS.md").symlink_to("CLAUDE.md")
    place.add()
    assert "PROGRESS.md: accepted a plain file, got a link" in control_plane_verdict(place.look()).reason


def test_dates_in_a_persons_list_are_no_log(place):
    place.write("PROGRESS.md", "# Log\n\n" + "".join(f"- Item {n}, since 2026-11-27 07:00\n" for n in range(12)))
    assert control_plane_verdict(place.look()).outcome is Outcome.PASSED
