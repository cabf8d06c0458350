"""Is a contract one that holds an agent: bounded, complete, apart from the control plane, known to the runner."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from evals.verdict import Verdict, failed, not_evaluated, passed
from lifeos.errors import InputError
from lifeos.operations.agent.contract import CHECKS, EXIT_CODES, ContractFile, load_contract
from lifeos.operations.briefing import BriefingError, parse_briefing
from lifeos.operations.stop_file import STOP_FILE

AGENTS = "agents"
DATA_PLANE = "artifacts"
LARGEST_BYTES = 8 * 1024
# Outcomes after which a cycle may go on to commit.
GOES_ON = ("ok", "no_work", "partial")
_ACTIONS = {"ok": "promote", "partial": "promote", "no_work": "report", "invalid_output": "quarantine"}


def contracts_verdict(root: Path) -> Verdict:
    """Hold every contract in ``agents/`` against what the runner does; without one it cannot be told."""
    names = sorted(f"{AGENTS}/{path.name}" for path in (Path(root) / AGENTS).glob("*.md"))
    if not names:
        return not_evaluated(f"{AGENTS}/ holds no contract; next: git checkout {AGENTS}")
    problems: list[str] = []
    for name in names:
        try:
            file = load_contract(root, name)
        except InputError as error:
            problems.append(str(error))
            continue
        size = (Path(root) / name).stat().st_size
        if size > LARGEST_BYTES:
            problems.append(f"{name}: accepted at most {LARGEST_BYTES} bytes, got {size}")
        problems += [f"{name}: {said}" for said in contract_problems(file, root)]
    if problems:
        rest = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        return failed(f"{problems[0]}{rest}", value=len(problems), threshold=0)
    return passed(f"{len(names)} contracts are bounded and complete", value=0, threshold=0)


def contract_problems(file: ContractFile, root: Path) -> Iterator[str]:
    """Yield what is wrong with a contract, one line each.

    Args:
        file: as parsed.
        root: the checkout: what is read must be there.
    """
    contract = file.contract
    for key in ("name", "description"):
        if not isinstance(file.head.get(key), str) or not str(file.head[key]).strip():
            yield f"front matter: {key} is missing"
    if contract.budgets.idle_s > contract.budgets.wall_s:
        yield f"budgets: idle_s {contract.budgets.idle_s} is longer than wall_s {contract.budgets.wall_s}"
    yield from _stops(file)
    yield from _failures(file)
    yield from _paths(file, Path(root))
    yield from _self_check(contract.self_check)
    if contract.kill != STOP_FILE:
        yield f"kill: accepted {STOP_FILE}, which the runner looks for, got {contract.kill}"
    yield from _example(file)


def _stops(file: ContractFile) -> Iterator[str]:
    stops = file.contract.stop
    for check, kind in CHECKS.items():
        rows = [stop for stop in stops if stop.check == check]
        if len(rows) != 1:
            yield f"stop: accepted one row with check {check}, got {len(rows)}"
        elif rows[0].kind != kind:
            yield f"stop: {rows[0].id}: accepted kind {kind} for check {check}, got {rows[0].kind}"
    for stop in stops:
        if stop.check not in CHECKS:
            yield f"stop: {stop.id}: the runner knows no check {stop.check}"
        if f"`{stop.id}`" not in file.prose:
            yield f"stop: the prose does not mention `{stop.id}`"
    if len({stop.id for stop in stops}) < len(stops):
        yield "stop: an id stands twice"


def _failures(file: ContractFile) -> Iterator[str]:
    failure = file.contract.failure
    for outcome, code in EXIT_CODES.items():
        row = failure.get(outcome)
        if row is None:
            yield f"failure: no row for {outcome}"
            continue
        if row.exit != code:
            yield f"failure: {outcome}: accepted exit {code}, got {row.exit}"
        goes_on = outcome in GOES_ON
        if row.commit != goes_on:
            yield f"failure: {outcome}: accepted commit {str(goes_on).lower()}, got {str(row.commit).lower()}"
        action = _ACTIONS.get(outcome, "discard")
        if row.action != action:
            yield f"failure: {outcome}: accepted action {action}, got {row.action}"
        if f"`{outcome}`" not in file.prose:
            yield f"failure: the prose does not mention `{outcome}`"
    for name in failure:
        if name not in EXIT_CODES:
            yield f"failure: the runner knows no outcome {name}"


def _paths(file: ContractFile, root: Path) -> Iterator[str]:
    contract = file.contract
    for name in [*contract.reads, *contract.writes, contract.output.path]:
        place = PurePosixPath(name)
        if place.is_absolute() or ".." in place.parts or "\\" in name or ":" in name or name.startswith("~"):
            yield f"path {name}: accepted one below the checkout"
    for name in contract.writes:
        if PurePosixPath(name).parts[:1] != (DATA_PLANE,) or len(PurePosixPath(name).parts) < 2:
            yield f"writes: {name}: accepted a folder below {DATA_PLANE}/"
    if not any(PurePosixPath(contract.output.path).is_relative_to(name) for name in contract.writes):
        yield f"output: {contract.output.path} lies outside of writes"
    if PurePosixPath(contract.output.path).name != "{run}.md":
        yield f"output: accepted a file {{run}}.md, got {contract.output.path}"
    for name in contract.reads:
        if PurePosixPath(name).parts[:1] != (DATA_PLANE,) and not (root / name).exists():
            yield f"reads: {name} is not there"


def _self_check(words: list[str]) -> Iterator[str]:
    if words[:3] != ["lifeos", "agent", "check"] or words[3:] != ["{output}"]:
        yield f"self_check: accepted lifeos agent check {{output}}, got {' '.join(words)[:80]}"


def _example(file: ContractFile) -> Iterator[str]:
    if file.example is None:
        yield "accepted one example in a block ```markdown briefing, got none or several"
        return
    try:
        parse_briefing(file.example.encode("utf-8"), "the example")
    except BriefingError as error:
        yield str(error)
