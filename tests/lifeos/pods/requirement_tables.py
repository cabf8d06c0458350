"""Every broken and every sound set with its verdict, as Markdown: ``python -m tests.lifeos.pods.requirement_tables``.

Judges over the committed snapshot without a network and prints what ``docs/requirement-sets.md`` holds.
"""

import functools
import os
import sys
import tempfile
from pathlib import Path
from unittest import mock

from lifeos.pods import metadata_origins
from lifeos.pods.dependencies import judge_dependencies
from lifeos.pods.snapshot import load_snapshot
from lifeos.pods.spec import list_pods, load_pod
from lifeos.settings import project_root
from tests.lifeos.pods.requirement_sets import drawn_sets, known_sets, shipped_sets

PAGE = project_root() / "docs" / "requirement-sets.md"
HEAD = ["#", "set", "pod", "expected", "given", "findings", "smallest change", "its pins"]
_PREFIX = "uv pip install --no-deps "
_ABOUT = """\
# Requirement sets and their verdicts

Printed by `python -m tests.lifeos.pods.requirement_tables > docs/requirement-sets.md` over {snapshot},
without a network; nothing was installed. `tests/lifeos/pods/test_requirement_sets.py` judges the same sets and holds
sets, verdicts and findings of this page to what it gets. Changes and commands are those over that snapshot. `its pins`
is the verdict on the command's pins, judged as a file of their own.
"""
_SECTIONS = {
    "Known sets": "What must be said of them was known before they were judged.",
    "The shipped set": "`requirements-pod.txt` on every shipped pod.",
    "Drawn sets": "Packages and versions drawn by chance, with a seed chosen after the code: no verdict is expected, "
    "but each set that does not pass must get a command whose pins do.",
}


class Judge:
    """Judges lines for a pod over the snapshot alone; wheels and uv's cache lie in ``folder``, each answer is kept."""

    def __init__(self, folder):
        """Use a folder of one's own, so that nothing of this machine's caches answers."""
        self.folder = Path(folder)
        self.snapshot = load_snapshot()
        self.of = functools.cache(self._judge)

    def _judge(self, lines, pod):
        path = self.folder / "requirements.txt"
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        nothing = {"UV_CACHE_DIR": str(self.folder / "empty")}
        with mock.patch.dict(os.environ, nothing), mock.patch.object(metadata_origins, "pip_settings", dict):
            cache = self.folder / "cache"
            return judge_dependencies(path, load_pod(pod), cache=cache, offline=True, snapshot=self.snapshot)

    def again(self, report):
        """Judge the pins of a report's command; None where it has none."""
        return (
            None if report.fix is None else self.of(tuple(report.fix.command.removeprefix(_PREFIX).split()), report.pod)
        )


def all_sets(snapshot):
    """Return the sets by the section of the page that they stand in."""
    pods = [pod.name for pod in list_pods()]
    found = (known_sets(), shipped_sets(), drawn_sets(snapshot, pods, 30))
    return dict(zip(_SECTIONS, found, strict=True))


def verdict_cells(one, report):
    """Return the cells that must not become stale: set, pod, expected, given, findings."""
    findings = " ".join(dict.fromkeys(f"`{finding.id}`" for finding in report.findings)) or "-"
    name = one.name if one.verdict else ", ".join(one.lines)
    return [name, one.pod, one.verdict or "-", report.verdict.outcome.value, findings]


def page_cells():
    """Return those cells of every row of the page, in order."""
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    return [row[1:6] for row in cells if row[0].isdigit()]


def main():
    """Print the page."""
    with tempfile.TemporaryDirectory() as folder:
        judge = Judge(folder)
        print(_ABOUT.format(snapshot=judge.snapshot.title))
        commands = []
        for section, about in _SECTIONS.items():
            print(f"## {section}\n\n{about}\n\n| {' | '.join(HEAD)} |\n|{' --- |' * len(HEAD)}")
            for one in all_sets(judge.snapshot)[section]:
                report = judge.of(one.lines, one.pod)
                commands.append(report.fix.command if report.fix is not None else None)
                changes = [" ".join((package, before, "→", after)) for package, before, after in _changes(report)]
                again = judge.again(report)
                outcome = "-" if again is None else again.verdict.outcome.value
                cells = [*verdict_cells(one, report), "; ".join(changes) or "-", outcome]
                print(f"| {len(commands)} | {' | '.join(cells)} |")
            print()
        print("## Corrective commands\n")
        for number, command in enumerate(commands, 1):
            if command is not None:
                print(f"{number}. `{command}`")
    return 0


def _changes(report):
    return () if report.fix is None else report.fix.changes


if __name__ == "__main__":
    sys.exit(main())
