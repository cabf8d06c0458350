"""``python -m benchmarks.generation_speed [--script FILE]``: make the runs that are missing, print the table."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.comparison import Context, all_met
from benchmarks.generation_speed.bases import SIZES
from benchmarks.generation_speed.measure import chosen_parts, obstacle, recorded, run_missing
from benchmarks.generation_speed.records import records_of
from benchmarks.generation_speed.report import outcomes_of
from benchmarks.generation_speed.work import Work, usual_work
from benchmarks.machine import load_average, machine
from benchmarks.results import heading, now, record
from benchmarks.table import format_table
from evals.atomic import write_json
from lifeos.errors import InputError
from lifeos.processor import available_cores
from lifeos.settings import load_project


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
    script, folder = options.script and options.script.absolute(), options.work.absolute()
    here, before = machine(), load_average()
    records = records_of(work, script, folder, root)
    left = run_missing(work, script, folder, root, records, parts, options.within, _say)
    if left:
        _say(f"{left} runs are left; next: the same command again")
    found = {job.name: run for job, run in recorded(work, records)}
    outcomes = outcomes_of(work, found, lambda part: obstacle(work, script, part))
    context = Context(root=root, checkout=root, persona=root, folder=folder, script=script)
    line = record(outcomes, context, now(), here, (before, load_average()))
    versions = records.identity["machine"]["versions"].items()
    packages = ", ".join(f"{name} {version or 'absent'}" for name, version in versions)
    print(f"{heading(line)}\n{work.threads} threads, {packages}\n\n{format_table(outcomes)}")
    if options.json is not None:
        write_json(options.json, {**line, "work": work.to_json()})
    return 0 if all_met(outcomes) else 1


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


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
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows as JSON too")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
