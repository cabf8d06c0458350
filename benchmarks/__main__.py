"""``python -m benchmarks [--only ID ...] [--quick]``: run the comparisons side by side, print one table, keep it."""

import argparse
import json
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.comparison import FEWEST_PAIRS, Comparison, Context, Outcome, all_met
from benchmarks.machine import load_average, machine, machine_words
from benchmarks.paired_runs import run_comparison
from benchmarks.registry import APART, COMPARISONS, chosen
from benchmarks.results import append, heading, load_words, now, read, record
from benchmarks.table import apart_lines, format_table, markdown_table
from lifeos.errors import InputError
from lifeos.settings import load_project

RESULTS = Path("benchmarks") / "results.jsonl"
"""Below the artifacts folder."""
INTERRUPTED = "interrupted"


def main(arguments: Sequence[str]) -> int:
    """Run what was asked for; 0: every target met, 1: one missed or not measured, 2: the command was wrong."""
    try:
        options = _parser().parse_args(arguments)
        if options.list:
            return _list([*options.names, *(options.only or [])], options.quick)
        return _run(options)
    except InputError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("benchmarks: interrupted twice, so this run is not kept", file=sys.stderr)
        return 130


def _run(options: argparse.Namespace) -> int:
    named = [*options.names, *(options.only or [])]
    comparisons, left_out = chosen(named, options.quick)
    if not comparisons:
        raise InputError(f"--quick: accepted a quick comparison, got {left_out[0].id}; next: leave --quick out")
    project = load_project()
    results = options.results or project.path("artifacts") / RESULTS
    checkout = (options.checkout or project.root).resolve()
    _refuse_what_cannot_be(options, checkout, results)
    here, before = machine(), load_average()
    _say(f"{machine_words(here)}, Python {here['python']}{load_words(before)}")
    with tempfile.TemporaryDirectory(prefix="lifeos benchmarks ", ignore_cleanup_errors=True) as folder:
        context = Context(
            root=project.root, checkout=checkout, persona=options.persona or project.path("persona"),
            folder=Path(folder), lora=options.lora, script=options.script, images=options.images,
            packages_first=options.packages_first,
        )  # fmt: skip
        outcomes = _outcomes(comparisons, context, options.runs)
        # Before the folder is cleared, which takes a while after a clone: a second Ctrl-C then finds the numbers kept.
        line = record(outcomes, context, now(), here, (before, load_average()))
        append(results, line)
    if options.json:
        print(json.dumps(line, sort_keys=True, allow_nan=False))
    elif options.markdown:
        print(markdown_table(outcomes))
    else:
        apart = [] if named else APART
        print(f"{heading(line)}\n\n{format_table(outcomes, left_out, apart)}")
    if any(outcome.reason == INTERRUPTED for outcome in outcomes):
        return 130
    return 0 if all_met(outcomes) else 1


def _refuse_what_cannot_be(options: argparse.Namespace, checkout: Path, results: Path) -> None:
    """Raise InputError for what would otherwise be found out after minutes, or once the numbers are to be kept."""
    for option, given, least in (("--runs", options.runs, FEWEST_PAIRS), ("--images", options.images, 1)):
        if given is not None and given < least:
            raise InputError(f"{option}: accepted {least} or more, got {given}; next: python -m benchmarks --help")
    for option, path, is_there, kind in (
        ("--persona", options.persona, Path.is_dir, "a folder"), ("--lora", options.lora, Path.is_file, "a file"),
        ("--script", options.script, Path.is_file, "a file"),
    ):  # fmt: skip
        if path is not None and not is_there(path):
            raise InputError(f"{option}: accepted {kind}, got {path}; next: python -m benchmarks --help")
    if not (checkout / "lifeos" / "__main__.py").is_file():
        raise InputError(f"--checkout: accepted a checkout of lifeos, got {checkout.name}; next: git worktree add")
    try:
        results.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--results: accepted a file, got {results} ({error.strerror}); next: name another") from error
    if results.is_file():
        read(results)
    elif results.exists() or not os.access(results.parent, os.W_OK):
        raise InputError(f"--results: accepted a file that can be written, got {results}; next: name another")


def _outcomes(comparisons: Sequence[Comparison], context: Context, runs: int | None) -> list[Outcome]:
    """Run all; an interrupt keeps what was measured and says so of the rest."""
    outcomes: list[Outcome] = []
    try:
        for comparison in comparisons:
            outcomes.append(run_comparison(comparison, context, runs, _say))
            if outcomes[-1].reason is not None:
                _say(f"{comparison.id}: unmeasured: {outcomes[-1].reason}")
    except KeyboardInterrupt:
        outcomes += [Outcome(each, (), INTERRUPTED) for each in comparisons[len(outcomes) :]]
    return outcomes


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _list(names: Sequence[str], quick: bool) -> int:
    width = max(len(each.id) for each in COMPARISONS)
    for each in chosen(names, quick)[0]:
        needs = f"  needs {', '.join(each.needs)}" if each.needs else ""
        print(f"{each.id:<{width}}  {'quick' if each.is_quick else 'slow '}  {each.title}{needs}")
    if not names:
        print("\n".join(["", *apart_lines(APART)]))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Where the time goes, side by side.")
    parser.add_argument("names", nargs="*", metavar="ID", help="as --only")
    parser.add_argument("--only", nargs="+", metavar="ID", help="these comparisons, or groups of them (see --list)")
    parser.add_argument("--quick", action="store_true", help="only what takes seconds")
    parser.add_argument("--runs", type=int, metavar="N", help=f"pairs of each, {FEWEST_PAIRS} or more")
    parser.add_argument("--results", type=Path, metavar="FILE",
                        help=f"append the run here (artifacts/{RESULTS.as_posix()})")  # fmt: skip
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print the run as JSON in place of the table")
    form.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    form.add_argument("--list", action="store_true", help="name the comparisons and run none")
    parser.add_argument("--checkout", type=Path, metavar="FOLDER", help="measure the commands of another checkout")
    parser.add_argument("--persona", type=Path, metavar="FOLDER", help="persona of overhead, batched and metrics")
    parser.add_argument("--lora", type=Path, metavar="FILE", help="LoRA of overhead (default: the recipe's)")
    parser.add_argument("--script", type=Path, metavar="FILE", help="training script of diffusers' examples")
    parser.add_argument("--images", type=int, metavar="N", help="images of batched (24) and of metrics (1000)")
    parser.add_argument("--packages-first", action="store_true",
                        help="fresh-clone: fill pip's cache first, so that downloads are not timed")  # fmt: skip
    return parser


if __name__ == "__main__":
    for ending in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
        # A run that is told to end keeps what it measured, as after Ctrl-C; nohup still ignores a closed terminal.
        if signal.getsignal(ending) is signal.SIG_DFL:
            signal.signal(ending, signal.default_int_handler)
    sys.exit(main(sys.argv[1:]))
