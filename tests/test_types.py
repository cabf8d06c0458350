import ast
import re
import sys
import tomllib
from fnmatch import fnmatch
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CHECKED = ("evals", "lifeos")


def imported():
    """Return the top-level packages that the checked code names in an import, wherever it stands."""
    names = set()
    for path in (path for folder in CHECKED for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(str(node.module).split(".")[0])
    return names - set(sys.stdlib_module_names) - {*CHECKED, "pip"}  # every environment has pip


def locked():
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    return {found[1].lower().replace("_", "-") for found in re.finditer(r"^([A-Za-z0-9._-]+)==", text, re.MULTILINE)}


def test_types_need_no_package_that_the_first_set_up_does_not_install():
    # CI checks types before `lifeos test` installs an extra; once it failed there and passed wherever the extra was.
    with (ROOT / "pyproject.toml").open("rb") as file:
        overrides = tomllib.load(file)["tool"]["mypy"]["overrides"]
    unchecked = [name for each in overrides if each["ignore_missing_imports"] for name in each["module"]]
    installed, known = packages_distributions(), locked()
    extra = {
        name for name in imported()
        if not any(owner.lower().replace("_", "-") in known for owner in installed.get(name, ()))
    }  # fmt: skip
    assert {"optuna", "ray"} <= extra
    assert sorted(name for name in extra if not any(fnmatch(f"{name}.x", pattern) for pattern in unchecked)) == []
