"""``promote-lora``, ``adopt-champion``, ``fetch-champion``, ``check-champion``: what may be loaded, and why."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from lifeos.cli_options import Artifacts, History, Json, Persona, Policy, utc_now
from lifeos.errors import InputError

_Location = Annotated[
    str | None, typer.Option("--location", help="Where the file lies: a path or https://.", metavar="WHERE")
]
SCHEMA = "lifeos.champion-answer/1"


def promote_lora(
    row: Annotated[str, typer.Argument(help="Start of a row's id or hash.", metavar="ROW")],
    location: _Location = None,
    allow_dirty: Annotated[
        bool, typer.Option("--allow-dirty", help="Take a row whose checkout had changes; they are named.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, write nothing.")] = False,
    persona: Persona = None,
    policy: Policy = None,
    history: History = None,
    artifacts: Artifacts = None,
    as_json: Json = False,
) -> int:
    """Make the LoRA of an approved row the persona's champion.

    Exit status: 0 it is the champion, 1 refused (with every reason), 2 no such row or the command was wrong.
    """
    from lifeos.promotion import promote

    inputs = _inputs(persona=persona, policy=policy, history=history, artifacts=artifacts)
    done = promote(inputs, row, time=utc_now(), location=location, allow_dirty=allow_dirty, dry_run=dry_run)
    if done.champion is None:
        return _refused("promote", f"row {row}", list(done.refusals), as_json)
    lines = [f"{done.champion.persona}: LoRA {done.champion.lora[:12]} is "
             f"{'already ' if done.unchanged else 'to be ' if dry_run else 'now '}the champion, by row "
             f"{done.champion.row}"]  # fmt: skip
    if done.champion.previous:
        lines.append(f"it replaces {done.champion.previous[:12]}")
    if done.champion.dirty:
        lines.append(f"judged beside changed files: {', '.join(done.champion.dirty)}")
    if done.persona_edited:
        lines.append('persona.toml now says champion = "champion.json"; next: commit both files')
    if done.champion.location is None and not dry_run:
        lines.append("no location was set; next: lifeos promote-lora ROW --location WHERE")
    return _told("promote", lines, done.champion.model_dump(by_alias=True), as_json)


def adopt_champion(
    file: Annotated[Path, typer.Argument(help="LoRA from before lifeos.", metavar="FILE")],
    location: _Location = None,
    replace: Annotated[bool, typer.Option("--replace", help="In place of a champion that is there.")] = False,
    persona: Persona = None,
    policy: Policy = None,
    history: History = None,
    artifacts: Artifacts = None,
    as_json: Json = False,
) -> int:
    """Judge a LoRA from before lifeos and register it, not approved: candidates are compared with it, nothing loads it.

    Exit status: 0 registered whatever the verdict, 1 it could not be judged, 2 the command was wrong.
    """
    from evals.content_hash import hash_file
    from evals.history import find
    from lifeos.champion import CHAMPION_FILE, keep_copy, read_champion, write_champion
    from lifeos.promotion import champion_of, name_champion, of_location
    from lifeos.report.progress_bars import show_progress
    from lifeos.runner import run_gate

    inputs = _inputs(persona=persona, policy=policy, history=history, artifacts=artifacts, lora=str(file))
    path = inputs.persona / CHAMPION_FILE
    before = read_champion(path) if path.exists() else None
    if before is not None and not replace:
        raise InputError(f"{path}: accepted a persona without a champion, got {before.lora[:12]}; next: pass --replace")
    if location is not None and (wrong := of_location(path, location, hash_file(file))):
        return _refused("adopt", str(file), wrong, as_json)
    options: dict[str, Any] = {"lora": str(file), "champion": "none", "persona": persona, "policy": policy,
                               "history": history, "artifacts": artifacts}  # fmt: skip
    with show_progress() as progress:
        run = run_gate("release", options, now=lambda: datetime.now(UTC), progress=None if as_json else progress)
    if run.row is None or not (run.release or {}).get("images"):
        reasons = [f"{result.id}: {result.verdict.reason}" for result in run.results if result.verdict.blocks]
        return _refused("adopt", str(file), reasons[:3], as_json)
    row = find(inputs.history, run.row)
    champion = champion_of(row, approved=False, time=utc_now(), location=location, replaced=before)
    keep_copy(file, champion.lora, inputs.artifacts)
    write_champion(path, champion)
    named = name_champion(inputs.persona)
    judged = run.verdict.replace("_", " ")
    lines = [f"{champion.persona}: LoRA {champion.lora[:12]} is registered, not approved; row {champion.row}: {judged}",
             "candidates are compared with it; check-champion refuses it"]  # fmt: skip
    if named:
        lines.append('persona.toml now says champion = "champion.json"; next: commit both files')
    return _told("adopt", lines, champion.model_dump(by_alias=True), as_json)


def fetch_champion(persona: Persona = None, artifacts: Artifacts = None, as_json: Json = False) -> int:
    """Bring the champion's file from its location and verify every byte; prints where it lies.

    Exit status: 0 it is there, 1 other bytes lie at the location, 2 it cannot be read.
    """
    from lifeos.champion import CHAMPION_FILE, NotTheChampionError
    from lifeos.champion import fetch_champion as fetch

    inputs = _inputs(persona=persona, artifacts=artifacts)
    try:
        file = fetch(inputs.persona / CHAMPION_FILE, inputs.artifacts)
    except NotTheChampionError as error:
        return _refused("fetch", "the champion", [str(error)], as_json)
    return _told("fetch", [str(file)], {"file": str(file)}, as_json)


def check_champion(
    file: Annotated[Path, typer.Argument(help="LoRA that is about to be loaded.", metavar="PATH")],
    persona: Persona = None,
    history: History = None,
    as_json: Json = False,
) -> int:
    """Is this file exactly the approved champion? For loaders.

    Exit status: 0 only for the approved bytes with their row in the history; 1 other bytes or not approved; 2 a file is
    missing or cannot be read.
    """
    from lifeos.champion import CHAMPION_FILE, NotTheChampionError
    from lifeos.champion import check_champion as check

    inputs = _inputs(persona=persona, history=history)
    try:
        champion = check(file, inputs.persona / CHAMPION_FILE, inputs.history)
    except NotTheChampionError as error:
        return _refused("check", str(file), [str(error)], as_json)
    line = f"{file}: the champion of {champion.persona}, approved by row {champion.row}"
    return _told("check", [line], champion.model_dump(by_alias=True), as_json)


def _inputs(**options: str | None) -> Any:
    from lifeos.inputs import read_inputs

    return read_inputs(dict(options))


def _told(asked: str, lines: list[str], body: dict[str, Any], as_json: bool) -> int:
    if as_json:
        print(json.dumps({"schema": SCHEMA, "asked": asked, "accepted": True, **{"champion": body}}, allow_nan=False))
    else:
        print("\n".join(lines))
    return 0


def _refused(asked: str, what: str, reasons: list[str], as_json: bool) -> int:
    if as_json:
        print(json.dumps({"schema": SCHEMA, "asked": asked, "accepted": False, "reasons": reasons}, allow_nan=False))
    else:
        print("\n".join([f"{what}: REFUSED", *(f"  - {reason}" for reason in reasons)]))
    return 1
