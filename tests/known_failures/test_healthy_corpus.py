"""No false alarm: no entry finds anything in inputs that are sound, and no signature stands in a clean log."""

import ast
from contextlib import suppress
from pathlib import Path

import pytest

from evals.known_failures import Place, explain, read_entries
from evals.known_failures.reproduction import REPRODUCERS, load_file
from lifeos.errors import InputError
from lifeos.inputs import read_inputs
from lifeos.known_failures.detection import detect
from lifeos.known_failures.given import Given
from lifeos.known_failures.liveness import MACHINE
from lifeos.pods.probe.recorded import recorded_machine
from lifeos.settings import project_root

LOOKS_AT = {"requirements": "requirements", "pod": "pod", "recipe": "recipe", "persona": "dataset", "lora": "weights",
            "training-log": "training_log", "images": "samples", MACHINE: "machine"}  # fmt: skip
"""Option that hands something in -> what entries look at there."""
SOURCES = sorted((project_root() / REPRODUCERS / "healthy").glob("*.py"))
HEALTHY = [
    (path, node.name)
    for path in SOURCES
    for node in ast.parse(path.read_text(encoding="utf-8")).body
    if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
]
ENTRIES = read_entries()

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory):
    return tmp_path_factory.mktemp("artifacts")


def as_a_run(handed_in, artifacts):
    """The inputs of a run, and what entries may look at in them."""
    options = {key: str(value) for key, value in handed_in.items()}
    machine = options.pop(MACHINE, None)
    looked_at = {LOOKS_AT[key] for key in handed_in if key in LOOKS_AT}
    # Beside images the persona is there to judge them by.
    looked_at = {"samples"} if "images" in options else looked_at
    on = None if machine is None else recorded_machine(Path(machine))
    return Given(read_inputs({**options, "artifacts": str(artifacts)}), offline=True, on=on), looked_at


@pytest.mark.parametrize(("path", "name"), HEALTHY, ids=[name for _, name in HEALTHY])
def test_nothing_is_found_in_it(path, name, tmp_path, artifacts):
    made = getattr(load_file(path), name)(Place(tmp_path, project_root()))
    for handed_in in made if isinstance(made, list) else [made]:
        given, looked_at = as_a_run(handed_in, artifacts)
        found, looked = {}, 0
        for entry in [entry for entry in ENTRIES if entry.looks_at in looked_at]:
            # One that asks for more than was handed in raises no alarm.
            with suppress(InputError):
                found[entry.id] = detect(entry, given).found
                looked += 1
        assert looked, handed_in
        assert {name: what for name, what in found.items() if what is not None} == {}, handed_in


@pytest.mark.parametrize("name", [name for _, name in HEALTHY if "log" in name])
def test_explain_finds_nothing_in_clean_logs(name, tmp_path):
    path = next(path for path, each in HEALTHY if each == name)
    for options in getattr(load_file(path), name)(Place(tmp_path, project_root())):
        with Path(options["training-log"]).open("rb") as stream:
            assert [match.entry.id for match in explain(stream, ENTRIES)] == []
