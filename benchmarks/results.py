"""One JSON line a run of ``python -m benchmarks``: what was compared, where, and every raw number of it.

The file is kept as a history is (``evals.history``): each line names the hash of the one before it, a line is on the
disk when the append returns, and one torn by a kill is moved aside by the next append.
"""

import time as clock
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.comparison import Comparison, Context, Outcome, Target
from benchmarks.machine import BUSY_LOAD, machine_words, versions_of
from evals import history
from lifeos.errors import InputError
from lifeos.git import git_output, git_state

SCHEMA = "lifeos.benchmarks/1"
_KEYS = ("time", "commit", "commit_time", "dirty", "machine", "load", "comparisons")


def record(
    outcomes: Sequence[Outcome], context: Context, time: str, here: Mapping[str, Any],
    load: tuple[float | None, float | None],
) -> dict[str, Any]:  # fmt: skip
    """Return the line of a run.

    Args:
        outcomes: one a comparison.
        context: the measured checkout is asked for its commit; of the files that the caller named only hashes are kept.
        time: UTC, ``"2026-11-29T05:00:00Z"``.
        here: see ``benchmarks.machine.machine``.
        load: before the first and after the last comparison.
    """
    git = git_state(context.checkout)
    return {
        "schema": SCHEMA,
        "time": time,
        "commit": git["git_commit"],
        "commit_time": _commit_time(context.checkout),
        "dirty": git["git_dirty"],
        "machine": dict(here),
        "load": {"before": load[0], "after": load[1]},
        "script_sha256": _file_hash(context.script),
        "lora_sha256": _file_hash(context.lora),
        "comparisons": [_of(outcome) for outcome in outcomes],
    }


def now() -> str:
    """Return the time as a line keeps it: UTC, to the second."""
    return clock.strftime("%Y-%m-%dT%H:%M:%SZ", clock.gmtime())


def heading(line: Mapping[str, Any]) -> str:
    """Return where and of what the numbers of a line were taken: machine, Python, commit and load."""
    commit = str(line["commit"] or "unknown")[:10] + (" with uncommitted changes" if line["dirty"] else "")
    return (f"{machine_words(line['machine'])}, Python {line['machine']['python']}, commit {commit}"
            f"{load_words(line['load']['before'])}")  # fmt: skip


def load_words(load: float | None) -> str:
    """Return what a load before the first comparison means for the times; "" where the system tells none."""
    if load is None:
        return ""
    busy = " (the machine is BUSY: do not quote these times)" if load > BUSY_LOAD else ""
    return f", load before {load:.2f}{busy}"


def append(path: Path, line: Mapping[str, Any]) -> dict[str, Any]:
    """Append a line and return it with its hashes.

    Raises:
        InputError, OSError: as ``evals.history.append``.
    """
    return history.append(path, line)


def read(path: Path) -> list[dict[str, Any]]:
    """Return all lines, oldest first; an unfinished last one is left out.

    Raises:
        InputError: there is no such file, or a line is not one of a run, or was changed.
    """
    if not path.is_file():
        raise InputError(f"{path}: accepted a file of results, got none; next: python -m benchmarks --quick")
    lines = history.read(path)
    for number, line in enumerate(lines, 1):
        if line.get("schema") != SCHEMA or any(key not in line for key in _KEYS):
            raise InputError(
                f"{path}: line {number}: accepted {SCHEMA}, got {line.get('schema')!r}; next: name a file that "
                "python -m benchmarks --results wrote"
            )
    return lines


def _of(outcome: Outcome) -> dict[str, Any]:
    compared, spread = outcome.comparison, outcome.spread
    return {
        **_identity(compared),
        "versions": versions_of(compared.packages),
        "verdict": outcome.verdict,
        "reason": outcome.reason,
        "pairs": [
            {"ours": pair.ours, "alternative": pair.alternative, "name": pair.name, "details": dict(pair.details)}
            for pair in outcome.pairs
        ],
        "ours": outcome.our_median,
        "alternative": outcome.alternative_median,
        "ratio": outcome.ratio,
        "spread": None if spread is None else list(spread),
        "load": None if outcome.load is None else {"before": outcome.load[0], "after": outcome.load[1]},
        **({"note": outcome.note} if outcome.note else {}),
    }


def _identity(compared: Comparison) -> dict[str, Any]:
    return {
        "id": compared.id,
        "title": compared.title,
        "what": {"ours": compared.ours, "alternative": compared.alternative},
        "unit": compared.unit,
        "direction": compared.direction,
        "target": _target(compared.target),
    }


def _target(target: Target | None) -> dict[str, Any] | None:
    return None if target is None else {"of": target.of, "low": target.low, "high": target.high}


def _file_hash(path: Path | None) -> str | None:
    from evals.content_hash import hash_file

    return hash_file(path) if path is not None and path.is_file() else None


def _commit_time(checkout: Path) -> str | None:
    import subprocess

    try:
        return git_output(checkout, "log", "-1", "--format=%cI").strip() or None
    except (OSError, subprocess.SubprocessError):
        return None
