"""The user's own command that stops the pod: an argument list, no shell, variables filled in beforehand."""

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from lifeos.errors import InputError

ATTEMPTS, PAUSE_SECONDS, TIMEOUT_SECONDS = 3, 5.0, 60.0
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def fill_variables(command: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """Return the command with each ``${NAME}`` replaced by that environment variable; nothing else is expanded.

    Raises:
        InputError: a variable is not set or empty; the message holds its name and no value.
    """

    def value(match: re.Match[str]) -> str:
        found = environment.get(match.group(1), "")
        if not found:
            raise InputError(
                f"pod_stop: accepted variables that are set, got ${{{match.group(1)}}} without a value; "
                "next: set it on the pod or edit pod_stop in lifeos.toml"
            )
        return found

    return [_VARIABLE.sub(value, argument) for argument in command]


def stop_pod(
    command: Sequence[str],
    *,
    run: Callable[[Sequence[str]], int] | None = None,
    pause: Callable[[float], None] = time.sleep,
) -> bool:
    """Call the stop command, up to ``ATTEMPTS`` times, until it exits with 0; True when it did.

    Args:
        command: arguments, filled in; they may hold secrets, so only the first one is ever shown.
        run: calls it once and returns its exit status; for tests.
        pause: waits between two attempts; for tests.
    """
    call = run or _run
    for attempt in range(ATTEMPTS):
        if attempt:
            pause(PAUSE_SECONDS)
        status = call(command)
        if status == 0:
            return True
        say(f"the stop command {os.path.basename(command[0])} exited with {status} (attempt {attempt + 1})")
    return False


def say(message: str) -> None:
    """Write one line on stderr; a terminal that has gone must not keep the pod from being stopped."""
    with contextlib.suppress(OSError, ValueError):
        print(f"lifeos pod: {message}", file=sys.stderr, flush=True)


def _run(command: Sequence[str]) -> int:
    try:
        return subprocess.run(
            list(command), stdin=subprocess.DEVNULL, timeout=TIMEOUT_SECONDS, check=False, start_new_session=True
        ).returncode
    except FileNotFoundError:
        return 127
    except subprocess.TimeoutExpired:
        return 124
    except OSError:
        return 126
