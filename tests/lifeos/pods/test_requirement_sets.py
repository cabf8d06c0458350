"""Broken and sound sets over the committed snapshot: the verdict, and a command that passes the same gate."""

import functools

import pytest

from evals.verdict import Outcome
from lifeos.pods import metadata_origins
from lifeos.pods.dependencies import judge_dependencies
from lifeos.pods.snapshot import load_snapshot
from lifeos.pods.spec import list_pods, load_pod
from lifeos.settings import project_root
from tests.lifeos.pods.requirement_sets import drawn_sets, known_sets

KNOWN = known_sets()
DRAWN = drawn_sets(load_snapshot(), [pod.name for pod in list_pods()], 30)
SHIPPED = {
    "a40": Outcome.PASSED,
    "a100-80": Outcome.PASSED,
    "h100": Outcome.PASSED,
    "h200": Outcome.PASSED,
    "l40s": Outcome.PASSED,
    "rtx4090": Outcome.PASSED,
    "t4": Outcome.PASSED,
    "b200": Outcome.FAILED,
    "rtx5090": Outcome.FAILED,
}


@pytest.fixture(scope="module")
def judge(tmp_path_factory):
    """Judge lines for a pod without a network; wheels and uv's cache are shared by the module."""
    cache, folder = tmp_path_factory.mktemp("cache"), tmp_path_factory.mktemp("sets")

    @functools.cache
    def run(lines, pod):
        path = folder / "requirements.txt"
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return judge_dependencies(path, load_pod(pod), cache=cache, offline=True)

    return run


@pytest.fixture(autouse=True)
def no_index(monkeypatch, tmp_path):
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setattr(metadata_origins, "pip_settings", dict)


def assert_the_command_passes(report, judge):
    """The command is one line of explicit pins, and these pins are a file that passes."""
    assert "\n" not in report.fix.command
    assert report.fix.command.startswith("uv pip install --no-deps ")
    pins = tuple(report.fix.command.removeprefix("uv pip install --no-deps ").split())
    assert all(pin.count("==") == 1 for pin in pins)
    again = judge(pins, report.pod)
    assert again.verdict.outcome is Outcome.PASSED, again.verdict.reason
    assert again.fix is None


@pytest.mark.parametrize("one", KNOWN, ids=[f"{one.name} on {one.pod}" for one in KNOWN])
def test_a_known_set_gets_its_verdict(one, judge):
    report = judge(one.lines, one.pod)
    assert report.verdict.outcome.value == one.verdict, report.verdict.reason
    assert {finding.id for finding in report.findings} == set(one.findings)
    if one.verdict == "failed":
        assert report.fix is not None
        assert_the_command_passes(report, judge)
    else:
        assert report.fix is None


@pytest.mark.parametrize("one", DRAWN, ids=[one.name for one in DRAWN])
def test_what_is_advised_for_a_drawn_set_passes(one, judge):
    report = judge(one.lines, one.pod)
    assert (report.fix is None) == (report.verdict.outcome is Outcome.PASSED), (one, report.verdict.reason)
    if report.fix is not None:
        assert_the_command_passes(report, judge)


def test_a_verdict_is_stated_for_every_shipped_pod():
    assert set(SHIPPED) == {pod.name for pod in list_pods()}


@pytest.mark.parametrize("pod", sorted(SHIPPED))
def test_the_shipped_set(pod, judge):
    lines = tuple((project_root() / "requirements-pod.txt").read_text(encoding="utf-8").splitlines())
    report = judge(lines, pod)
    assert report.verdict.outcome is SHIPPED[pod], report.verdict.reason
    if report.verdict.blocks:
        assert [finding.id for finding in report.findings] == ["xformers-blackwell-too-new"]
        assert report.fix.changes == (("xformers", "==0.0.35", "left out"),)
        assert_the_command_passes(report, judge)
