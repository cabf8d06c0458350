"""A probe's child: what comes back, how it may end, that nothing outlives it, and how an answer is judged."""

import os
import time

import psutil
import pytest

from evals.verdict import Outcome, passed
from lifeos.pods.probe.ask import Answer, ask, judge

CHILD = "tests.lifeos.pods.probe.probing_child"


def asked(seconds=60.0, **request):
    return ask("subject", request, seconds, module=CHILD)


def test_findings_warnings_and_output_come_back():
    answer = asked(say=[1, "ü"])
    assert answer.body == {"told": [1, "ü"]}
    assert answer.ending is None
    assert answer.notices == ("UserWarning: beware", "a line on stdout", "a line on stderr")


@pytest.mark.skipif(os.name != "posix", reason="signals are told apart on POSIX only")
@pytest.mark.parametrize(
    ("request_", "ending", "crashed"),
    [
        ({"signal": "SIGSEGV"}, "was ended by SIGSEGV at the third step", True),
        ({"signal": "SIGABRT"}, "was ended by SIGABRT at the third step", True),
        ({"signal": "SIGKILL"}, "was ended by SIGKILL at the third step", False),
        ({"exit": 7}, "ended with status 7 and no answer at the third step", False),
        ({"garbage": True}, "ended with status 0 and no answer at the third step", False),
    ],
)
def test_how_it_may_end_without_findings(request_, ending, crashed):
    answer = asked(**request_)
    assert answer.body is None
    assert (answer.ending, answer.crashed) == (ending, crashed)
    assert "a line on stderr" in answer.notices


@pytest.mark.parametrize("behaviour", [{"sleep": 300}, {"exit": 1}, {"say": 1}], ids=["late", "failed", "answered"])
def test_what_it_started_ends_with_it(tmp_path, behaviour):
    pid_file = tmp_path / "pid"
    answer = asked(seconds=5.0 if "sleep" in behaviour else 60.0, grandchild=str(pid_file), **behaviour)
    if "sleep" in behaviour:
        assert answer.ending == "gave no answer within 5 s and was ended at the third step"
        assert not answer.crashed
    pid = int(pid_file.read_text(encoding="ascii"))
    end = time.monotonic() + 30
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < end, "the grandchild lives on"
        time.sleep(0.05)


def judged(answer, check=lambda body: passed("sound", value=1.0, threshold=0.0)):
    verdict = judge(answer, check)
    return verdict.outcome, verdict.reason


def test_a_crash_fails_and_an_ending_from_outside_is_not_evaluated():
    crash = Answer("xformers", None, "was ended by SIGSEGV at attention", True, ("last words",))
    assert judged(crash) == (Outcome.FAILED, "the probe xformers was ended by SIGSEGV at attention: last words")
    killed = Answer("xformers", None, "gave no answer within 5 s and was ended", False)
    assert judged(killed)[0] is Outcome.NOT_EVALUATED


def test_a_line_that_matters_blocks_whatever_else_was_found():
    line = "xFormers can't load C++/CUDA extensions. xFormers was built for:"
    for body in ({"x": 1}, None):
        outcome, said = judged(Answer("xformers", body, None if body else "was ended", False, ("hm", line)))
        assert outcome is Outcome.FAILED
        assert "[xformers-torch-abi-mismatch]" in said


def test_an_error_is_the_finding_and_a_line_explains_it():
    outcome, said = judged(Answer("onnxruntime", {"error": "Fail: no provider"}))
    assert (outcome, said) == (Outcome.FAILED, "Fail: no provider")
    line = "Failed to create CUDAExecutionProvider. Require cuDNN 9.* and CUDA 12.*"
    assert "runs on the CPU [ort-cuda" in judged(Answer("onnxruntime", {"error": "Fail"}, notices=(line,)))[1]


def test_a_pass_tells_its_warnings_and_keeps_its_figures():
    verdict = judge(
        Answer("x", {}, notices=("UserWarning: y",)), lambda body: passed("sound", value=1.0, threshold=0.5)
    )
    assert verdict.reason == "sound; 1 unlisted warning, first: UserWarning: y"
    assert (verdict.value, verdict.threshold) == (1.0, 0.5)


@pytest.mark.parametrize("error", [KeyError("x"), TypeError("x"), ValueError("x")])
def test_findings_that_cannot_be_read_are_not_evaluated(error):
    def check(body):
        raise error

    assert judged(Answer("x", {}), check)[0] is Outcome.NOT_EVALUATED
