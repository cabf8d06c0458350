"""The command line. Every command imports what it needs when it runs, so that ``--help`` answers at once."""

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from lifeos import (
    base_cli,
    caption_cli,
    champion_cli,
    compare_cli,
    convert_cli,
    extras_cli,
    history_cli,
    known_failures_cli,
    mend_cli,
    recipe_cli,
    report_cli,
    retrain_cli,
    reviews_cli,
    selection_cli,
)
from lifeos.cli_options import History, Json
from lifeos.errors import InputError, InterruptedRunError
from lifeos.operations import hooks_cli, status_cli
from lifeos.operations.agent import agent_cli
from lifeos.operations.cycle import cycle_cli
from lifeos.operations.findings import findings_cli
from lifeos.operations.guard import guard_cli
from lifeos.operations.project import init_cli
from lifeos.parameter_sweep import sweep_cli
from lifeos.pods import pods_cli, vram_cli

EXIT_USAGE, EXIT_INTERNAL, EXIT_INTERRUPTED = 2, 3, 130

app = typer.Typer(
    name="lifeos",
    help="Quality gates for face LoRAs: train or load one, sample it, judge it, record the verdict.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
history_cli.app.command("plot")(compare_cli.plot_history)
history_cli.app.command("reviews")(reviews_cli.show_reviews)
app.add_typer(history_cli.app, name="history")
app.add_typer(pods_cli.app, name="pod")
app.add_typer(recipe_cli.app, name="recipe")
app.add_typer(base_cli.app, name="base")
app.add_typer(agent_cli.app, name="agent")
app.add_typer(known_failures_cli.app, name="known-failures")
app.add_typer(hooks_cli.app, name="hooks")



def main(arguments: list[str]) -> int:
    """Run the command line and return its exit status; an error is one line on stderr (and JSON with ``--json``)."""
    own, rest = _split(arguments)
    as_json = "--json" in own
    try:
        result = app(own or ["--help"], prog_name="lifeos", standalone_mode=False, obj=rest)
        # typer turns Ctrl-C into this status by itself.
        interrupted = result == EXIT_INTERRUPTED
        return _complain("interrupted", result, as_json) if interrupted else result if isinstance(result, int) else 0
    except InputError as error:
        return _complain(str(error), EXIT_USAGE, as_json)
    except TyperException as error:
        return _complain(_usage_line(error), EXIT_USAGE, as_json)
    except InterruptedRunError as error:
        return _complain(str(error), EXIT_INTERRUPTED, as_json)
    except (KeyboardInterrupt, typer.Abort):
        return _complain("interrupted", EXIT_INTERRUPTED, as_json)
    except typer.Exit as error:
        return error.exit_code
    except Exception as error:
        code = getattr(error, "exit_code", EXIT_INTERNAL)
        if type(error).__name__ != "GateRunError":
            import traceback

            traceback.print_exc()
        return _complain(f"{error}", code, as_json)


@app.command(context_settings={"allow_extra_args": False})
def gate(
    context: typer.Context,
    phase: Annotated[str, typer.Argument(help="cheap, predeploy, pod or release.", metavar="PHASE")],
    as_json: Json = False,
    lora: Annotated[str | None, typer.Option(help="LoRA file to judge.", metavar="FILE")] = None,
    images: Annotated[str | None, typer.Option(help="Folder of finished images to judge.", metavar="FOLDER")] = None,
    recipe: Annotated[str | None, typer.Option(help="Recipe to train; default: the persona's.", metavar="FILE")] = None,
    persona: Annotated[str | None, typer.Option(help="Persona folder.", metavar="FOLDER")] = None,
    policy: Annotated[str | None, typer.Option(help="Thresholds of the judge.", metavar="FILE")] = None,
    champion: Annotated[
        str | None, typer.Option(help="Promoted LoRA to compare with, or none.", metavar="FILE|none")
    ] = None,
    pod: Annotated[str | None, typer.Option(help="Kind of pod to assume.", metavar="NAME")] = None,
    requirements: Annotated[str | None, typer.Option(help="Requirements of the pod.", metavar="FILE")] = None,
    training_log: Annotated[str | None, typer.Option(help="Log of the training.", metavar="FILE")] = None,
    history: History = None,
    artifacts: Annotated[str | None, typer.Option(help="Folder for images and runs.", metavar="FOLDER")] = None,
    record: Annotated[bool, typer.Option("--record", help="Record a run of phase cheap too.")] = False,
) -> int:
    """Run the gates of a phase: one verdict, one row in the history.

    What follows -- goes to pytest. Exit status: 0 approved, 1 a hard gate failed, 2 a hard gate could not be evaluated
    or the command was wrong, 3 internal error, 130 interrupted.
    """
    from contextlib import nullcontext

    from lifeos.inputs import read_inputs
    from lifeos.manifest import default_manifest, load_manifest
    from lifeos.runner import run_gate

    options: dict[str, Any] = {
        "lora": lora,
        "images": images,
        "recipe": recipe,
        "persona": persona,
        "policy": policy,
        "champion": champion,
        "pod": pod,
        "requirements": requirements,
        "training-log": training_log,
        "history": history,
        "artifacts": artifacts,
    }
    pytest_args: list[str] = context.obj or []
    if as_json:
        watching: Any = nullcontext(None)
    else:
        from lifeos.report.progress_bars import show_progress

        watching = show_progress()
    with watching as progress:
        run = run_gate(
            phase,
            options,
            now=_now,
            pytest_args=pytest_args,
            record=record,
            progress=progress,
            show_pytest=bool(pytest_args) and not as_json,
        )
    if as_json:
        print(json.dumps(run.to_json(), allow_nan=False))
    else:
        from lifeos.report.terminal import show_run

        show_run(run, load_manifest(default_manifest()), read_inputs(options).history)
    return run.exit_code


@app.command()
def calibrate(
    persona: Annotated[Path, typer.Argument(help="Persona folder.", metavar="PERSONA")],
    far: Annotated[float | None, typer.Option(help="False accept rate; default: the persona's own.")] = None,
    impostors: Annotated[Path | None, typer.Option(help="Pictures of others, one each.", metavar="FOLDER")] = None,
    nulls: Annotated[
        int | None, typer.Option(help="Seeds of the bare base to sample; default: enough.", min=2, metavar="N")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="PNG to draw; default: artifacts/reports.", metavar="FILE")] = None,
    as_json: Json = False,
    artifacts: Annotated[Path | None, typer.Option(help="Folder for images and runs.", metavar="FOLDER")] = None,
) -> int:
    """Derive a persona's thresholds from its references, from strangers and from the base without a LoRA."""
    from lifeos.calibrate import calibrate as build
    from lifeos.persona import load_persona
    from lifeos.report.calibration_lines import calibration_lines, calibration_notes
    from lifeos.report.calibration_plot import draw_calibration
    from lifeos.report.progress_bars import show_progress
    from lifeos.settings import load_project

    project = load_project()
    loaded = load_persona(persona if persona.is_dir() else project.root / "personas" / persona)
    with show_progress() as progress:
        calibration, similarities = build(
            loaded, artifacts or project.path("artifacts"), far=far, impostor_images=impostors, null_seeds=nulls,
            progress=progress,
        )  # fmt: skip
    calibration.save(loaded.calibration)
    picture = plot or project.path("artifacts") / "reports" / f"calibration-{loaded.folder.name}.png"
    draw_calibration(calibration, similarities, picture)
    answer = {"schema": "lifeos.calibrate/1", "file": str(loaded.calibration), "sha256": calibration.content_hash,
              "far": calibration.far, "thresholds": calibration.thresholds, "counts": calibration.counts,
              "notes": calibration_notes(calibration), "plot": str(picture)}  # fmt: skip
    if as_json:
        print(json.dumps(answer, allow_nan=False))
        return 0
    first, *rest = calibration_lines(calibration)
    print("\n".join([f"{loaded.calibration}: {first}", *rest]))
    print(f"picture: {picture}")
    return 0


