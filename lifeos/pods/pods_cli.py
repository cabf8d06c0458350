"""``lifeos pods`` and ``lifeos pod run``: what pods there are, and a command kept to a budget on one."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lifeos.cli_options import Artifacts, History, Json
from lifeos.errors import InputError

if TYPE_CHECKING:
    from lifeos.pods.cost import Estimate
    from lifeos.pods.spec import Pod

app = typer.Typer(
    help="Work on a rented pod.", no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False
)
_HEADERS = ("pod", "GPU", "memory", "capability", "driver", "CUDA", "an hour", "a run takes", "a run costs")


@app.callback()
def pod() -> None:
    """Work on a rented pod."""


@app.command()
def run(
    context: typer.Context,
    name: Annotated[str, typer.Option("--pod", help="Kind of pod this is.", metavar="NAME")] = "",
    budget: Annotated[str, typer.Option(help="What it may cost, such as '20 USD'.", metavar="AMOUNT")] = "",
    spent: Annotated[str, typer.Option(help="What the pod has cost already.", metavar="AMOUNT")] = "",
    no_stop: Annotated[bool, typer.Option("--no-stop", help="Leave the pod running afterwards.")] = False,
) -> int:
    """Run the command that follows -- on the pod, within the budget, and stop the pod afterwards.

    Signals and the exit status pass through. 124: the budget ended the command; 127 or 126: it could not be started;
    3: the stop command failed and the pod still runs; 2: these options were wrong, nothing was started or stopped.
    """
    from lifeos.pods.spec import load_pod
    from lifeos.pods.stop import fill_variables, say
    from lifeos.pods.supervise import supervise
    from lifeos.settings import load_project

    command = list(context.obj or [])
    if os.name != "posix":
        raise InputError("pod run: accepted a Linux pod, got another system; next: run it on the pod")
    if not command:
        raise InputError("pod run: accepted a command after --, got none; next: lifeos pod run -- COMMAND")
    settings = load_project().settings
    rented = load_pod(name or settings.pod)
    limit = payable_seconds(rented, budget or settings.budget, spent)
    stop = [] if no_stop else fill_variables(settings.pod_stop, os.environ)
    if not stop and not no_stop:
        raise InputError(
            "pod_stop: accepted the command that stops the pod, got none; next: set pod_stop in lifeos.toml, "
            "or add --no-stop"
        )
    say(f"{rented.name} at {rented.price_per_hour:.2f} {rented.currency} an hour, {_until(limit)}")
    done = supervise(command, limit=limit, stop=stop)
    cost = done.seconds / 3600 * rented.price_per_hour
    ending = {True: "the pod was told to stop", False: "THE POD STILL RUNS AND COSTS", None: "the pod is left running"}
    why = ", ended by the budget" if done.over_budget else ""
    say(f"{done.seconds / 3600:.2f} h, about {cost:.2f} {rented.currency}{why}; {ending[done.stopped]}")
    return done.status


@app.command()
def pack(
    archive: Annotated[Path, typer.Argument(help="Archive to write.", metavar="OUT.tar.gz")],
    results: Annotated[bool, typer.Option("--results", help="On the pod: pack what came of releases.")] = False,
    row: Annotated[list[str] | None, typer.Option("--row", help="With --results: only this.", metavar="ROW")] = None,
    persona: Annotated[Path | None, typer.Option(help="Persona folder.", metavar="FOLDER")] = None,
    lora: Annotated[Path | None, typer.Option(help="LoRA file that goes along.", metavar="FILE")] = None,
    allow_dirty: Annotated[bool, typer.Option("--allow-dirty", help="Pack uncommitted changes too.")] = False,
    history: History = None,
    artifacts: Artifacts = None,
    as_json: Json = False,
) -> int:
    """Pack a project for a pod: code at its commit, recipe, persona with pictures, locks, history; or results back."""
    from lifeos.pods.carry import carry_cli

    return carry_cli.pack(archive, results, row or [], persona, lora, allow_dirty, history, artifacts, as_json)


@app.command()
def unpack(
    archive: Annotated[Path, typer.Argument(help="Archive of lifeos pod pack.", metavar="FILE")],
    into: Annotated[Path | None, typer.Option(help="Empty folder for a packed project.", metavar="FOLDER")] = None,
    history: History = None,
    artifacts: Artifacts = None,
    as_json: Json = False,
) -> int:
    """Verify an archive and write it: a project into an empty folder, or results into this checkout and its history."""
    from lifeos.pods.carry import carry_cli

    return carry_cli.unpack(archive, into, history, artifacts, as_json)


def payable_seconds(rented: "Pod", budget: str, spent: str) -> float:
    """Return for how many seconds from now the budget pays; infinite where none was declared.

    Raises:
        InputError: an amount cannot be read, or what is left does not even pay for ending and stopping.
    """
    from lifeos.pods.budget import parse_money, seconds_for
    from lifeos.pods.supervise import least_seconds

    money, already = parse_money(budget, "budget"), parse_money(spent, "spent")
    if money is None:
        return float("inf")
    left = seconds_for(money, rented) - (0.0 if already is None else seconds_for(already, rented))
    least = least_seconds()
    if not left > least:
        needed, have = (seconds / 3600 * rented.price_per_hour for seconds in (least, max(0.0, left)))
        raise InputError(
            f"budget: accepted more than {needed:.2f} {rented.currency} left, which ending and stopping may take, "
            f"got {have:.2f}; next: raise the budget"
        )
    return left


def show_pods(as_json: bool, persona: Path | None, recipe: Path | None) -> int:
    """Print every pod with its GPU and price, and what a run of the recipe takes and costs on it.

    Raises:
        InputError: a pod's file cannot be used. A recipe that cannot be estimated leaves its columns empty, said why.
    """
    from lifeos.pods.spec import list_pods

    pods = list_pods()
    estimates, problem = _estimates(pods, persona, recipe)
    if as_json:
        rows = [_row(pod, estimates.get(pod.name)) for pod in pods]
        print(json.dumps({"schema": "lifeos.pods/1", "pods": rows, "problem": problem}, allow_nan=False))
        return 0
    table = [_HEADERS, *(_cells(pod, estimates.get(pod.name)) for pod in pods)]
    widths = [max(len(row[column]) for row in table) for column in range(len(_HEADERS))]
    for row in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    estimated = any(pod.price.kind == "estimate" for pod in pods)
    if estimated:
        print("~ is a list price somebody read once: put your own in pods/NAME.toml")
    if problem is not None:
        print(f"no estimate of a run: {problem}")
    elif estimates:
        phases = ", ".join(next(iter(estimates.values())).phases)
        print(f"a run: {phases}; estimated, where nobody measured it on that GPU (--json names the rows)")
    return 0


def _estimates(
    pods: "list[Pod]", persona: Path | None, recipe: Path | None
) -> tuple[dict[str, "Estimate"], str | None]:
    from lifeos.inputs import read_inputs
    from lifeos.pods.cost import estimate
    from lifeos.pods.throughput import load_throughput
    from lifeos.pods.workload import count_workload

    inputs = read_inputs({"persona": persona, "recipe": recipe})
    try:
        workload, throughput = count_workload(inputs), load_throughput()
        return {pod.name: estimate(workload, pod, throughput) for pod in pods}, None
    except InputError as error:
        return {}, str(error)


def _row(pod: "Pod", found: "Estimate | None") -> dict[str, Any]:
    values = pod.model_dump(mode="json")
    values["gpu"]["capability"] = ".".join(map(str, pod.gpu.capability))
    return {**values, "run": None if found is None else found.to_json()}


def _cells(pod: "Pod", found: "Estimate | None") -> tuple[str, ...]:
    price = f"{'~' if pod.price.kind == 'estimate' else ''}{pod.price_per_hour:.2f} {pod.currency}"
    gpu = pod.gpu.name if pod.count == 1 else f"{pod.count} x {pod.gpu.name}"
    return (
        pod.name, gpu, f"{pod.gpu.memory_gib:.0f} GiB", ".".join(map(str, pod.gpu.capability)), pod.driver, pod.cuda,
        price, "-" if found is None else f"{found.seconds / 3600:.2f} h", "-" if found is None else str(found.money),
    )  # fmt: skip


def _until(limit: float) -> str:
    if limit == float("inf"):
        return "no budget was declared: no limit"
    return f"the budget pays for {limit / 3600:.2f} h"
