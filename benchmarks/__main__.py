"""``python -m benchmarks [--only ID ...] [--quick]``: run the comparisons side by side, print one table, keep it."""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.comparison import FEWEST_PAIRS, Comparison, Context, Outcome, all_met
from benchmarks.machine import BUSY_LOAD, load_average, machine, machine_words
from benchmarks.outcome_table import format_table, markdown_table
from benchmarks.paired_runs import run_comparison
from benchmarks.registry import COMPARISONS, chosen
from benchmarks.results import append, record
from lifeos.errors import InputError
from lifeos.settings import load_project

RESULTS = Path("benchmarks") / "results.jsonl"
"""Below the artifacts folder."""


def main(arguments: Sequence[str]) -> int:
    """Run what was asked for; 0: every target met, 1: one missed or not measured, 2: the command was wrong."""
    try:
        options = _parser().parse_args(arguments)
        return _list() if options.list else _run(options)
    except InputError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2


def _run(options: argparse.Namespace) -> int:
    comparisons, left_out = chosen([*options.names, *(options.only or [])], options.quick)
    if not comparisons:
        raise InputError(f"--quick: accepted a quick comparison, got {left_out[0].id}; next: leave --quick out")
    for option, given, least in (("--runs", options.runs, FEWEST_PAIRS), ("--images", options.images, 1)):
        if given is not None and given < least:
            raise InputError(f"{option}: accepted {least} or more, got {given}; next: python -m benchmarks --help")
    project = load_project()
    checkout = (options.checkout or project.root).resolve()
    if not (checkout / "lifeos" / "__main__.py").is_file():
        raise InputError(f"--checkout: accepted a checkout of lifeos, got {checkout.name}; next: git worktree add")
    here, before = machine(), load_average()
    print(f"{machine_words(here)}, Python {here['python']}{_load_words(before)}", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="lifeos benchmarks ", ignore_cleanup_errors=True) as folder:
        context = Context(
            root=project.root, checkout=checkout, persona=options.persona or project.path("persona"),
            folder=Path(folder), lora=options.lora, script=options.script, images=options.images,
            packages_first=options.packages_first,
        )  # fmt: skip
        outcomes, interrupted = _outcomes(comparisons, context, options.runs)
    line = record(outcomes, context, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), here, (before, load_average()))
    results = options.results or project.path("artifacts") / RESULTS
    append(results, line)
    _show(options, outcomes, left_out, line)
    if interrupted:
        return 130
    return 0 if all_met(outcomes) else 1


def _outcomes(
    comparisons: Sequence[Comparison], context: Context, runs: int | None
) -> tuple[list[Outcome], bool]:
    """Run all; an interrupt keeps what was measured and says so of the rest."""
    outcomes: list[Outcome] = []
    try:
        for comparison in comparisons:
            outcomes.append(run_comparison(comparison, context, runs, _say))
            if outcomes[-1].reason is not None:
                _say(f"{comparison.id}: unmeasured: {outcomes[-1].reason}")
    except KeyboardInterrupt:
        left = comparisons[len(outcomes) :]
        return [*outcomes, *(Outcome(each, (), "interrupted") for each in left)], True
    return outcomes, False


def _show(
    options: argparse.Namespace, outcomes: Sequence[Outcome], left_out: Sequence[Comparison], line: dict[str, Any]
) -> None:
    if options.json:
        print(json.dumps(line, sort_keys=True, allow_nan=False))
    elif options.markdown:
        print(markdown_table(outcomes))
    else:
        commit = str(line["commit"] or "unknown")[:10] + (" with uncommitted changes" if line["dirty"] else "")
        print(f"{machine_words(line['machine'])}, Python {line['machine']['python']}, commit {commit}"
              f"{_load_words(line['load']['before'])}\n\n{format_table(outcomes, left_out)}")  # fmt: skip


def _load_words(load: float | None) -> str:
    if load is None:
        return ""
    busy = " (the machine is BUSY: do not quote these times)" if load > BUSY_LOAD else ""
    return f", load before {load:.2f}{busy}"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _list() -> int:
    width = max(len(each.id) for each in COMPARISONS)
    for each in COMPARISONS:
        needs = f"  needs {', '.join(each.needs)}" if each.needs else ""
        print(f"{each.id:<{width}}  {'quick' if each.is_quick else 'slow '}  {each.title}{needs}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Where the time goes, side by side.")
    parser.add_argument("names", nargs="*", metavar="ID", help="as --only")
    parser.add_argument("--only", nargs="+", metavar="ID", help="these comparisons, or groups of them (see --list)")
    parser.add_argument("--quick", action="store_true", help="only what takes seconds")
    parser.add_argument("--runs", type=int, metavar="N", help=f"pairs of each, {FEWEST_PAIRS} or more")
    parser.add_argument("--results", type=Path, metavar="FILE",
                        help=f"append the run here (artifacts/{RESULTS.as_posix()})")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the run as JSON in place of the table")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    parser.add_argument("--list", action="store_true", help="name every comparison and run none")
    parser.add_argument("--checkout", type=Path, metavar="FOLDER", help="measure the commands of another checkout")
    parser.add_argument("--persona", type=Path, metavar="FOLDER", help="persona of overhead, batched and metrics")
    parser.add_argument("--lora", type=Path, metavar="FILE", help="LoRA of overhead (default: the recipe's)")
    parser.add_argument("--script", type=Path, metavar="FILE", help="training script of diffusers' examples")
    parser.add_argument("--images", type=int, metavar="N", help="images of batched (24) and of metrics (1000)")
    parser.add_argument("--packages-first", action="store_true",
                        help="fresh-clone: fill pip's cache first, so that downloads are not timed")  # fmt: skip
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
