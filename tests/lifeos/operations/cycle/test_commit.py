import pytest

from lifeos.operations.cycle.commit import CommitError, commit_edits, find_run
from tests.lifeos.operations.cycle.world import checkout, git


@pytest.fixture
def root(tmp_path):
    return checkout(tmp_path / "check out")


def adding(line):
    return lambda before: (before or b"") + line if line not in (before or b"") else before


def test_only_the_named_files_enter_and_nothing_changes_nothing(root):
    (root / "notes.txt").write_text("changed\n", encoding="utf-8")
    made = commit_edits(root, {"PROGRESS.md": adding(b"new\n")}, "Say it", "run-1")
    assert git(root, "rev-parse", "HEAD").strip() == made
    assert git(root, "diff-tree", "-r", "--name-only", "HEAD~", "HEAD").split() == ["PROGRESS.md"]
    assert git(root, "log", "-1", "--format=%an %s").strip() == "A Person Say it"
    assert find_run(root, "run-1") == made
    assert commit_edits(root, {"PROGRESS.md": lambda before: before}, "Say it", "run-2") is None
    assert git(root, "rev-parse", "HEAD").strip() == made


def test_the_same_run_commits_once(root):
    first = commit_edits(root, {"PROGRESS.md": adding(b"new\n")}, "Say it", "run-1")
    assert commit_edits(root, {"PROGRESS.md": adding(b"newer\n")}, "Say it", "run-1") == first


def test_a_file_that_is_new_or_executable_keeps_what_it_is(root):
    (root / "run.sh").write_text("x\n", encoding="utf-8")
    (root / "run.sh").chmod(0o755)
    git(root, "add", "run.sh")
    git(root, "commit", "-qm", "Add it")
    commit_edits(root, {"run.sh": adding(b"y\n"), "a folder/näw.txt": adding(b"z\n")}, "Say it", "run-1")
    listed = git(root, "-c", "core.quotepath=off", "ls-tree", "-r", "HEAD")
    assert "100755 blob" in next(line for line in listed.splitlines() if line.endswith("run.sh"))
    assert "a folder/näw.txt" in listed


@pytest.mark.parametrize(
    "line",
    [
        b"key AKIAQWERTYUIOPASDFGH\n",
        b"token ghp_abcdefghijklmnopqrstuvwxyzABCDEFGHIJ\n",
        b"-----BEGIN RSA PRIVATE KEY-----\n",
    ],
)
def test_a_line_that_looks_like_a_secret_is_refused_and_not_repeated(root, line):
    before = git(root, "rev-parse", "HEAD")
    with pytest.raises(CommitError, match="secret") as caught:
        commit_edits(root, {"PROGRESS.md": adding(line)}, "Say it", "run-1")
    assert line.decode().split()[-1] not in str(caught.value)
    assert git(root, "rev-parse", "HEAD") == before
    assert git(root, "status", "--porcelain") == ""


def test_a_secret_that_stood_there_before_is_not_this_commits(root):
    file = root / "PROGRESS.md"
    file.write_bytes(file.read_bytes() + b"key AKIAQWERTYUIOPASDFGH\n")
    git(root, "commit", "-qam", "A mistake")
    assert commit_edits(root, {"PROGRESS.md": adding(b"new\n")}, "Say it", "run-1")


def test_an_unfinished_merge_an_empty_repository_and_no_repository_are_refused(root, tmp_path):
    (root / ".git" / "MERGE_HEAD").write_text("x", encoding="utf-8")
    with pytest.raises(CommitError, match="unfinished MERGE_HEAD"):
        commit_edits(root, {"PROGRESS.md": adding(b"new\n")}, "Say it", "run-1")
    empty = tmp_path / "empty"
    empty.mkdir()
    git(empty, "init", "-q")
    with pytest.raises(CommitError, match="git rev-parse"):
        commit_edits(empty, {"PROGRESS.md": adding(b"new\n")}, "Say it", "run-1")
    bare = tmp_path / "none"
    bare.mkdir()
    with pytest.raises(CommitError, match="git rev-parse"):
        commit_edits(bare, {"PROGRESS.md": adding(b"new\n")}, "Say it", "run-1")


def test_without_a_name_git_says_what_it_wants(root, monkeypatch):
    git(root, "config", "--unset", "user.name")
    git(root, "config", "--unset", "user.email")
    for name in ("HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(root))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    git(root, "config", "user.useConfigOnly", "true")
    with pytest.raises(CommitError, match="commit-tree"):
        commit_edits(root, {"PROGRESS.md": adding(b"new\n")}, "Say it", "run-1")


def test_a_detached_head_moves(root):
    git(root, "checkout", "-q", "--detach")
    made = commit_edits(root, {"PROGRESS.md": adding(b"new\n")}, "Say it", "run-1")
    assert git(root, "rev-parse", "HEAD").strip() == made
    assert git(root, "rev-parse", "main").strip() != made


def test_a_deletion_that_a_person_staged_stays_staged(root):
    git(root, "rm", "-q", "--cached", "PROGRESS.md")
    commit_edits(root, {"PROGRESS.md": adding(b"new\n"), "new.txt": adding(b"x\n")}, "Say it", "run-1")
    assert "new" in git(root, "show", "HEAD:PROGRESS.md")
    assert git(root, "diff", "--cached", "--name-status").split() == ["D", "PROGRESS.md"]


def test_a_branch_that_moved_meanwhile_is_not_overwritten(root, monkeypatch):
    from lifeos.operations.cycle import commit

    real = commit._git

    def git_call(place, *arguments, **named):
        if arguments[0] == "update-ref":
            git(root, "commit", "-q", "--allow-empty", "-m", "Somebody else")
        return real(place, *arguments, **named)

    monkeypatch.setattr(commit, "_git", git_call)
    with pytest.raises(CommitError, match="update-ref"):
        commit_edits(root, {"PROGRESS.md": adding(b"new\n")}, "Say it", "run-1")
    assert git(root, "log", "-1", "--format=%s").strip() == "Somebody else"