@app.command("new-persona")
def new_persona(
    photographs: Annotated[Path, typer.Argument(help="Folder of photographs of one person.", metavar="FOLDER")],
    name: Annotated[str, typer.Option(help="Name and folder; default: that of FOLDER.", metavar="NAME")] = "",
    trigger: Annotated[str, typer.Option(help="Word that comes to mean the person; default: from the name.")] = "",
    class_word: Annotated[str, typer.Option(help="What the person is one of.", metavar="WORD")] = "person",
    base: Annotated[str, typer.Option(help="Base model, diffusers layout.", metavar="FOLDER")] = "models/tiny-base",
    family: Annotated[str, typer.Option(help="Family of the base.")] = "tiny_base",
    size: Annotated[str | None, typer.Option(help="Trained size; default: the base's.", metavar="WxH")] = None,
    references: Annotated[int | None, typer.Option(help="How many to hold out; default: a quarter.")] = None,
    seed: Annotated[int, typer.Option(help="Another seed holds out others.")] = 0,
    no_faces: Annotated[bool, typer.Option("--no-faces", help="Do not ask for exactly one face.")] = False,
    face_backend: Annotated[str, typer.Option(help="Face models that judge.", metavar="NAME")] = "yunet_sface",
    face_folder: Annotated[str, typer.Option(help="Where their weights lie.", metavar="FOLDER")] = "models/faces",
    into: Annotated[Path | None, typer.Option(help="Where to make it; default: personas/.", metavar="FOLDER")] = None,
    as_json: Json = False,
    artifacts: Annotated[Path | None, typer.Option(help="Folder for images and runs.", metavar="FOLDER")] = None,
) -> int:
    """Make a persona of photographs: upright PNG, training and held-out references, captions, prompts, recipe."""
    from lifeos.new_persona.command import parse_size, run_new_persona
    from lifeos.new_persona.plan import Request
    from lifeos.settings import load_project

    project = load_project()
    request = Request(
        photographs, into, name, trigger, class_word, base, family, parse_size(size), references, seed,
        not no_faces, face_backend, face_folder,
    )  # fmt: skip
    return run_new_persona(request, project.root, artifacts or project.path("artifacts"), as_json=as_json)


