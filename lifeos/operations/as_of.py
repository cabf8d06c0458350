"""The day by which things expire: given, or that of the last commit; never the clock's."""

import subprocess
from datetime import UTC, date, datetime
from pathlib import Path

from lifeos.errors import InputError


def read_as_of(given: str | None, root: Path) -> date:
    """Return the day that ``--as-of`` names, else that of HEAD's commit in UTC.

    Args:
        given: ``"2026-11-27"``, or None.
        root: the checkout.

    Raises:
        InputError: it is no date, or none is given and git knows no commit.
    """
    from lifeos.git import git_output

    if given is not None:
        try:
            return date.fromisoformat(given)
        except ValueError as error:
            raise InputError(f"--as-of: accepted a date such as 2026-11-27, got {given!r}; next: correct it") from error
    try:
        seconds = int(git_output(root, "show", "--no-patch", "--format=%ct", "HEAD").strip())
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise InputError("--as-of: accepted a date, got none and git knows no commit; next: --as-of DATE") from error
    return datetime.fromtimestamp(seconds, UTC).date()
