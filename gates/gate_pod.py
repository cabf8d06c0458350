"""Pod: what the rented machine says once it is up."""

import pytest

from lifeos.pods.gpu import gpu_verdict

pytestmark = [pytest.mark.pod, pytest.mark.gpu]


def test_gpu_present(gate):
    gate(gpu_verdict())
