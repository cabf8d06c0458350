"""The gate about the pod's packages is seen to block, alone."""

from evals.verdict import Outcome
from lifeos.pods.dependencies import dependencies_verdict
from lifeos.pods.requirements import requirements_verdict
from lifeos.pods.spec import load_pod
from lifeos.settings import project_root

SHIPPED = project_root() / "requirements-pod.txt"


def breach_pod_dependencies(folder):
    # Every line is understood; the shipped xformers has no kernel for this GPU.
    return {
        "requirements_parse": requirements_verdict(SHIPPED),
        "pod_dependencies": dependencies_verdict(SHIPPED, lambda: load_pod("rtx5090"), folder),
    }


def test_it_blocks_alone(tmp_path):
    assert dependencies_verdict(SHIPPED, lambda: load_pod("a40"), tmp_path).outcome is Outcome.PASSED
    verdicts = breach_pod_dependencies(tmp_path)
    assert {gate for gate, verdict in verdicts.items() if verdict.blocks} == {"pod_dependencies"}
    assert "next: lifeos validate-pod-deps" in verdicts["pod_dependencies"].reason
