"""A commit of the cycle's own lines and nothing else.

The commit is built beside the user's index: each file's version in HEAD takes the cycle's lines, and so does its
version in the index. What a person staged, or edited outside the blocks, is neither committed nor lost.
"""

import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from lifeos.errors import InputError
from lifeos.operations.briefing.item_text import secret_in

TRAILER = "Run-Id"
_SECONDS = 60
_UNFINISHED = ("MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "rebase-merge", "rebase-apply")
# Version of a file (None where it is not there) to the version with the cycle's lines.
Edit = Callable[[bytes | None], bytes]


class CommitError(InputError):
    """The commit was not made; HEAD, index and files are as they were."""


def commit_edits(root: Path, edits: Mapping[str, Edit], message: str, run: str) -> str | None:
    """Commit edits of files on top of HEAD; return the commit, or None when they change nothing.

    A second call with the same run finds the first one's commit and only brings the index up to it.

    Args:
        root: top of the checkout.
        edits: by path relative to it, with ``/``; nothing else can enter the commit.
        message: without trailers.
        run: id for the trailer ``Run-Id``.

    Raises:
        CommitError: no repository, no commit yet, an unfinished merge or rebase, an added line that looks like a
            secret, an edit that cannot be made on HEAD's version, or git refuses (its message is in the line).
    """
    head = _text(root, "rev-parse", "--verify", "HEAD^{commit}")
    _refuse_unfinished(root)
    done = find_run(root, run)
    if done is None:
        new_tree = _tree_with(root, head, edits)
        if new_tree == _text(root, "rev-parse", f"{head}^{{tree}}"):
            _follow(root, edits, head)
            return None
        changed = _git(root, "diff-tree", "-r", "-z", "--name-only", head, new_tree).decode("utf-8").split("\0")
        strange = sorted({name for name in changed if name} - set(edits))
        if strange:
            raise CommitError(f"commit: accepted the files of the cycle, got {strange[0]} too; next: git status")
        done = _text(root, "commit-tree", new_tree, "-p", head, "-m", f"{message}\n\n{TRAILER}: {run}")
        _git(root, "update-ref", "-m", f"lifeos cycle {run}", "HEAD", done, head)
    _follow(root, edits, f"{done}^")
    return done


def find_run(root: Path, run: str, depth: int = 200) -> str | None:
    """Return the commit among HEAD's last ones that carries the trailer of a run, or None; raises ``CommitError``."""
    found = _text(root, "log", f"-n{depth}", f"--format=%H %(trailers:key={TRAILER},valueonly,separator=%x2C)", "HEAD")
    for line in found.splitlines():
        commit, _, runs = line.partition(" ")
        if run in runs.split(","):
            return commit
    return None


def _tree_with(root: Path, head: str, edits: Mapping[str, Edit]) -> str:
    """Write the tree of HEAD with the edits made to its versions, through an index of its own."""
    there = _versions(root, ["ls-tree", "-r", "-z", head, "--", *edits], mode_at=0, object_at=2)
    with tempfile.TemporaryDirectory(prefix="lifeos-index-") as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        _git(root, "read-tree", head, environment=index)
        lines = []
        for path, edit in edits.items():
            mode, blob = there.get(path, ("100644", None))
            before = None if blob is None else _git(root, "cat-file", "blob", blob)
            try:
                after = edit(before)
            except InputError as error:
                raise CommitError(f"commit: {error}; next: commit your own changes of {path} first") from error
            _refuse_secrets(path, before, after)
            if after != before:
                lines.append(f"{mode} {_blob(root, after)}\t{path}")
        _update_index(root, lines, index)
        return _git(root, "write-tree", environment=index).decode("ascii").strip()


def _follow(root: Path, edits: Mapping[str, Edit], before_it: str) -> None:
    """Make the same edits to the versions in the user's index, so that it does not stage their undoing.

    Args:
        root, edits: as ``commit_edits``.
        before_it: the commit that the cycle's is made on.
    """
    there = _versions(root, ["ls-files", "-s", "-z", "--", *edits], mode_at=0, object_at=1)
    known = _versions(root, ["ls-tree", "-r", "-z", before_it, "--", *edits], mode_at=0, object_at=2)
    lines = []
    for path, edit in edits.items():
        if path in known and path not in there:
            # A person staged that it goes.
            continue
        mode, blob = there.get(path, ("100644", None))
        before = None if blob is None else _git(root, "cat-file", "blob", blob)
        try:
            after = edit(before)
        except InputError:
            # A person staged a version without the block; what they staged is theirs.
            continue
        if after != before:
            lines.append(f"{mode} {_blob(root, after)}\t{path}")
    _update_index(root, lines, {})


def _versions(root: Path, command: list[str], *, mode_at: int, object_at: int) -> dict[str, tuple[str, str | None]]:
    found: dict[str, tuple[str, str | None]] = {}
    for entry in _git(root, *command).decode("utf-8", "surrogateescape").split("\0"):
        if entry:
            facts, _, path = entry.partition("\t")
            fields = facts.split(" ")
            found[path] = (fields[mode_at], fields[object_at])
    return found


def _blob(root: Path, data: bytes) -> str:
    return _git(root, "hash-object", "-w", "--stdin", "--no-filters", data=data).decode("ascii").strip()


def _update_index(root: Path, lines: list[str], environment: Mapping[str, str]) -> None:
    if lines:
        data = "".join(f"{line}\n" for line in lines).encode("utf-8")
        _git(root, "update-index", "--add", "--index-info", data=data, environment=environment)


def _refuse_secrets(path: str, before: bytes | None, after: bytes) -> None:
    known = set((before or b"").splitlines())
    for line in after.splitlines():
        found = None if line in known else secret_in(line.decode("utf-8", "replace"))
        if found is not None:
            raise CommitError(f"commit: {path}: accepted lines without secrets, got what seems to be one ({found}); "
                              f"next: take it out of the ledger and revoke it")  # fmt: skip


def _refuse_unfinished(root: Path) -> None:
    folder = root / _text(root, "rev-parse", "--git-dir")
    for name in _UNFINISHED:
        if (folder / name).exists():
            raise CommitError(f"commit: accepted a checkout at rest, got an unfinished {name}; next: git status")


def _text(root: Path, *arguments: str) -> str:
    return _git(root, *arguments).decode("utf-8", "replace").strip()


def _git(
    root: Path, *arguments: str, data: bytes | None = None, environment: Mapping[str, str] | None = None
) -> bytes:
    try:
        done = subprocess.run(
            ["git", "--literal-pathspecs", *arguments], cwd=root, input=data, capture_output=True, timeout=_SECONDS,
            check=True, env={**os.environ, **(environment or {})},
        )  # fmt: skip
    except subprocess.CalledProcessError as error:
        said = " ".join(error.stderr.decode("utf-8", "replace").split())[:300]
        raise CommitError(f"git {arguments[0]}: accepted a repository that can be committed to, got: {said}; next: "
                          f"git status") from error  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        raise CommitError(f"git {arguments[0]}: accepted an answer, got {error}; next: git status") from error
    return done.stdout
