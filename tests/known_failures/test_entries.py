"""Red before green: the reproducer of every entry makes its detector fire, and the healthy twin makes none fire."""

import ast

import pytest

from evals.known_failures import SUBJECTS, read_entries
from evals.known_failures.reproduction import REPRODUCERS
from lifeos.errors import InputError
from lifeos.known_failures.detection import detect, detectors
from lifeos.known_failures.liveness import compare, reproduced
from lifeos.settings import project_root

ENTRIES = read_entries()
LIVE = [entry for entry in ENTRIES if entry.not_live_because is None]
SOURCES = sorted((project_root() / REPRODUCERS).glob("*/*.py"))

pytestmark = pytest.mark.filterwarnings("ignore")  # reproducers run libraries of others


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory):
    """What was looked at is remembered for all entries, as in a project."""
    return tmp_path_factory.mktemp("artifacts")


def fires(entry, given):
    try:
        return detect(entry, given).found
    except InputError:
        return None


@pytest.mark.parametrize("entry", LIVE, ids=[entry.id for entry in LIVE])
def test_it_is_found_and_its_healthy_twin_is_not(entry, tmp_path, artifacts):
    broken = reproduced(entry, tmp_path / "broken", artifacts, broken=True)
    healthy = reproduced(entry, tmp_path / "healthy", artifacts, broken=False)
    found = compare(detect(entry, broken), detect(entry, healthy))
    assert found.live, found.why
    # The twin is healthy: no other entry that looks at such a thing may find anything in it.
    others = [other for other in LIVE if other.looks_at == entry.looks_at]
    assert {other.id: seen for other in others if (seen := fires(other, healthy))} == {}


@pytest.mark.parametrize(
    "path",
    [path for path in SOURCES if path.parent.name != "healthy"],
    ids=lambda path: f"{path.parent.name}/{path.stem}",
)
def test_a_reproducer_imports_nothing_of_the_house(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    imported += [node.module or "." for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    relative = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level]
    assert not relative
    assert not {name.split(".")[0] for name in imported} & {"lifeos", "evals", "gates", "tests"}


def test_every_detector_and_every_reproducer_has_an_entry():
    ids = {entry.id for entry in LIVE}
    assert set(detectors()) <= ids
    names = {entry.function for entry in LIVE}
    for path in [path for path in SOURCES if path.parent.name != "healthy"]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        public = [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name[0] != "_"]
        assert set(public) <= names, path


def test_no_folder_of_reproducers_is_overlooked():
    folders = {path.parent.name for path in (project_root() / REPRODUCERS).glob("*/*.py")}
    assert folders <= {*SUBJECTS, "healthy"}


def test_an_entry_with_a_rule_has_no_detector_of_its_own():
    assert not {entry.id for entry in LIVE if entry.rule is not None} & set(detectors())
