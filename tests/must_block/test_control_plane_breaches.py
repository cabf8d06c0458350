"""The gates of the control plane are seen to block, alone: ``breach_<gate id>`` breaches it in a healthy checkout."""

import shutil
import subprocess
from datetime import date
from pathlib import Path

import pytest

from evals.verdict import Outcome
from lifeos.manifest import default_manifest, load_manifest
from lifeos.operations.agent.contract_checks import contracts_verdict
from lifeos.operations.guard.checkout import Checkout
from lifeos.operations.guard.context_budget import budget_verdict
from lifeos.operations.guard.freshness import freshness_verdict, verify_document
from lifeos.operations.guard.links import links_verdict
from lifeos.operations.guard.planes import control_plane_verdict
from lifeos.operations.guard.preflight import answer, ledger_verdict
from lifeos.operations.guard.rules import rules_verdict

ROOT = Path(__file__).resolve().parents[2]
DAY = date(2026, 11, 27)
CONTROL = ("CLAUDE.md", "PROGRESS.md", "context/session-learnings.md", "context/projects/pistachio/context.md",
           "agents/pistachio-agent-v3.md")  # fmt: skip
# What the control files point to; their content does not matter here.
BESIDE = ("gates/manifest.toml", "evals/policy.toml", "evals/eval_history.jsonl", "personas/pistachio/persona.toml",
          "personas/pistachio/recipe.toml")  # fmt: skip


class House:
    """A checkout with this project's own control files, all guardrails content."""

    def __init__(self, folder):
        self.root = folder
        for name in (*CONTROL, *BESIDE):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
        for name in ("docs/demo-results.md", "docs/judging.md", "docs/decision.md", "docs/personas.md"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("# A page\n", encoding="utf-8")
        shutil.copytree(ROOT / "tests", folder / "tests", ignore=shutil.ignore_patterns("*.safetensors", "__pycache__"))
        self.write("governed.txt", "as it was\n")
        for name in CONTROL:
            text = self.text(name)
            if "governs:" in text:
                line = next(line for line in text.splitlines() if line.startswith("governs:"))
                self.write(name, text.replace(line, "governs: [governed.txt]"))
        self.git("init", "-q")
        self.add()
        for name in CONTROL:
            verify_document(Checkout(folder), name, DAY)

    def git(self, *arguments):
        subprocess.run(["git", *arguments], cwd=self.root, check=True, capture_output=True)

    def add(self):
        self.git("add", "-A")

    def text(self, name):
        return (self.root / name).read_bytes().decode()

    def write(self, name, text):
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_bytes(text.encode())

    def verdicts(self):
        checkout = Checkout(self.root)
        return {
            "control_plane": control_plane_verdict(checkout),
            "control_links": links_verdict(checkout),
            "rules_enforced": answer(lambda: rules_verdict(checkout)),
            "context_budget": budget_verdict(checkout),
            "freshness": answer(lambda: freshness_verdict(checkout, DAY, control=True)),
            "ledger_reads": answer(lambda: ledger_verdict(self.root)),
            "agent_contract": contracts_verdict(self.root),
        }


def breach_control_plane(house):
    house.write("context/transcript.txt", "a log\n")
    house.add()


def breach_control_links(house):
    house.write("PROGRESS.md", house.text("PROGRESS.md") + "\n[gone](docs/gone.md)\n")


def breach_rules_enforced(house):
    text = house.text("CLAUDE.md")
    house.write("CLAUDE.md", text.replace("\n- Tracked files", "\n- Be careful with everything.\n- Tracked files"))


def breach_context_budget(house):
    house.write("CLAUDE.md", house.text("CLAUDE.md") + "\nA line that says little.\n" * 130)


def breach_freshness(house):
    house.write("governed.txt", "as it is now\n")


def breach_ledger_reads(house):
    house.write("context/ledger/items.jsonl", '{"schema": "lifeos.item/1"}\n')


def breach_agent_contract(house):
    text = house.text("agents/pistachio-agent-v3.md")
    house.write("agents/pistachio-agent-v3.md", text.replace("wall_s: 1800", "wall_s: 180000"))


BREACHES = {name: function for name, function in globals().items() if name.startswith("breach_")}


@pytest.fixture
def house(tmp_path):
    return House(tmp_path / "check out")


@pytest.mark.parametrize("name", sorted(BREACHES))
def test_each_breach_is_seen_by_its_gate_alone(name, house):
    BREACHES[name](house)
    verdicts = house.verdicts()
    blocking = {gate for gate, verdict in verdicts.items() if verdict.blocks}
    assert blocking == {name.removeprefix("breach_")}, {gate: verdict.reason for gate, verdict in verdicts.items()}
    assert verdicts[name.removeprefix("breach_")].outcome is Outcome.FAILED


def test_the_healthy_checkout_passes_and_every_gate_here_is_listed(house):
    verdicts = house.verdicts()
    assert all(verdict.outcome is Outcome.PASSED for verdict in verdicts.values()), verdicts
    listed = {row.id for row in load_manifest(default_manifest()).phase("cheap")}
    assert set(verdicts) <= listed
    assert set(verdicts) == {name.removeprefix("breach_") for name in BREACHES}
