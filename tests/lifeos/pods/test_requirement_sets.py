"""Broken and sound sets over the committed snapshot: the verdict, and a command that passes the same gate."""

import pytest

from evals.verdict import Outcome
from lifeos.pods.snapshot import load_snapshot
from lifeos.pods.spec import list_pods
from tests.lifeos.pods.requirement_sets import SHIPPED
from tests.lifeos.pods.requirement_tables import Judge, all_sets, page_cells, verdict_cells

KNOWN, SHIPPED_SETS, DRAWN = all_sets(load_snapshot()).values()


@pytest.fixture(scope="module")
def judge(tmp_path_factory):
    """Judge lines for a pod without a network; wheels and uv's cache are shared by the module."""
    return Judge(tmp_path_factory.mktemp("sets"))


@pytest.fixture(scope="module")
def page():
    return page_cells()


def assert_the_command_passes(report, judge):
    """The command is one line of explicit pins, and these pins are a file that passes."""
    assert "\n" not in report.fix.command
    assert report.fix.command.startswith("uv pip install --no-deps ")
    assert all(pin.count("==") == 1 for pin in report.fix.command.removeprefix("uv pip install --no-deps ").split())
    again = judge.again(report)
    assert again.verdict.outcome is Outcome.PASSED, again.verdict.reason
    assert again.fix is None


@pytest.mark.parametrize("one", KNOWN, ids=[f"{one.name} on {one.pod}" for one in KNOWN])
def test_a_known_set_gets_its_verdict(one, judge, page):
    report = judge.of(one.lines, one.pod)
    assert report.verdict.outcome.value == one.verdict, report.verdict.reason
    assert {finding.id for finding in report.findings} == set(one.findings)
    assert verdict_cells(one, report) in page
    if one.verdict == "failed":
        assert report.fix is not None
        assert_the_command_passes(report, judge)
    else:
        assert report.fix is None


@pytest.mark.parametrize("one", DRAWN, ids=[one.name for one in DRAWN])
def test_what_is_advised_for_a_drawn_set_passes(one, judge, page):
    report = judge.of(one.lines, one.pod)
    assert (report.fix is None) == (report.verdict.outcome is Outcome.PASSED), (one, report.verdict.reason)
    assert verdict_cells(one, report) in page
    if report.fix is not None:
        assert_the_command_passes(report, judge)


def test_a_verdict_is_stated_for_every_shipped_pod():
    assert set(SHIPPED) == {pod.name for pod in list_pods()}


@pytest.mark.parametrize("one", SHIPPED_SETS, ids=[one.pod for one in SHIPPED_SETS])
def test_the_shipped_set(one, judge, page):
    report = judge.of(one.lines, one.pod)
    assert report.verdict.outcome.value == one.verdict, report.verdict.reason
    assert [finding.id for finding in report.findings] == list(one.findings)
    assert verdict_cells(one, report) in page
    if report.verdict.blocks:
        assert report.fix.changes == (("xformers", "==0.0.35", "left out"),)
        assert_the_command_passes(report, judge)


def test_the_page_shows_these_sets_and_no_others(page):
    assert len(page) == len(KNOWN) + len(SHIPPED_SETS) + len(DRAWN)
