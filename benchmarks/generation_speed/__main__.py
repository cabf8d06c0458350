"""``python -m benchmarks.generation_speed [--script FILE]``: make the runs that are missing, print the table."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.generation_speed.bases import SIZES
from benchmarks.generation_speed.measure import chosen_parts
from benchmarks.generation_speed.records import machine
from benchmarks.generation_speed.rows import rows
from benchmarks.generation_speed.work import Work, usual_work
from benchmarks.table import all_met, format_table
from evals.atomic import write_json
from lifeos.errors import InputError
from lifeos.git import git_state
from lifeos.processor import available_cores
from lifeos.settings import load_project

SCHEMA = "lifeos.benchmarks/1"


def main(arguments: Sequence[str]) -> int:
    """Return 0: every target is met, 1: one is missed or not measured, 2: the command was wrong."""
    try:
        return _run(_parser().parse_args(arguments))
    except InputError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def work_of(options: argparse.Namespace) -> Work:
    """Return the work that the command line asks for.

    Raises:
        InputError: numbers that cannot be.
    """
    size = options.size or ("full" if options.device == "cuda" else "small")
    return usual_work(size, options.device, options.threads or available_cores(), short=options.short,
                      long=options.long, rounds=options.rounds, images=options.images,
                      checkpointing=options.checkpointing or None)  # fmt: skip


def _run(options: argparse.Namespace) -> int:
    root, work, parts = load_project().root, work_of(options), chosen_parts(options.part)
    here = {**machine(work), **git_state(root), "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None}
    print(machine_line(here), file=sys.stderr, flush=True)
    lines = rows(root, work, options.script, options.work, parts, options.within,
                 lambda line: print(line, file=sys.stderr, flush=True))  # fmt: skip
    print(f"{machine_line(here)}\n\n{format_table(lines)}")
    if options.json is not None:
        write_json(options.json, {"schema": SCHEMA, "machine": here, "work": work.to_json(),
                                  "lines": [line.to_json() for line in lines]})  # fmt: skip
    return 0 if all_met(lines) else 1


def machine_line(here: dict[str, Any]) -> str:
    """Return machine, packages, commit and load in one line."""
    packages = ", ".join(f"{name} {version}" for name, version in here["versions"].items())
    commit = str(here["git_commit"] or "unknown")[:10] + (" with uncommitted changes" if here["git_dirty"] else "")
    load = "" if here["load"] is None else f", load before {here['load']:.1f}"
    return (f"{here['system']}, {here['device'] or 'no GPU'}, {here['threads']} threads, Python {here['python']}, "
            f"{packages}, commit {commit}{load}")  # fmt: skip


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.generation_speed",
                                     description="SDXL against public diffusers code.")  # fmt: skip
    parser.add_argument("--script", type=Path, metavar="FILE",
                        help="diffusers' examples/dreambooth/train_dreambooth_lora_sdxl.py")  # fmt: skip
    parser.add_argument("--part", default="all", metavar="PART",
                        help="all, train, train-ours, train-theirs, sample, profile; table runs nothing")  # fmt: skip
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where (cpu)")
    parser.add_argument("--size", choices=SIZES, help="of the random base (full on cuda, small on cpu)")
    parser.add_argument("--work", type=Path, default=Path("artifacts") / "generation-speed", metavar="FOLDER",
                        help="base, runs and records (artifacts/generation-speed)")  # fmt: skip
    parser.add_argument("--within", type=float, metavar="SECONDS",
                        help="begin no run that would not end by then; the same command again goes on")  # fmt: skip
    parser.add_argument("--rounds", type=int, metavar="N", help="how often each run is made")
    parser.add_argument("--short", type=int, metavar="STEPS", help="steps of the short training run")
    parser.add_argument("--long", type=int, metavar="STEPS", help="steps of the long one")
    parser.add_argument("--images", type=int, metavar="N", help="images drawn by each side")
    parser.add_argument("--threads", type=int, metavar="N", help="of the processor, both sides (all cores)")
    parser.add_argument("--checkpointing", action="store_true", help="gradient checkpointing, both sides")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the lines as JSON too")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
