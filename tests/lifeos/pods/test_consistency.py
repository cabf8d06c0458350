import pytest

from evals.verdict import Outcome
from lifeos.errors import InputError
from lifeos.pods.consistency import pod_verdict
from lifeos.pods.spec import list_pods, load_pod


@pytest.mark.parametrize("pod", list_pods(), ids=lambda pod: pod.name)
def test_every_shipped_pod_is_consistent(pod):
    verdict = pod_verdict(lambda: pod)
    assert verdict.outcome is Outcome.PASSED
    assert "estimate" in verdict.reason


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("rtx5090", {"driver": "565.57.01"}, "needs driver 570"),
        ("b200", {"cuda": "12.6"}, "needs CUDA 12.8"),
        ("h100", {"cuda": "11.7"}, "needs CUDA 11.8"),
        ("a40", {"cuda": "13.0"}, "CUDA 13.0 needs driver 580"),
    ],
)
def test_a_description_that_cannot_be_true_fails(name, change, says):
    verdict = pod_verdict(lambda: load_pod(name).model_copy(update=change))
    assert verdict.outcome is Outcome.FAILED
    assert says in verdict.reason


def test_a_pod_that_cannot_be_read_is_not_evaluated():
    def unknown():
        raise InputError("pod: accepted a40, got 'a4'; next: lifeos pods")

    assert pod_verdict(unknown).outcome is Outcome.NOT_EVALUATED
