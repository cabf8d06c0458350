"""A small checkout with a healthy control plane."""

import subprocess

from lifeos.operations.guard.checkout import Checkout

FILES = {
    "CLAUDE.md": "# Working here\n\n## Rules\n\n- Missing is never a pass: gate `likeness`.\n\n## Else\n\n- No rule.\n",
    "PROGRESS.md": "# Progress\n\nSee [the rules](CLAUDE.md#rules).\n",
    "context/session-learnings.md": "---\nverified_on: 2026-11-01\n---\n\n# Learnings\n",
    "context/projects/anna/context.md": "# Anna\n",
    "agents/anna.md": "# Agent\n",
    "docs/page.md": "---\ngoverns: ['src/**/*.py']\n---\n\n# A page\n",
    "src/code.py": "pass\n",
    "src/deep/more.py": "pass\n",
    "gates/manifest.toml": (
        '[[gate]]\nid = "likeness"\nphases = ["release"]\nseverity = "hard"\nproves = "it is the right face"\n'
    ),
    "tests/test_one.py": "",
}


class Place:
    """A git checkout that a test changes."""

    def __init__(self, root, git=True):
        self.root = root
        for name, text in FILES.items():
            self.write(name, text)
        if git:
            self.git("init", "-q")
            self.add()

    def git(self, *arguments):
        subprocess.run(["git", *arguments], cwd=self.root, check=True, capture_output=True)

    def add(self):
        self.git("add", "-A")

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())

    def text(self, name):
        return (self.root / name).read_bytes().decode()

    def look(self):
        return Checkout(self.root)