app.command("retrain-lora")(retrain_cli.retrain_lora)
app.command("auto-caption")(caption_cli.auto_caption)
app.command("review-samples")(reviews_cli.review_samples)
app.command("compare")(compare_cli.compare_rows)
app.command("report")(report_cli.report)
app.command("where-to-mend")(mend_cli.where_to_mend)
app.command("choose-checkpoint")(selection_cli.choose_checkpoint)
app.command("install-extra")(extras_cli.install_extra)
app.command("parameter-sweep")(sweep_cli.parameter_sweep)
app.command("convert-lora")(convert_cli.convert_lora)
app.command("promote-lora")(champion_cli.promote_lora)
app.command("adopt-champion")(champion_cli.adopt_champion)
app.command("fetch-champion")(champion_cli.fetch_champion)
app.command("check-champion")(champion_cli.check_champion)
app.command("promote-findings")(findings_cli.promote_findings)
app.command("review")(findings_cli.review)
app.command("why")(findings_cli.why)
app.command("init")(init_cli.init)
app.command("status")(status_cli.status)
app.command("preflight")(guard_cli.preflight)
app.command("freshness-check")(guard_cli.freshness_check)
app.command("context-budget")(guard_cli.context_budget)
app.command("run-full-cycle")(cycle_cli.run_full_cycle)
app.command("vram")(vram_cli.vram)


