"""Which files of the toolchain a new project takes along, and the files that are its own."""

from collections.abc import Mapping
from pathlib import Path

from lifeos.operations.findings.blocks import PLACES, empty_block

TEMPLATES = Path(__file__).with_name("templates")
# The toolchain; not its tests (but for the fixtures that gates are seen to block on), not the demo, not its records.
FOLDERS = ("evals", "lifeos", "gates", "models", "pods", "docs", "tests/must_block",
           "tests/known_failures", ".github")
FILES = (".gitattributes", ".gitignore", ".pre-commit-config.yaml", "LICENSE", "bootstrap.py", "conftest.py",
         "lifeos.cmd", "lifeos.ps1", "lifeos.sh", "pyproject.toml", "pytest.ini", "requirements-no-deps.lock",
         "requirements-pod.txt", "requirements-sweep.lock", "requirements.lock", "run-full-cycle.ps1",
         "run-full-cycle.sh")  # fmt: skip
# Measured on the demo, or made while the toolchain was built.
LEFT_OUT = ("evals/eval_history.jsonl", "models/tiny-base/build/", "docs/demo-", "docs/skin-battery",
            "docs/report-", "docs/newest-of-everything.md", "docs/requirement-sets.md", "docs/tiny-base.md",
            "docs/speed.md")  # fmt: skip
_IGNORED = (".pyc", ".pyo", ".lock.tmp", ".jsonl.lock", ".jsonl.index", ".jsonl.index-journal")


def toolchain_files(root: Path) -> dict[str, bytes]:
    """Return the toolchain's files by name.

    Args:
        root: the checkout that is copied.
    """
    found = {name: (root / name).read_bytes() for name in FILES if (root / name).is_file()}
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            name = path.relative_to(root).as_posix()
            plain = path.is_file() and not path.is_symlink()
            if plain and "__pycache__" not in name and not name.endswith(_IGNORED) and not name.startswith(LEFT_OUT):
                found[name] = path.read_bytes()
    return found


def without_broken_links(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files without links of docs/ that lead nowhere: the words stay, the link goes."""
    import posixpath
    import re

    names = set(files) | {name.rsplit("/", depth)[0] for name in files for depth in range(1, name.count("/") + 1)}

    def mend(name: str, text: str) -> str:
        def plain(match: "re.Match[str]") -> str:
            target = match.group(3).partition("#")[0]
            place = posixpath.normpath(posixpath.join(posixpath.dirname(name), target)) if target else name
            away = re.match(r"[a-z]+:", target) is not None
            return match.group(0) if away or place in names else match.group(2)

        return re.sub(r"(!?)\[([^\[\]]*)\]\(([^)\s]+)\)", plain, text)

    pages = [name for name in files if name.startswith("docs/") and name.endswith(".md")]
    return {**files, **{name: mend(name, files[name].decode("utf-8")).encode("utf-8") for name in pages}}


def render(template: str, values: Mapping[str, object]) -> str:
    """Return a template filled in; an unknown name in it is an error of this program."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)  # noqa: S701 - Markdown, and every value is checked or made inert before
    text = (TEMPLATES / template).read_text(encoding="utf-8")
    blocks = {place.name: empty_block(place.name).rstrip("\n") for place in PLACES.values()}
    return environment.from_string(text).render(blocks=blocks, **values)
