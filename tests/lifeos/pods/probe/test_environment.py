"""Installed distributions against the lock, and modules that two of them bring."""

import pytest

from evals.verdict import Outcome
from lifeos.pods.probe.environment import environment_verdict, installed_versions, lock_file

INSTALLED = {"torch": "2.10.0+cu128", "onnxruntime-gpu": "1.26.0", "huggingface-hub": "2.4.0", "jupyter": "1"}
ONE = {"onnxruntime": ["onnxruntime-gpu"], "cv2": ["opencv-python", "opencv-python"]}


def judged(tmp_path, text, installed=None, providers=None):
    lock = tmp_path / "requirements-pod.txt"
    lock.write_text(text, encoding="utf-8")
    verdict = environment_verdict(lock, installed or INSTALLED, providers or ONE)
    return verdict.outcome, verdict.reason


@pytest.mark.parametrize(
    ("text", "outcome", "said"),
    [
        ("torch==2.10.0\nonnxruntime-gpu[cuda,cudnn]==1.26.0\nHuggingFace_Hub==2.4.0\n", Outcome.PASSED, "all 3"),
        ("torch==2.10.0+cu128\n", Outcome.PASSED, "all 1"),
        ("torch==2.10.0+cu130\n", Outcome.FAILED, "torch: accepted ==2.10.0+cu130, got 2.10.0+cu128"),
        ("torch==2.13.0\n", Outcome.FAILED, "next: uv pip install --no-deps -r requirements-pod.txt"),
        ("torch==2.13.0\nxformers==0.0.35\n", Outcome.FAILED, "1 more"),
        ("xformers==0.0.35\n", Outcome.FAILED, "xformers==0.0.35 is not installed"),
        ('torch==2.10.0\ncolorama==0.4.6 ; sys_platform == "nowhere"\n', Outcome.PASSED, "all 1"),
        ("torch>=2\n", Outcome.NOT_EVALUATED, "does not pin torch"),
        ("torch==2.*\nonnxruntime-gpu\n", Outcome.NOT_EVALUATED, "and 1 more"),
        ("torch>=2.13\n", Outcome.FAILED, "accepted >=2.13"),
        ("torch>=2.13\n", Outcome.FAILED, "next: `lifeos validate-pod-deps --fix`"),
        ("-e .\n", Outcome.NOT_EVALUATED, "line 1"),
        ("# nothing\n", Outcome.NOT_EVALUATED, "no requirement"),
    ],
)
def test_the_lock(tmp_path, text, outcome, said):
    found, reason = judged(tmp_path, text)
    assert found is outcome, reason
    assert said in reason


def test_a_version_that_is_none(tmp_path):
    assert judged(tmp_path, "torch==2.10.0\n", {"torch": "weird"})[0] is Outcome.FAILED


def test_two_that_bring_one_module(tmp_path):
    twice = {"onnxruntime": ["onnxruntime-gpu", "onnxruntime"]}
    outcome, reason = judged(tmp_path, "torch==2.10.0\n", providers=twice)
    assert outcome is Outcome.FAILED
    assert "onnxruntime and onnxruntime-gpu both bring" in reason
    assert "pip uninstall -y onnxruntime onnxruntime-gpu" in reason


def test_a_lock_that_is_not_there(tmp_path):
    assert environment_verdict(tmp_path / "none", INSTALLED, ONE).outcome is Outcome.NOT_EVALUATED


def test_the_pods_own_lock_comes_first(tmp_path):
    requirements, lock = tmp_path / "requirements-pod.txt", tmp_path / "requirements-pod.a40.lock"
    assert lock_file(requirements, "a40") == requirements
    lock.write_text("", encoding="utf-8")
    assert lock_file(requirements, "a40") == lock
    assert lock_file(requirements, "elsewhere/a40.toml") == lock
    assert lock_file(requirements, "") == requirements


def test_what_is_installed_here():
    assert installed_versions()["pytest"] == pytest.__version__
