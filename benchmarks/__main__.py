"""``python -m benchmarks [NAME ...] [--json FILE]``: run the benchmarks, print one table."""

import argparse
import os
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.batched_sampling import measure_batched
from benchmarks.commands import measure_cheap, measure_help
from benchmarks.fresh_clone import FRESH, UNCHANGED, measure_clone
from benchmarks.metrics import measure_metrics
from benchmarks.operations import measure_operations
from benchmarks.overhead import measure_overhead
from benchmarks.table import Line, all_met, format_table
from evals.atomic import write_json
from lifeos.errors import InputError
from lifeos.git import git_state
from lifeos.processor import available_cores
from lifeos.settings import load_project

SCHEMA = "lifeos.benchmarks/1"
NAMES = (FRESH, UNCHANGED, "help", "cheap", "operations", "overhead", "batched", "metrics")
# A machine with this much to do besides is too busy to time anything on.
BUSY_LOAD = 0.5
BATCHED_IMAGES, METRICS_IMAGES = 24, 1000


def main(arguments: Sequence[str]) -> int:
    """Run what was asked for; 0: every target met, 1: one missed or not measured, 2: the command was wrong."""
    try:
        return _run(_parser().parse_args(arguments))
    except InputError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def chosen(names: Sequence[str]) -> list[str]:
    """Return the benchmarks to run, each once, in the table's order; all of them when none is named.

    Raises:
        InputError: a name that is none.
    """
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        raise InputError(f"benchmark: accepted {', '.join(NAMES)}, got {unknown[0]!r}; next: python -m benchmarks -h")
    return [name for name in NAMES if not names or name in names]


def _run(options: argparse.Namespace) -> int:
    names, project = chosen(options.names), load_project()
    for option, given in (("--rounds", options.rounds), ("--images", options.images)):
        if given is not None and given < 1:
            raise InputError(f"{option}: accepted 1 or more, got {given}; next: python -m benchmarks --help")
    persona = options.persona or project.path("persona")
    machine = _machine(project.root)
    print(_machine_line(machine), file=sys.stderr, flush=True)
    lines: list[Line] = []
    clones = [name for name in names if name in (FRESH, UNCHANGED)]
    for name in names:
        print(f"benchmark {name} ...", file=sys.stderr, flush=True)
        if name in clones:
            if name == clones[0]:
                lines += measure_clone(project.root, clones, packages_first=options.packages_first)
        elif name == "help":
            lines += measure_help(project.root)
        elif name == "cheap":
            lines += measure_cheap(project.root)
        elif name == "operations":
            lines += measure_operations(project.root)
        elif name == "overhead":
            lines += measure_overhead(project.root, persona, options.lora, options.rounds)
        elif name == "batched":
            lines += measure_batched(project.root, persona, options.rounds, options.images or BATCHED_IMAGES)
        else:
            lines += measure_metrics(project.root, persona, options.images or METRICS_IMAGES, options.rounds)
    print(f"{_machine_line(machine)}\n\n{format_table(lines)}")
    if options.json is not None:
        write_json(options.json, {"schema": SCHEMA, "machine": machine, "lines": [line.to_json() for line in lines]})
    return 0 if all_met(lines) else 1


def _machine(root: Path) -> dict[str, Any]:
    git = git_state(root)
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "cores": available_cores(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "commit": git["git_commit"],
        "dirty": git["git_dirty"],
    }


def _machine_line(machine: dict[str, Any]) -> str:
    load = machine["load"]
    busy = "" if load is None else f", load before {load:.1f}"
    if load is not None and load > BUSY_LOAD:
        busy += " (the machine is BUSY: do not quote these times)"
    commit = str(machine["commit"] or "unknown")[:10] + (" with uncommitted changes" if machine["dirty"] else "")
    return f"{machine['system']}, {machine['cores']} cores, Python {machine['python']}, commit {commit}{busy}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Speed against the project's targets.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which ones (default all): {', '.join(NAMES)}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the lines as JSON too")
    parser.add_argument("--persona", type=Path, metavar="FOLDER", help="persona of overhead, batched and metrics")
    parser.add_argument("--lora", type=Path, metavar="FILE", help="LoRA of overhead (default: the recipe's)")
    parser.add_argument("--rounds", type=int, default=2, metavar="N", help="rounds of those three (2)")
    parser.add_argument("--images", type=int, metavar="N",
                        help=f"images of batched ({BATCHED_IMAGES}) and of metrics ({METRICS_IMAGES})")  # fmt: skip
    parser.add_argument("--packages-first", action="store_true",
                        help="fresh-clone: fill pip's cache first, so that downloads are not timed")  # fmt: skip
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
