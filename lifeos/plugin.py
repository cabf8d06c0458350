"""The pytest side of the gates: options, the fixture that asserts a verdict, and the report the runner reads."""

import json
import uuid
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from evals.verdict import Outcome, Verdict
from lifeos.errors import InputError
from lifeos.inputs import SHARED_OPTIONS, Inputs, declared_needs, read_inputs
from lifeos.manifest import KNOWN_FAILURE, PHASES, Manifest, default_manifest, load_manifest, missing_needs
from lifeos.progress import progress_writer

if TYPE_CHECKING:
    from lifeos.known_failures.given import Given
    from lifeos.persona import Persona
    from lifeos.release import Release

REPORT_FILE, PROGRESS_FILE = "report.jsonl", "progress.jsonl"
VERDICT_PROPERTY, GATE_PROPERTY = "verdict", "gate"
_PREFIX = "test_"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options shared with ``lifeos gate`` and those the runner sets."""
    group = parser.getgroup("lifeos", "lifeos: what the gates judge")
    for name, meaning in SHARED_OPTIONS:
        group.addoption(f"--{name}", dest=f"lifeos_{name}", default=None, help=meaning)
    internal = parser.getgroup("lifeos-internal", "lifeos: set by `lifeos gate` and by tests")
    internal.addoption("--artifacts", dest="lifeos_artifacts", default=None, help="folder for images and runs")
    internal.addoption("--manifest", dest="lifeos_manifest", default=None, help="list of gates")
    internal.addoption("--invocation", dest="lifeos_invocation", default=None, help="folder of this run's report")
    internal.addoption(
        "--release-engine",
        dest="lifeos_engine",
        default=None,
        help="module that trains, samples and measures; such a run is recorded as a simulation",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Check the options; make a bare ``pytest`` run the cheap gates; start the report."""
    if config.args_source == pytest.Config.ArgsSource.TESTPATHS and not config.option.markexpr:
        config.option.markexpr = "cheap"
        config.stash[_BARE] = True
    if any(config.getoption(f"lifeos_{name}") is not None for name, _ in SHARED_OPTIONS):
        try:
            _inputs(config)
        except InputError as error:
            raise pytest.UsageError(str(error)) from error
    folder = config.getoption("lifeos_invocation")
    if folder is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(ReportWriter(Path(folder) / REPORT_FILE, config), "lifeos-report")


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say what a bare ``pytest`` does."""
    if config.stash.get(_BARE, False):
        return "lifeos: running the cheap gates; others: pytest -m predeploy | pod | release; unit tests: pytest tests"
    return None


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a gate whose needs were not declared, before any fixture of it is built."""
    gate = gate_id(item)
    row = _manifest(item.config).row(gate) if gate is not None else None
    if gate is not None:
        item.user_properties.append((GATE_PROPERTY, gate))
    if row is None:
        return
    phases = [phase for phase in PHASES if item.get_closest_marker(phase)]
    declared: frozenset[str] = frozenset()
    for phase in phases:
        declared |= _declared(item.config, phase)
    missing = missing_needs(row, declared)
    if missing:
        pytest.skip(f"not applicable: no {' and no '.join(missing)} was declared")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Fail a gate that came to its end without asserting a verdict."""
    yield
    if gate_id(item) is not None and VERDICT_PROPERTY not in dict(item.user_properties):
        pytest.fail("the gate asserted no verdict", pytrace=False)


def gate_id(item: pytest.Item) -> str | None:
    """Return the gate id of a test item, or None when it is no gate; of a known failure, the gate that it blocks."""
    name = getattr(item, "originalname", None) or item.name
    if not (item.path.name.startswith("gate_") and name.startswith(_PREFIX)):
        return None
    if name == _PREFIX + KNOWN_FAILURE:
        return str(item.callspec.params["entry"].gate)  # type: ignore[attr-defined]
    return name.removeprefix(_PREFIX)


@pytest.fixture(scope="session")
def inputs(pytestconfig: pytest.Config) -> Inputs:
    """The declared inputs of this run."""
    return _inputs(pytestconfig)


@pytest.fixture(scope="session")
def manifest(pytestconfig: pytest.Config) -> Manifest:
    """The list of gates of this run."""
    return _manifest(pytestconfig)


@pytest.fixture(scope="session")
def persona(inputs: Inputs) -> "Persona":
    """The declared persona."""
    from lifeos.persona import load_persona

    return load_persona(inputs.persona, inputs.project.root)


@pytest.fixture(scope="session")
def release(pytestconfig: pytest.Config) -> "Release":
    """The release walked once for all workers: verdicts by gate id; a failed walk leaves each not evaluated."""
    return _release(pytestconfig)


@pytest.fixture(scope="session")
def given(inputs: Inputs, pytestconfig: pytest.Config) -> "Given":
    """The declared inputs as known failures are looked for in them, each opened when first asked for."""
    from lifeos.known_failures.given import Given

    folder = pytestconfig.getoption("lifeos_invocation")
    progress = progress_writer(None if folder is None else Path(folder) / PROGRESS_FILE)
    return Given(inputs, release=lambda: _release(pytestconfig), progress=progress)


@pytest.fixture
def gate(record_property: Callable[[str, object], None]) -> Callable[[Verdict], None]:
    """Assert the one verdict of a gate.

    A gate fails unless its verdict lets through, a soft one too: under plain pytest nothing reads severities, and what
    nobody reads must not look like a pass. ``lifeos gate`` keeps soft gates out of the exit status.
    """
    asserted: list[Verdict] = []

    def assert_verdict(verdict: Verdict) -> None:
        if asserted:
            raise RuntimeError("a gate asserts one verdict, but this one asserted two")
        asserted.append(verdict)
        # Text, not objects: a numpy scalar in a property breaks xdist.
        record_property(VERDICT_PROPERTY, json.dumps(verdict.to_json(), allow_nan=False))
        if verdict.outcome is Outcome.PASSED:
            return
        pytest.fail(f"{verdict.outcome.value}: {verdict.reason}", pytrace=False)

    return assert_verdict


class ReportWriter:
    """Appends what happens to a JSON-lines file, one flushed line an event, so that a crash leaves what was known."""

    def __init__(self, path: Path, config: pytest.Config) -> None:
        """Start the report at ``path``."""
        self._path = path
        option = config.option
        narrowed = [f"-k {option.keyword}"] if option.keyword else []
        narrowed += [f"--deselect {name}" for name in option.deselect or []]
        narrowed += [f"--ignore {name}" for name in [*(option.ignore or []), *(option.ignore_glob or [])]]
        self._write({"event": "started", "narrowed": narrowed, "marker": option.markexpr})

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Write one phase (setup, call, teardown) of one gate."""
        name = report.nodeid.rsplit("::", 1)[-1].split("[", 1)[0]
        file = report.nodeid.split("::", 1)[0].replace("\\", "/").rsplit("/", 1)[-1]
        if not (file.startswith("gate_") and name.startswith(_PREFIX)):
            return
        gates = [str(value) for key, value in report.user_properties if key == GATE_PROPERTY]
        verdicts = [value for key, value in report.user_properties if key == VERDICT_PROPERTY]
        self._write(
            {
                "event": "gate",
                "gate": gates[-1] if gates else name.removeprefix(_PREFIX),
                "known_failure": name == _PREFIX + KNOWN_FAILURE,
                "node": report.nodeid,
                "when": report.when,
                "outcome": report.outcome,
                "xfail": hasattr(report, "wasxfail"),
                "verdict": verdicts[-1] if verdicts else None,
                "message": _message(report),
            }
        )

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Write a gate file that could not be read."""
        if report.failed:
            self._write({"event": "collect_error", "node": report.nodeid, "message": _message(report)})

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """Write how pytest ended; a report without this line is one of a crash."""
        self._write({"event": "finished", "exit": int(exitstatus)})

    def _write(self, event: dict[str, Any]) -> None:
        with self._path.open("a", encoding="utf-8", newline="\n") as file:
            file.write(json.dumps(event, allow_nan=False) + "\n")


_BARE = pytest.StashKey[bool]()
_INPUTS = pytest.StashKey[Inputs]()
_MANIFEST = pytest.StashKey[Manifest]()
_DECLARED = pytest.StashKey[dict[str, frozenset[str]]]()
_ATTEMPT = pytest.StashKey[str]()
_RELEASE = pytest.StashKey["Release"]()


def _inputs(config: pytest.Config) -> Inputs:
    if _INPUTS not in config.stash:
        names = [name for name, _ in SHARED_OPTIONS] + ["artifacts"]
        config.stash[_INPUTS] = read_inputs({name: config.getoption(f"lifeos_{name}") for name in names})
    return config.stash[_INPUTS]


def _manifest(config: pytest.Config) -> Manifest:
    if _MANIFEST not in config.stash:
        config.stash[_MANIFEST] = load_manifest(Path(config.getoption("lifeos_manifest") or default_manifest()))
    return config.stash[_MANIFEST]


def _declared(config: pytest.Config, phase: str) -> frozenset[str]:
    known = config.stash.setdefault(_DECLARED, {})
    if phase not in known:
        known[phase] = declared_needs(_inputs(config), phase)
    return known[phase]


def _release(config: pytest.Config) -> "Release":
    from lifeos.release import obtain_release

    if _RELEASE not in config.stash:
        folder = config.getoption("lifeos_invocation")
        config.stash[_RELEASE] = obtain_release(
            _inputs(config),
            attempt=_attempt(config),
            run_id=_run_id(folder) or _attempt(config),
            progress_file=Path(folder) / PROGRESS_FILE if folder is not None else None,
            engine=config.getoption("lifeos_engine"),
        )
    return config.stash[_RELEASE]


def _attempt(config: pytest.Config) -> str:
    folder = config.getoption("lifeos_invocation")
    if folder is not None:
        return Path(folder).name
    worker: dict[str, Any] = getattr(config, "workerinput", {})
    return str(worker.get("testrunuid") or config.stash.setdefault(_ATTEMPT, uuid.uuid4().hex))


def _run_id(folder: str | None) -> str | None:
    if folder is None:
        return None
    path = Path(folder) / "run.json"
    return str(json.loads(path.read_text(encoding="utf-8"))["run"]) if path.exists() else None


def _message(report: pytest.TestReport | pytest.CollectReport) -> str:
    if report.longrepr is None:
        return ""
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2])
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(crash.message if crash is not None else report.longrepr)[-2000:]
