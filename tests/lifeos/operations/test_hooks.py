import subprocess

import pytest

from lifeos.errors import InputError
from lifeos.operations.hooks import HOOK, LARGEST_BYTES, hook_path, install_hook, staged_problems, uninstall_hook
from tests.lifeos.operations.cycle.world import git


@pytest.fixture
def root(tmp_path):
    """A checkout in a folder with a space whose launcher answers as the file `answers` says."""
    root = tmp_path / "check out"
    root.mkdir()
    (root / "lifeos.sh").write_text(
        '#!/bin/sh\necho "lifeos $*" >> asked.txt\nexit "$(cat answer-"$1".txt)"\n', encoding="utf-8"
    )
    (root / "lifeos.sh").chmod(0o755)
    for name in ("hooks", "gate"):
        (root / f"answer-{name}.txt").write_text("0", encoding="utf-8")
    git(root, "init", "-q")
    git(root, "config", "user.name", "A Person")
    git(root, "config", "user.email", "a@example.org")
    git(root, "add", "lifeos.sh")
    git(root, "commit", "-qm", "Begin")
    return root


def commit(root):
    command = ["git", "commit", "-q", "--allow-empty", "-m", "x"]
    return subprocess.run(command, cwd=root, capture_output=True, check=False)


def test_a_commit_passes_the_hook_or_is_refused_by_it(root):
    path, new = install_hook(root)
    assert (path, new) == (root / ".git" / "hooks" / "pre-commit", True)
    assert install_hook(root) == (path, False)
    assert commit(root).returncode == 0
    assert (root / "asked.txt").read_text(encoding="utf-8") == "lifeos hooks check\nlifeos gate cheap\n"
    for name in ("hooks", "gate"):
        (root / f"answer-{name}.txt").write_text("1", encoding="utf-8")
        assert commit(root).returncode == 1
        (root / f"answer-{name}.txt").write_text("0", encoding="utf-8")
    assert git(root, "rev-list", "--count", "HEAD").strip() == "2"
    assert uninstall_hook(root)
    assert not uninstall_hook(root)
    assert not path.exists()


def test_a_hook_of_somebody_else_is_left_alone(root):
    path = hook_path(root)
    path.parent.mkdir(exist_ok=True)
    path.write_text("#!/bin/sh\nmine\n", encoding="utf-8")
    for change in (install_hook, uninstall_hook):
        with pytest.raises(InputError, match="got another"):
            change(root)
    assert path.read_text(encoding="utf-8") == "#!/bin/sh\nmine\n"


def test_worktrees_and_a_hooks_path_are_followed(root, tmp_path):
    git(root, "worktree", "add", "-q", str(tmp_path / "tree"))
    assert hook_path(tmp_path / "tree").resolve() == (root / ".git" / "hooks" / "pre-commit").resolve()
    git(root, "config", "core.hooksPath", "my-hooks")
    path, _ = install_hook(root)
    assert path == root / "my-hooks" / "pre-commit"
    assert path.read_text(encoding="ascii") == HOOK


def test_no_checkout_is_one_line(tmp_path):
    for ask in (install_hook, uninstall_hook, staged_problems):
        with pytest.raises(InputError, match="git"):
            ask(tmp_path)


def stage(root, name, data):
    (root / name).write_bytes(data)
    git(root, "add", name)


def test_secrets_and_large_files_among_what_is_staged_are_named(root):
    stage(root, "a file.txt", b"one\ntwo\nkey AKIAQWERTYUIOPASDFGH\n")
    stage(root, "large.bin", b"\0" * (LARGEST_BYTES + 1))
    problems = staged_problems(root)
    assert problems == [
        "large.bin: accepted at most 5 MiB, got 5", "a file.txt:3: what seems to be a secret (AWS Access Key)",
    ]  # fmt: skip
    assert "AKIA" not in "".join(problems)


def test_what_is_not_staged_was_there_before_or_is_allowed_is_passed_over(root):
    stage(root, "a.txt", b"key AKIAQWERTYUIOPASDFGH\n")
    git(root, "commit", "-qm", "A mistake")
    stage(root, "a.txt", b"key AKIAQWERTYUIOPASDFGH\nmore\n")
    stage(root, "b.txt", b"key AKIAQWERTYUIOPASDFGH  # pragma: allowlist secret\n")
    (root / "c.txt").write_text("key AKIAQWERTYUIOPASDFGH\n", encoding="utf-8")
    git(root, "rm", "-q", "--cached", "lifeos.sh")
    assert staged_problems(root) == []
