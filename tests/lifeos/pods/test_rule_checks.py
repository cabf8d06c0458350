import pytest
from packaging.version import Version

from lifeos.pods.rule_checks import AddExtras, LeaveOut, Limit, Machine, broken_rules, serves
from lifeos.pods.rule_tables import load_rules
from lifeos.pods.uv_resolver import Pinned

H100 = Machine("h100", "H100", (9, 0), "570.172.08")
RTX5090 = Machine("rtx5090", "RTX 5090", (12, 0), "580.95.05")
T4 = Machine("t4", "T4", (7, 5), "570.172.08")
RULES = load_rules()


def packages(*lines):
    found = {}
    for line in lines:
        name, version = line.split("==")
        found[name] = Pinned(name, Version(version), f"{name}-{version}-py3-none-any.whl", 1)
    return found


def broken(machine, *lines):
    return {found.finding.id: found for found in broken_rules(packages(*lines), machine, RULES)}


@pytest.mark.parametrize(
    ("archs", "capability", "runs"),
    [
        (["8.0"], (8, 0), True),
        (["8.0"], (8, 6), True),
        (["8.6"], (8, 0), False),
        (["8.0", "9.0"], (10, 0), False),
        (["9.0a"], (9, 0), True),
        (["10.0a"], (10, 3), False),
        (["10.0f"], (10, 3), True),
        (["8.0+PTX"], (12, 0), True),
        (["9.0+PTX"], (8, 9), False),
        ([], (8, 0), False),
    ],
)
def test_machine_code_runs_where_nvidia_says(archs, capability, runs):
    assert serves(archs, capability) is runs


@pytest.mark.parametrize(
    ("machine", "lines", "ids"),
    [
        (H100, ["onnxruntime==1.32.0", "onnxruntime-gpu==1.20.2"], {"ort-cpu-gpu-clobber"}),
        (H100, ["opencv-python==5.0.0.93", "opencv-python-headless==5.0.0.93"], {"opencv-both-builds"}),
        (H100, ["torch==2.11.0"], {"driver-too-old-for-wheel"}),
        (RTX5090, ["torch==2.11.0"], set()),
        (RTX5090, ["torch==2.7.1"], {"torch-no-sm120-kernel"}),
        (T4, ["torch==2.10.0", "xformers==0.0.35"], set()),
        (RTX5090, ["torch==2.10.0", "xformers==0.0.35"], {"xformers-blackwell-too-new"}),
        (H100, ["torch==2.9.0", "xformers==0.0.35"], {"xformers-torch-abi-mismatch"}),
        (RTX5090, ["torch==2.13.0", "bitsandbytes==0.47.0"], {"bnb-no-binary-for-cuda"}),
        (H100, ["torch==2.10.0", "bitsandbytes==0.50.2"], set()),
        (H100, ["torch==2.10.0+cpu"], {"cpu-build-on-gpu-pod"}),
        (H100, ["torch==2.7.1+cu128"], {"wheel-not-in-tables"}),
        (H100, ["torch==99.0"], {"wheel-not-in-tables"}),
        (H100, ["diffusers==0.25.0", "huggingface-hub==2.4.0"], {"hf-hub-cached-download"}),
        (H100, ["diffusers==0.33.1", "transformers==5.23.0"], {"diffusers-flax-names-transformers5"}),
        (H100, ["peft==0.17.1", "transformers==5.23.0"], {"peft-hybridcache-transformers5"}),
        (H100, ["numpy==2.4.6", "pillow==13.0.0"], set()),
    ],
)
def test_each_rule_sees_its_fault_and_no_other(machine, lines, ids):
    assert set(broken(machine, *lines)) == ids


def test_onnxruntime_needs_the_libraries_of_its_own_cuda():
    found = broken(RTX5090, "torch==2.10.0", "onnxruntime-gpu==1.31.1")
    assert set(found) == {"ort-cuda-major-mismatch-silent-cpu", "ort-cuda-libraries-missing"}
    mismatch = found["ort-cuda-major-mismatch-silent-cpu"]
    assert Limit("onnxruntime-gpu", ">=1.19,<1.27") in mismatch.repairs
    assert Limit("torch", ">=2.11,<2.16") in mismatch.repairs
    assert found["ort-cuda-libraries-missing"].repairs == (AddExtras("onnxruntime-gpu", ("cuda", "cudnn")),)


def test_repairs_are_what_keeps_the_rule():
    clobber = broken(H100, "onnxruntime==1.32.0", "onnxruntime-gpu==1.20.2")["ort-cpu-gpu-clobber"]
    assert clobber.repairs == (LeaveOut("onnxruntime"),)
    assert clobber.by_itself
    assert clobber.finding.packages == ("onnxruntime==1.32.0", "onnxruntime-gpu==1.20.2")
    too_new = broken(RTX5090, "torch==2.10.0", "xformers==0.0.35")["xformers-blackwell-too-new"]
    assert too_new.repairs == (LeaveOut("xformers"),)
    skew = broken(H100, "diffusers==0.25.0", "huggingface-hub==2.4.0")["hf-hub-cached-download"]
    assert set(skew.repairs) == {Limit("diffusers", ">=0.29"), Limit("huggingface-hub", "<0.26")}


def test_a_wheel_that_no_row_speaks_of_is_unknown_not_broken():
    assert not broken(H100, "torch==99.0")["wheel-not-in-tables"].certain
    assert broken(H100, "torch==2.11.0")["driver-too-old-for-wheel"].certain


def test_every_finding_says_why_and_where_that_was_read():
    for found in broken(RTX5090, "torch==2.7.1", "xformers==0.0.35", "onnxruntime-gpu==1.31.1").values():
        assert found.finding.reason
        assert found.finding.source
        assert set(found.finding.to_json()) == {"id", "packages", "reason", "source"}
