"""``docs/known-failures.md``: written by ``python -m lifeos.known_failures.page``, held fresh by a test."""

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from evals.known_failures import SUBJECTS, Entry
from lifeos.known_failures.liveness import Liveness
from lifeos.manifest import PHASES
from lifeos.settings import project_root

PAGE = Path("docs") / "known-failures.md"
_HEAD = """# Known failures

Failures that cost people pod money or shipped a bad LoRA, each as an entry of `evals/known_failures/`: symptom,
message, cause, fix, source. An entry is live when its reproducer (a requirements file, a recipe, a LoRA file, a
dataset, a log, images, a recorded machine) makes its detector fire and the healthy twin, which differs in one field,
does not. `lifeos known-failures list` runs both for every entry (and not again over the same files and packages); no
entry states it. Each entry is a node of the gate that it blocks, so `pytest -m predeploy -k ID` looks for it alone in
your own inputs.

- `lifeos known-failures explain LOG` (a file, `-`, or the message) names the entries that a log shows, with their fix.
- `lifeos known-failures show ID` says what it is, what the twins differ in and what the detector found.
- `lifeos known-failures new ID --subject S --looks-at WHAT` scaffolds an entry whose test fails until it is written.
- `lifeos known-failures capture RUN` drafts one of a rejected release (its row) or of the log of a failed run; what an
  image showed (no face, a copy, black, flat, a lattice of latent cells) is known again by what is measured at the same
  prompt and seed. It writes no picture without `--with-images`.

This page is made by `python -m lifeos.known_failures.page`.
"""


def page(results: Sequence[tuple[Entry, Liveness]]) -> str:
    """Return the page over every entry with its liveness on a machine without a GPU."""
    live = [entry for entry, found in results if found.live]
    recorded = [entry for entry, found in results if found.live and entry.needs is not None]
    parts = [_HEAD, f"{len(live)} of {len(results)} entries are live; {len(recorded)} of them by a recording.", ""]
    parts += _counts(results)
    for subject, meaning in SUBJECTS.items():
        rows = [(entry, found) for entry, found in results if entry.subject == subject]
        if not rows:
            continue
        parts += [
            f"## {subject.replace('_', ' ')}: {meaning}",
            "",
            "| id | gate | symptom | fix |",
            "| --- | --- | --- | --- |",
        ]
        parts += [
            f"| `{entry.id}` | {_gate(entry, found)} | {_cell(entry.symptom)} | {_cell(entry.fix)} |"
            for entry, found in rows
        ]
        parts.append("")
    stood_in = [f"- `{entry.id}` needs {entry.needs}: {entry.recorded}" for entry in recorded]
    if stood_in:
        parts += ["## What a recording stands in for", "", *stood_in, ""]
    dead = [f"- `{entry.id}`: {found.why}" for entry, found in results if not found.live]
    parts += ["## What is not live, and why", "", *(dead or ["Nothing."]), ""]
    return "\n".join(parts)


def _counts(results: Sequence[tuple[Entry, Liveness]]) -> list[str]:
    count = Counter((entry.subject, entry.phase, found.live) for entry, found in results)
    phases = [phase for phase in PHASES if any(entry.phase == phase for entry, _ in results)]
    rows = [f"| subject | {' | '.join(phases)} | live |", f"| --- |{' --- |' * (len(phases) + 1)}"]
    for subject in [name for name in SUBJECTS if any(entry.subject == name for entry, _ in results)]:
        each = [sum(count[subject, phase, live] for live in (True, False)) for phase in phases]
        alive = sum(count[subject, phase, True] for phase in phases)
        rows.append(f"| {subject.replace('_', ' ')} | {' | '.join(map(str, each))} | {alive} |")
    return [*rows, ""]


def _gate(entry: Entry, found: Liveness) -> str:
    return f"`{entry.gate}`" if found.live else "not live"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> int:
    """Write the page of this checkout."""
    from evals.atomic import write_text
    from evals.known_failures import read_entries
    from lifeos.known_failures.liveness import liveness, without_hardware
    from lifeos.settings import load_project

    artifacts = load_project().path("artifacts")
    results = [(entry, liveness(entry, artifacts, without_hardware)) for entry in read_entries()]
    write_text(project_root() / PAGE, page(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
