"""The commit hook of a checkout, and what it looks at before the cheap gates do."""

import os
import re
import subprocess
from pathlib import Path

from evals.atomic import write_bytes
from lifeos.errors import InputError
from lifeos.git import git_output
from lifeos.operations.briefing.item_text import secret_in

MARKER = "# made by lifeos hooks install"
LARGEST_BYTES = 5 << 20
ALLOWED = "pragma: allowlist secret"
HOOK = f"""#!/bin/sh
{MARKER}
# Git starts it at the top of the work tree.
./lifeos.sh hooks check && exec ./lifeos.sh gate cheap
"""


def install_hook(root: Path) -> tuple[Path, bool]:
    """Write the pre-commit hook; return where it lies, and whether it is new or changed.

    Raises:
        InputError: no git checkout, or a hook of somebody else is there: it is left as it is.
    """
    path = hook_path(root)
    there = path.read_bytes() if path.exists() else None
    if there is not None and MARKER.encode("ascii") not in there:
        raise InputError(
            f"{path}: accepted no hook or one of lifeos, got another; next: add this line to it: "
            f"./lifeos.sh hooks check && ./lifeos.sh gate cheap"
        )
    if there == HOOK.encode("ascii"):
        return path, False
    write_bytes(path, HOOK.encode("ascii"))
    if os.name != "nt":
        path.chmod(0o755)
    return path, True


def uninstall_hook(root: Path) -> bool:
    """Remove the hook if it is ours; return whether there was one.

    Raises:
        InputError: no git checkout, or the hook is somebody else's.
    """
    path = hook_path(root)
    if not path.exists():
        return False
    if MARKER.encode("ascii") not in path.read_bytes():
        raise InputError(f"{path}: accepted a hook of lifeos, got another; next: remove it yourself")
    path.unlink()
    return True


def hook_path(root: Path) -> Path:
    """Return where git looks for the pre-commit hook of a checkout; worktrees and core.hooksPath are followed.

    Raises:
        InputError: no git checkout.
    """
    try:
        return root / git_output(root, "rev-parse", "--git-path", "hooks").strip() / "pre-commit"
    except (OSError, subprocess.SubprocessError) as error:
        raise InputError(f"{root}: accepted a git checkout, got none; next: git init") from error


def staged_problems(root: Path) -> list[str]:
    """Return what must not be committed: added lines that look like secrets, and files above 5 MiB.

    A line with ``pragma: allowlist secret`` in it is passed over: a person looked. The secret itself is not repeated.

    Raises:
        InputError: no git checkout.
    """
    try:
        staged = ("-c", "core.quotepath=off", "diff", "--cached", "--no-color", "--no-ext-diff", "--diff-filter=ACMR")
        difference = git_output(root, *staged, "--unified=0")
        listed = git_output(root, *staged, "--name-only", "-z").split("\0")
        sizes = [(name, int(git_output(root, "cat-file", "-s", f":{name}"))) for name in listed if name]
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise InputError(f"{root}: accepted a git checkout, got {error}; next: git status") from error
    found = [f"{name}: accepted at most {LARGEST_BYTES >> 20} MiB, got {size >> 20}" for name, size in sizes
             if size > LARGEST_BYTES]  # fmt: skip
    name, number = "", 0
    for line in difference.split("\n"):
        if line.startswith("+++ "):
            # Git ends a name that holds a blank with a tab.
            name = line[4:].rstrip("\t").removeprefix("b/")
        elif match := re.match(r"@@ -\S+ \+(\d+)", line):
            number = int(match.group(1))
        elif line.startswith("+"):
            kind = None if ALLOWED in line else secret_in(line[1:])
            if kind is not None:
                found.append(f"{name}:{number}: what seems to be a secret ({kind})")
            number += 1
    return found
