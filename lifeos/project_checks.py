"""Checks of the project itself, as pure functions from folders to one verdict each; no torch, fractions of a second."""

import ast
import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from evals.atomic import write_json
from evals.content_hash import hash_file, hash_json
from evals.verdict import Verdict, failed, not_evaluated, passed
from lifeos.errors import InputError
from lifeos.manifest import KNOWN_FAILURE, PHASES, GateRow, Manifest
from lifeos.release_inputs import source_hash

TREE_LIMIT_BYTES = 45 * 1024 * 1024
_LINTER_SECONDS = 120
# One argument list, no shell; the command's own console script is not on PATH inside every environment.
_LINTER = "import sys; from importlinter.cli import lint_imports_command; lint_imports_command()"


def architecture_verdict(root: Path, artifacts: Path) -> Verdict:
    """Hold the import contracts of ``pyproject.toml`` against the source; a pass is remembered by source hash.

    Not evaluated when import-linter cannot run.
    """
    key = hash_json([source_hash(root), hash_file(root / "pyproject.toml")])
    known = artifacts / "checks" / f"imports-{key[:32]}.json"
    if known.exists():
        return passed("the import contracts hold (same source as when last checked)")
    arguments = [sys.executable, "-c", _LINTER, "--config", "pyproject.toml", "--no-cache", "--no-logo"]
    try:
        done = subprocess.run(
            arguments, cwd=root, capture_output=True, text=True, timeout=_LINTER_SECONDS, check=False, encoding="utf-8"
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return not_evaluated(f"import-linter did not run: {error}")
    lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    if done.returncode == 0:
        write_json(known, {"contracts": lines[-1:]})
        return passed("the import contracts hold")
    chains = [line for line in lines if "->" in line]
    if chains:
        return failed(f"an import points the wrong way: {chains[0]}", value=len(chains), threshold=0)
    return not_evaluated(f"import-linter gave no answer: {lines[-1] if lines else 'nothing'}")


@dataclass(frozen=True)
class WrittenGate:
    """A gate found in source: id, the phases it is marked with, its file."""

    id: str
    phases: frozenset[str]
    file: str


def written_gates(folder: Path, from_policy: Iterable[GateRow] = ()) -> list[WrittenGate]:
    """Read the gates out of ``gate_*.py`` without importing them: functions ``test_<id>`` and their phase markers.

    A file that calls ``policy_gates`` holds a function for each row of ``from_policy`` too. The test of the known
    failures is none: it lends its nodes to other gates.
    """
    gates = []
    for path in sorted(folder.glob("gate_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        of_module = _module_marks(tree)
        for node in tree.body:
            is_gate = isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
            if isinstance(node, ast.FunctionDef) and is_gate and node.name != f"test_{KNOWN_FAILURE}":
                marks = of_module | {name for item in node.decorator_list for name in _marks(item)}
                gates.append(WrittenGate(node.name.removeprefix("test_"), frozenset(marks & set(PHASES)), path.name))
        if any(isinstance(node, ast.Name) and node.id == "policy_gates" for node in ast.walk(tree)):
            gates += [WrittenGate(row.id, frozenset(of_module & set(PHASES)), path.name) for row in from_policy]
    return gates


def must_block_ids(folder: Path) -> list[str]:
    """Return the gates that a must-block fixture breaches.

    A fixture is a file of image rows (``*.json``) that names what it ``breaches``, or a function ``breach_<id>``.
    """
    rows = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    functions = [
        node.name.removeprefix("breach_")
        for path in sorted(folder.glob("*.py"))
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("breach_")
    ]
    return [gate for fixture in rows for gate in fixture["breaches"]] + functions


def manifest_verdict(manifest: Manifest, gates: Iterable[WrittenGate], breached: Iterable[str]) -> Verdict:
    """Hold the manifest, the gates that are written and the must-block fixtures against each other.

    Args:
        manifest: the list.
        gates: what ``written_gates`` found.
        breached: gates with a must-block fixture; every hard gate needs one.
    """
    written = list(gates)
    listed = {row.id: row for row in manifest.gates}
    problems = [f"{gate.id} ({gate.file}) is not listed" for gate in written if gate.id not in listed]
    problems += [f"{name} is listed but not written" for name in listed if name not in {gate.id for gate in written}]
    ids = [gate.id for gate in written]
    problems += [f"{name} is written twice" for name in sorted({name for name in ids if ids.count(name) > 1})]
    for gate in written:
        row = listed.get(gate.id)
        if row is not None and set(row.phases) != set(gate.phases):
            problems.append(f"{gate.id} is marked {sorted(gate.phases)} and listed for {sorted(row.phases)}")
    hard = {row.id for row in manifest.gates if row.severity == "hard"}
    blocked = set(breached)
    problems += [f"{name} is hard but no must-block fixture breaches it" for name in sorted(hard - blocked)]
    problems += [
        f"the must-block fixture {name} breaches no gate of the list" for name in sorted(blocked - set(listed))
    ]
    if problems:
        rest = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        return failed(f"{problems[0]}{rest}", value=len(problems), threshold=0)
    return passed(f"{len(listed)} gates are listed, written and, where hard, seen to block", value=0, threshold=0)


def tree_size_verdict(root: Path, limit: int = TREE_LIMIT_BYTES) -> Verdict:
    """Add up the files git tracks; not evaluated where git does not answer."""
    try:
        listing = subprocess.run(
            ["git", "ls-files", "-z"], cwd=root, capture_output=True, timeout=30, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        return not_evaluated(f"git does not list the tracked files: {error}")
    names = [name for name in listing.decode("utf-8", "surrogateescape").split("\0") if name]
    if not names:
        return not_evaluated("git tracks no file here")
    total = sum((root / name).lstat().st_size for name in names if (root / name).exists())
    judge = failed if total > limit else passed
    reason = f"{len(names)} tracked files hold {total / 2**20:.1f} MiB"
    return judge(reason, value=total / 2**20, threshold=limit / 2**20, threshold_source="design")


def history_verdict(path: Path) -> Verdict:
    """Re-derive every hash of the history; a history that nothing was ever recorded in is whole."""
    from evals.history import verify

    if not path.exists():
        return passed(f"nothing was recorded yet in {path.name}", value=0, threshold=0)
    found = verify(path)
    if found.problems:
        return failed(found.problems[0], value=len(found.problems), threshold=0)
    return passed(f"{found.rows} rows, every hash derives again", value=0, threshold=0)


def readable_verdict(checks: Iterable[tuple[str, Callable[[], object]]]) -> Verdict:
    """Call every check (name, function without arguments); passed when none raises ``InputError``."""
    names = []
    for name, check in checks:
        try:
            check()
        except InputError as error:
            return failed(str(error))
        names.append(name)
    return passed(f"{', '.join(names)} can be read and hold no unknown key")


def _module_marks(tree: ast.Module) -> frozenset[str]:
    """Names in ``pytestmark = pytest.mark.x`` or a list of them."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "pytestmark" for t in node.targets):
            values = node.value.elts if isinstance(node.value, ast.List) else [node.value]
            return frozenset(name for value in values for name in _marks(value))
    return frozenset()


def _marks(node: ast.expr) -> list[str]:
    node = node.func if isinstance(node, ast.Call) else node
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute) and node.value.attr == "mark":
        return [node.attr]
    return []