@app.command("lint-dataset")
def lint_dataset(
    persona: Annotated[Path | None, typer.Option(help="Persona folder or name.", metavar="PERSONA")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a contact sheet here.", metavar="FILE")] = None,
    rewrite: Annotated[
        list[Path] | None, typer.Option(help="First make this image upright, opaque, 8-bit RGB.", metavar="IMAGE")
    ] = None,
    as_json: Json = False,
    artifacts: Annotated[Path | None, typer.Option(help="Folder for images and runs.", metavar="FOLDER")] = None,
) -> int:
    """Look at a persona's images, captions, faces and references before anything is trained on them.

    Exit status: 0 passed, 1 a finding blocks, 2 something could not be evaluated or the command was wrong.
    """
    from lifeos.lora.dataset_lint.command import run_lint
    from lifeos.settings import load_project

    project = load_project()
    folder = persona or project.path("persona")
    folder = folder if folder.is_dir() else project.root / "personas" / folder
    return run_lint(
        folder, artifacts or project.path("artifacts"), html=html, as_json=as_json, rewrite=list(rewrite or [])
    )


@app.command()
def pods(
    persona: Annotated[Path | None, typer.Option(help="Persona folder.", metavar="FOLDER")] = None,
    recipe: Annotated[Path | None, typer.Option(help="Recipe to estimate; default: the persona's.")] = None,
    as_json: Json = False,
) -> int:
    """List the kinds of pods: GPU, driver, price, and what a run takes and costs on each."""
    return pods_cli.show_pods(as_json, persona, recipe)


@app.command("validate-pod-deps")
def validate_pod_deps(
    requirements: Annotated[Path | None, typer.Option(help="Requirements of the pod.", metavar="FILE")] = None,
    pod: Annotated[str | None, typer.Option(help="Kind of pod, or its .toml file.", metavar="NAME")] = None,
    as_json: Json = False,
    fix: Annotated[bool, typer.Option("--fix", help="Write the corrected set beside the file.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Ask no network.")] = False,
) -> int:
    """Would these packages work on that pod? Resolved for it, nothing installed.

    Exit status: 0 they would, 1 they would not, 2 it could not be told or the command was wrong. Where something must
    change, the last line on stdout is the command that installs the corrected set.
    """
    from lifeos.pods.validate_command import run_validation
    from lifeos.settings import load_project

    return run_validation(load_project(), requirements, pod, as_json=as_json, fix=fix, offline=offline)


@app.command()
def settings(as_json: Json = False) -> int:
    """Show every setting: value, where it comes from, meaning."""
    from lifeos.settings import load_project, settings_table

    rows = settings_table(load_project())
    if as_json:
        keys = ("name", "value", "source", "meaning")
        print(json.dumps({"schema": "lifeos.settings/1", "settings": [dict(zip(keys, r, strict=True)) for r in rows]}))
        return 0
    for name, value, source, meaning in rows:
        print(f"{name} = {value!r}  [{source}]\n    {meaning}")
    return 0


@app.command(context_settings={"allow_extra_args": False})
def test(context: typer.Context) -> int:
    """Run the cheap gates, then the project's own tests; what follows -- goes to pytest."""
    import subprocess

    from lifeos.settings import project_root

    own_gates = main(["gate", "cheap"])
    if not (project_root() / "tests" / "lifeos").is_dir():
        print("the toolchain's own tests stayed behind at lifeos init; the cheap gates are this project's")
        return own_gates
    _install_what_tests_need("sweep")
    arguments = [sys.executable, "-m", "pytest", "tests", "-n", "2", "-p", "hypothesispytest", *(context.obj or [])]
    tests = subprocess.run(arguments, cwd=project_root(), env=_sharing_cores(), check=False).returncode
    return own_gates or tests


def _install_what_tests_need(extra: str) -> None:
    from lifeos.extras import install, tests_that_need
    from lifeos.settings import project_root

    try:
        install(extra)
    except InputError as error:
        skipped = ", ".join(tests_that_need(extra, project_root()))
        _complain(f"{error}; tests that skip what needs it: {skipped}", EXIT_USAGE, as_json=False)


def _sharing_cores() -> dict[str, str]:
    # Two workers and the child that samples share the cores. A thread that spins at a barrier keeps the one it waits
    # for from running: beside one busy process eight images took 26.7 s, with passive waiting 20.8 s (alone 16.0 s).
    # One thread each, which lifeos.processor passes on to what trains and samples, meets no barrier at all.
    return {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    if "--" not in arguments:
        return arguments, []
    place = arguments.index("--")
    return arguments[:place], arguments[place + 1 :]


def _complain(message: str, code: int, as_json: bool) -> int:
    line = " ".join(message.split()) or "internal error"
    print(f"lifeos: {line}", file=sys.stderr)
    if as_json:
        print(json.dumps({"schema": "lifeos.error/1", "error": line}))
    return code


def _usage_line(error: TyperException) -> str:
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    return f"{message.rstrip('.')}; next: lifeos --help"


def _now() -> datetime:
    return datetime.now(UTC)
