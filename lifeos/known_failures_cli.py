"""``lifeos known-failures``: the registry listed, shown, asked, and added to."""

import io
import json
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from lifeos.cli_options import Artifacts, History, Json, artifacts_path, before_name, history_path, print_table

app = typer.Typer(
    help="Failures that cost somebody a pod or a LoRA, each with a detector that is seen to find it.",
    invoke_without_command=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback()
def overview(context: typer.Context, as_json: Json = False) -> int:
    """List the registry; or show, explain, new, capture."""
    if context.invoked_subcommand is not None:
        context.obj = {"json": as_json}
        return 0
    return list_entries(context, as_json)


@app.command("list")
def list_entries(context: typer.Context, as_json: Json = False, artifacts: Artifacts = None) -> int:
    """List every entry; whether it is live is found out by running its reproducer and the healthy twin."""
    from evals.known_failures import read_entries
    from lifeos.known_failures.liveness import all_liveness

    rows: list[dict[str, Any]] = [
        {
            "id": entry.id,
            "phase": entry.phase,
            "severity": entry.severity,
            "live": found.live,
            "subject": entry.subject,
            "gate": entry.gate,
            "recorded": found.recorded,
            "why_not_live": None if found.live else found.why,
        }
        for entry, found in all_liveness(read_entries(), artifacts_path(artifacts))
    ]
    if as_json or before_name(context, "json"):
        print(json.dumps({"entries": rows}, allow_nan=False))
        return 0
    head = ["subject", "id", "phase", "severity", "live"]
    print_table([head, *([row["subject"], row["id"], row["phase"], row["severity"], _live(row)] for row in rows)])
    print(f"{sum(row['live'] is True for row in rows)} of {len(rows)} live")
    return 0


@app.command("show")
def show_entry(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Id of an entry.", metavar="ID")],
    as_json: Json = False,
    artifacts: Artifacts = None,
) -> int:
    """Show one entry: what it is, how it is reproduced, what its detector finds, and how to mend it."""
    from evals.known_failures import entry_of, read_entries
    from lifeos.known_failures.liveness import liveness

    entry = entry_of(name, read_entries())
    found = liveness(entry, artifacts_path(artifacts))
    if as_json or before_name(context, "json"):
        values = {**entry.model_dump(), "live": found.live, "recorded": found.recorded, "found": found.why}
        print(json.dumps(values, allow_nan=False))
        return 0
    lines = {
        "symptom": entry.symptom,
        "message": " | ".join(signature.text for signature in entry.signatures) or "none that is written",
        "cause": entry.cause,
        "affected": entry.affected,
        "fix": entry.fix,
        "source": entry.source,
        "seen in": f"phase {entry.phase} ({entry.severity}), gate {entry.gate}" if entry.gate else "no gate",
        "twin": "none" if entry.twin is None else entry.twin.difference,
        "live": f"yes: {found.why}" if found.live else f"no: {found.why}",
    }
    if entry.recorded is not None:
        lines["recorded"] = f"{entry.recorded} (for real it needs: {entry.needs})"
    print(f"{entry.id} ({entry.subject})")
    for label, text in lines.items():
        print(f"  {label + ':':10} {text}")
    return 0


@app.command("explain")
def explain_text(
    context: typer.Context,
    text: Annotated[str, typer.Argument(help="A log file, - for standard input, or the message itself.")],
    as_json: Json = False,
) -> int:
    """Name the known failures that a log or a traceback shows, with the fix of each.

    Exit status: 0 something is known, 1 nothing is.
    """
    from evals.known_failures import explain, read_entries
    from lifeos.lora.dataset_lint.finding import printable

    with _opened(text) as stream:
        matches = explain(stream, read_entries())
    if as_json or before_name(context, "json"):
        rows: list[dict[str, Any]] = [
            {
                "id": match.entry.id,
                "fix": match.entry.fix,
                "symptom": match.entry.symptom,
                "cause": match.entry.cause,
                "source": match.entry.source,
                "count": match.count,
                "lines": [{"number": number, "text": line} for number, line in match.lines],
            }
            for match in matches
        ]
        print(json.dumps({"matches": rows}, allow_nan=False))
        return 0 if matches else 1
    if not matches:
        print("no known failure writes this; next: lifeos known-failures new ID, so that it is known from now on")
        return 1
    for match in matches:
        number, line = match.lines[0]
        more = f" and {match.count - 1} more" if match.count > 1 else ""
        print(f"{match.entry.id}: {match.entry.symptom}")
        print(f"  line {number}{more}: {printable(line.strip())[:200]}")
        print(f"  cause: {match.entry.cause}")
        print(f"  fix: {match.entry.fix}")
        print(f"  source: {match.entry.source}")
    return 0


@app.command("new")
def new_entry(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Id of the new entry.", metavar="ID")],
    subject: Annotated[str, typer.Option(help="Folder it belongs in.")],
    looks_at: Annotated[str, typer.Option("--looks-at", help="What its detector will read.")],
    as_json: Json = False,
) -> int:
    """Scaffold an entry: a file to fill in, and a test that fails until its detector finds it."""
    from lifeos.known_failures.scaffold import scaffold

    made = [str(path) for path in scaffold(name, subject, looks_at)]
    test = f"pytest tests/known_failures -k {name}"
    if as_json or before_name(context, "json"):
        print(json.dumps({"files": made, "test": test}, allow_nan=False))
        return 0
    for path in made:
        print(f"written: {path}")
    print(f"next: fill it in until it passes: {test}")
    return 0


@app.command("capture")
def capture(
    context: typer.Context,
    run: Annotated[str, typer.Argument(help="Id of a rejected release, or the log of a failed run.", metavar="RUN")],
    with_images: Annotated[bool, typer.Option("--with-images", help="Put the picture beside the entry.")] = False,
    as_json: Json = False,
    history: History = None,
    artifacts: Artifacts = None,
) -> int:
    """Draft an entry of what went wrong, so that exactly this is found from now on; no picture unless asked for."""
    from lifeos.known_failures.capture import capture_log, capture_release

    if Path(run).is_file():
        made = capture_log(Path(run))
    else:
        from lifeos.cli_options import row_or_latest

        row = row_or_latest(history_path(history), run)
        made = capture_release(row, artifacts_path(artifacts), with_images=with_images)
    test = f"pytest tests/known_failures -k {made[0].stem}"
    if as_json or before_name(context, "json"):
        print(json.dumps({"files": [str(path) for path in made], "test": test}, allow_nan=False))
        return 0
    for path in made:
        print(f"written: {path}")
    print(f"next: say why and what mends it in {made[0].name}; it is found already: {test}")
    return 0


def _live(row: dict[str, Any]) -> str:
    how = "by a recording" if row["recorded"] else "yes"
    return how if row["live"] else f"no: {row['why_not_live']}"


def _opened(text: str) -> Any:
    import sys

    if text == "-":
        stream: BinaryIO = sys.stdin.buffer
        return nullcontext(stream)
    # A pasted traceback may be longer than a path can be.
    is_path = "\n" not in text and len(text) < 1024
    path = Path(text) if is_path else None
    return path.open("rb") if path is not None and path.is_file() else io.BytesIO(text.encode())
