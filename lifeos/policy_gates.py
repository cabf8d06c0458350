"""Gates that stand in the policy alone: one test function for each soft rule that the manifest does not list."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from evals.verdict import Verdict
from lifeos.manifest import default_manifest, load_manifest

if TYPE_CHECKING:
    from lifeos.release import Release

GateTest = Callable[[Callable[[Verdict], None], "Release"], None]


def policy_gates() -> dict[str, GateTest]:
    """Return ``test_<gate id>`` for each gate that the checkout's manifest takes from the policy.

    Raises:
        InputError: as ``lifeos.manifest.load_manifest``.
    """
    return {f"test_{row.id}": _gate_test(row.id) for row in load_manifest(default_manifest()).from_policy}


def _gate_test(gate_id: str) -> GateTest:
    def asserts_its_verdict(gate: Callable[[Verdict], None], release: "Release") -> None:
        gate(release.verdict(gate_id))

    return asserts_its_verdict
