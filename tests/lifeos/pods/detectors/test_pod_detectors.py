"""What a pod's description, the settings and a recorded machine show, and what only looks like it."""

from pathlib import Path

import pytest

from lifeos.errors import InputError
from lifeos.lora.detectors.recipes import bfloat16_not_in_hardware, float16_on_gtx_16
from lifeos.lora.recipe import Recipe
from lifeos.pods.detectors.machine_state import shared_memory_too_small
from lifeos.pods.detectors.rental import nothing_stops_the_pod, volume_over_code
from lifeos.pods.probe.gates import PodMachine
from lifeos.pods.probe.nvml import Machine
from lifeos.pods.probe.storage import Space
from lifeos.pods.spec import load_pod
from lifeos.settings import Settings

IMAGE = "docker.io/axolotlai/axolotl:main-latest@sha256:" + "0" * 64


@pytest.mark.parametrize(("changed", "found"), [
    ({"image": IMAGE}, True), ({"image": IMAGE.replace(":main-latest", "")}, True),
    ({"image": IMAGE.replace("axolotl:", "other:")}, False),
    ({"image": IMAGE, "volume_path": "/workspace/axolotl"}, True),
    ({"image": IMAGE, "volume_path": "/workspace/data"}, False), ({"image": IMAGE, "volume_path": "/work"}, False),
    ({"image": IMAGE, "volume_gib": 0.0}, False), ({}, False),
])  # fmt: skip
def test_a_volume_over_code(changed, found):
    assert (volume_over_code(load_pod("a40").model_copy(update=changed)) is not None) == found


@pytest.mark.parametrize(("settings", "found"), [
    ({"budget": "5 USD"}, True), ({"budget": "5 USD", "pod_stop": ["stop"]}, False), ({}, False),
])  # fmt: skip
def test_a_pod_that_nothing_stops(settings, found):
    pod = load_pod("a40")
    assert (nothing_stops_the_pod(pod, Settings(**settings)) is not None) == found
    free = pod.model_copy(update={"price": pod.price.model_copy(update={"per_hour": 0.0})})
    assert nothing_stops_the_pod(free, Settings(**settings)) is None


@pytest.mark.parametrize(("mebibytes", "installed", "found"), [
    (64, {"library": "0.0.0"}, True), (65, {"library": "0.0.0"}, False), (64, {"torch": "2.8.0"}, False),
    (64, {"library": "1.2"}, False),  # somebody else's
])  # fmt: skip
def test_shared_memory(mebibytes, installed, found):
    machine = PodMachine(space=lambda place: Space(mebibytes << 20, 0))
    assert (shared_memory_too_small(machine, installed) is not None) == found


def test_a_system_without_shared_memory():
    def absent(place):
        raise FileNotFoundError(place)

    assert shared_memory_too_small(PodMachine(space=absent), {"library": "0.0.0"}) is None


def recipe(**changed):
    return Recipe.model_validate({"base": Path("b"), "dataset": Path("d"), "trigger": "pstch", "steps": 10, **changed})


def test_types_that_a_gpu_has_not():
    asked, here = recipe(device="cuda", dtype="bfloat16"), recipe(dtype="bfloat16")
    assert "T4" in bfloat16_not_in_hardware(asked, load_pod("t4"))
    assert bfloat16_not_in_hardware(asked, load_pod("a40")) is None
    assert bfloat16_not_in_hardware(asked, None) is None
    assert bfloat16_not_in_hardware(here, load_pod("t4")) is None  # the processor computes
    unknown = PodMachine(read=lambda: Machine((), "", None, "no driver"))
    with pytest.raises(InputError, match="no driver"):
        float16_on_gtx_16(recipe(device="cuda", dtype="float16"), unknown)
    assert float16_on_gtx_16(asked, unknown) is None
