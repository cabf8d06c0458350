"""All guardrails at once: what has to be true before a person, an agent or a cycle begins."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import evals
from evals.atomic import write_json
from evals.content_hash import hash_file, hash_folder, hash_json
from evals.verdict import Outcome, Verdict, failed, not_applicable, not_evaluated, passed
from lifeos.errors import InputError
from lifeos.operations.guard.checkout import Checkout
from lifeos.operations.guard.context_budget import budget_verdict
from lifeos.operations.guard.freshness import freshness_verdict
from lifeos.operations.guard.links import links_verdict
from lifeos.operations.guard.planes import control_plane_verdict
from lifeos.operations.guard.rules import rules_verdict
from lifeos.operations.stop_file import STOP_FILE, stop_asked
from lifeos.settings import Project, load_project

LEAST_FREE_BYTES = 2 << 30
_UNFINISHED = ("MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "rebase-merge", "rebase-apply")


@dataclass(frozen=True)
class Finding:
    """One guardrail: its id, its answer, and whether it blocks a cycle; soft ones warn."""

    id: str
    verdict: Verdict
    hard: bool = True

    @property
    def blocks(self) -> bool:
        """Return whether a cycle must not begin."""
        return self.hard and self.verdict.blocks


def guard_findings(root: Path, as_of: date) -> tuple[Finding, ...]:
    """Ask every guardrail of a checkout; what cannot be read is *not evaluated* and blocks.

    Args:
        root: the checkout.
        as_of: day by which documents go stale.
    """
    checkout = Checkout(root)
    return tuple(Finding(name, answer(ask), hard) for name, hard, ask in _guardrails(checkout, as_of))


def _guardrails(checkout: Checkout, as_of: date) -> Iterator[tuple[str, bool, Callable[[], Verdict]]]:
    root = checkout.root
    yield "stop_file", True, lambda: _stop(root)
    yield "git_state", True, lambda: _git(root)
    yield "settings_valid", True, lambda: _settings(root)
    yield "control_plane", True, lambda: control_plane_verdict(checkout)
    yield "control_links", True, lambda: links_verdict(checkout)
    yield "rules_enforced", True, lambda: rules_verdict(checkout)
    yield "context_budget", True, lambda: budget_verdict(checkout)
    yield "freshness", True, lambda: freshness_verdict(checkout, as_of, control=True)
    yield "docs_freshness", False, lambda: freshness_verdict(checkout, as_of, control=False)
    yield "agent_contract", True, lambda: _contract(root)
    yield "ledger_reads", True, lambda: ledger_verdict(root)
    yield "history_chain", True, lambda: _history(root)
    yield "environment", True, lambda: _environment(root)
    yield "disk_free", True, lambda: _disk(root)


def answer(ask: Callable[[], Verdict]) -> Verdict:
    """Return a guardrail's verdict; what it refuses to read is failed, what cannot be read is not evaluated."""
    try:
        return ask()
    except InputError as error:
        return failed(str(error))
    except OSError as error:
        return not_evaluated(f"cannot be read: {error}")


def ledger_verdict(root: Path) -> Verdict:
    """Read the ledger, and hold the blocks' markers against their lines.

    Raises:
        InputError: a line is no record, or a block is not there or was edited by hand.
    """
    from lifeos.operations.findings.blocks import PLACES, block_lines, read_control_file, replace_block
    from lifeos.operations.findings.ledger import read_ledger

    ledger = read_ledger(root)
    for place in PLACES.values():
        data = read_control_file(root, place)
        replace_block(data, place.name, block_lines(data, place.name, place.file), place.file)
    return passed(f"{len(ledger.items)} records, {len(ledger.decisions)} decisions, blocks as promotion wrote them")


def _stop(root: Path) -> Verdict:
    if stop_asked(root):
        return failed(f"the file {STOP_FILE} is there; next: remove it when agents may run again")
    return passed(f"no file {STOP_FILE}")


def _git(root: Path) -> Verdict:
    from lifeos.git import git_output

    try:
        head, folder = git_output(root, "rev-parse", "HEAD", "--git-dir").split("\n")[:2]
    except (OSError, subprocess.SubprocessError):
        return not_evaluated("git knows no commit here; next: git init, git add, git commit")
    for name in _UNFINISHED:
        if (root / folder / name).exists():
            return failed(f"an unfinished {name}; next: git status")
    return passed(f"at commit {head[:12]}")


def _settings(root: Path) -> Verdict:
    from lifeos.persona import load_persona
    from lifeos.project_checks import readable_verdict

    project = load_project(root)
    return readable_verdict(
        [
            ("settings", lambda: project),
            ("persona", lambda: load_persona(project.path("persona"), root)),
            ("policy", lambda: _read_policy(project)),
        ]
    )


def _read_policy(project: Project) -> None:
    """Read the policy, once for each of its states: it is read with every metric family, and numpy with them."""
    policy = project.path("policy")
    key = hash_json([hash_folder(Path(evals.__file__).parent, "**/*.py"), hash_file(policy)])
    known = project.path("artifacts") / "checks" / f"policy-{key[:32]}.json"
    if known.exists():
        return
    from evals.policy import load_policy

    load_policy(policy)
    write_json(known, {"policy": policy.name}, durable=False)


def _contract(root: Path) -> Verdict:
    from lifeos.operations.agent.contract_checks import contracts_verdict

    return contracts_verdict(root)


def _history(root: Path) -> Verdict:
    from lifeos.project_checks import history_verdict

    return history_verdict(load_project(root).path("history"))


def _environment(root: Path) -> Verdict:
    """Compare the environment's mark with the locks of today, as bootstrap.py does."""
    import sys

    marker = root / ".venv" / "lifeos-lock"
    if not Path(sys.prefix).resolve().is_relative_to((root / ".venv").resolve()):
        return not_applicable(f"this Python is not that of {root.name}/.venv")
    import importlib.util

    spec = importlib.util.spec_from_file_location("lifeos_bootstrap", root / "bootstrap.py")
    if spec is None or spec.loader is None or not marker.exists():
        return not_evaluated("the environment has no mark of its locks; next: ./lifeos.sh settings")
    bootstrap = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bootstrap)
    if marker.read_text(encoding="ascii") != bootstrap.lock_hash(root):
        return failed("the locks changed since the environment was made; next: ./lifeos.sh settings")
    return passed("the environment is that of the locks")


def _disk(root: Path) -> Verdict:
    place = load_project(root).path("artifacts")
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    judge = passed if free >= LEAST_FREE_BYTES else failed
    reason = f"{free / 2**30:.1f} GiB free below {place.name}"
    return judge(reason, value=free / 2**30, threshold=LEAST_FREE_BYTES / 2**30)


def exit_code(findings: tuple[Finding, ...]) -> int:
    """Return 1 when a hard guardrail failed, else 2 when one could not be evaluated, else 0."""
    blocking = [each.verdict.outcome for each in findings if each.blocks]
    return 1 if Outcome.FAILED in blocking else 2 if blocking else 0
