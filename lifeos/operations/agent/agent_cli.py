"""``lifeos agent run`` and ``lifeos agent check``."""

import json
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from lifeos.cli_options import Artifacts, History, Json, artifacts_path, history_path

app = typer.Typer(help="An agent within the bounds of its contract.", no_args_is_help=True)


@app.command("run")
def run(
    context: typer.Context,
    adapter: Annotated[str, typer.Option("--adapter", help="builtin, claude-code, codex or command.")] = "builtin",
    contract: Annotated[str | None, typer.Option("--contract", help="Contract file.", metavar="FILE")] = None,
    run_id: Annotated[str | None, typer.Option("--run", help="Id; the same id never runs twice.", metavar="ID")] = None,
    max_usd: Annotated[float | None, typer.Option("--max-usd", help="What it may cost.", min=0)] = None,
    as_of: Annotated[str | None, typer.Option("--as-of", help="Day that it is told; default: today.")] = None,
    history: History = None,
    artifacts: Artifacts = None,
    as_json: Json = False,
) -> int:
    """Run an agent in a throw-away worktree and take its briefing, if it is one; what follows -- is its command.

    Exit status, by outcome: 0 ok, partial, no_work; 20 blocked, denied, crashed; 21 a limit or silence; 22 an invalid
    briefing; 70 STOP file.
    """
    import re

    from lifeos.errors import InputError
    from lifeos.operations.agent.adapters import adapter_named
    from lifeos.operations.agent.agent_run import run_agent
    from lifeos.operations.agent.contract import load_contract
    from lifeos.operations.as_of import read_as_of
    from lifeos.settings import project_root

    root, given = project_root(), context.find_root().obj
    chosen = adapter_named(adapter, tuple(given or ()))
    day = read_as_of(as_of, root) if as_of is not None else _now().date()
    name = run_id or f"agent-{_now():%Y%m%dt%H%M%S}-{uuid.uuid4().hex[:8]}"
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,79}", name):
        raise InputError(f"--run: accepted lower-case letters, digits and -, got {name!r}; next: another id")
    result = run_agent(
        root, load_contract(root, contract), chosen, run=name, as_of=day, now=_now,
        artifacts=artifacts_path(artifacts), history=history_path(history).absolute(), max_usd=max_usd,
    )  # fmt: skip
    if as_json:
        print(json.dumps(result.to_json(), allow_nan=False))
        return result.exit_code
    for warning in result.warnings:
        print(f"note: {warning}; the runner's clocks hold")
    for each in result.forbidden:
        print(f"forbidden: {each}")
    print(f"{result.run}: {result.outcome}: {result.reason} ({result.seconds:.1f} s)")
    print(f"briefing: {result.briefing or 'none'}\ntranscript: {result.transcript}")
    if result.briefing:
        print("next: lifeos promote-findings")
    return result.exit_code


@app.command("check")
def check(
    file: Annotated[Path, typer.Argument(help="Briefing to check.", metavar="FILE")],
    as_json: Json = False,
) -> int:
    """Say what is wrong with a briefing, line by line; exit status 0 nothing, 1 something, 2 no such file."""
    from lifeos.errors import InputError
    from lifeos.operations.briefing import BriefingError, parse_briefing

    try:
        data = file.read_bytes()
    except OSError as error:
        raise InputError(f"{file}: accepted a briefing, got {error.strerror}; next: check the path") from error
    try:
        found = parse_briefing(data, file.name)
        problems = []
    except BriefingError as error:
        found, problems = None, list(error.problems)
    if as_json:
        said = [{"line": problem.line, "text": problem.text} for problem in problems]
        print(json.dumps({"schema": "lifeos.briefing_check/1", "problems": said}))
    else:
        print("".join(f"{file.name}:{problem.line}: {problem.text}\n" for problem in problems), end="")
        if found is not None:
            print(f"{file.name}: {len(found.items)} items, outcome {found.outcome}")
    return 1 if problems else 0


def _now() -> datetime:
    return datetime.now(UTC)
