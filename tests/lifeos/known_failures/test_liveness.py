"""Live is what two runs say: found in the broken artefact, not in the healthy one, and both looked at."""

import pytest

from evals.known_failures import read_entries
from lifeos.errors import InputError
from lifeos.known_failures import liveness as module
from lifeos.known_failures.detection import Looked
from lifeos.known_failures.liveness import Liveness, all_liveness, available, compare, liveness
from tests.evals.known_failures.test_entry import DEAD

LOG = """symptom = "it breaks"
signatures = ["a message that is written"]
cause = "because"
affected = "every version"
phase = "predeploy"
severity = "hard"
looks_at = "training_log"
gate = "training_log"
rule = "message"
fix = "mend it"
source = "somewhere"
[twin]
field = "line"
broken = "a message that is written"
healthy = "nothing"
[inputs]
training-log = "run.log"
[files]
"run.log" = "$line\\n"
"""


def entry(folder, text=LOG):
    (folder / "pod").mkdir(exist_ok=True)
    (folder / "pod" / "it-breaks.toml").write_text(text, encoding="utf-8")
    return read_entries(folder)[0]


@pytest.mark.parametrize(
    ("broken", "healthy", "live", "told"),
    [
        (Looked("seen"), Looked(None), True, "seen"),
        (Looked(None), Looked(None), False, "does not see"),
        (Looked(None, "too dark"), Looked(None), False, "too dark"),
        (Looked("seen"), Looked("seen too"), False, "in the healthy twin too: seen too"),
        (Looked("seen"), Looked(None, "too dark"), False, "could not be looked at: too dark"),
    ],
)
def test_both_artefacts_decide(broken, healthy, live, told):
    found = compare(broken, healthy)
    assert found.live is live
    assert told in found.why


def test_a_detector_that_finds_its_failure_alone_is_live(tmp_path):
    found = liveness(entry(tmp_path), tmp_path)
    assert found == Liveness(True, "run.log: line 1: a message that is written")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('healthy = "nothing"', 'healthy = "a message that is written twice"', "healthy twin too"),
        ('broken = "a message that is written"', 'broken = "another"', "does not see"),
        ('rule = "message"', "", "a function marked detects"),
        ('rule = "message"', 'rule = "other"', "accepted 'message'"),
        ('training-log = "run.log"', 'colour = "run.log"', "options of lifeos gate"),
        ('"$line\\n"', '"$other"', "accepted $line"),
        ('"$line\\n"', '"costs 5$"', "dollar"),
    ],
)
def test_what_keeps_an_entry_from_being_live_is_said(tmp_path, old, new, told):
    assert old in LOG
    found = liveness(entry(tmp_path, LOG.replace(old, new)), tmp_path)
    assert not found.live
    assert told in found.why


def test_an_entry_without_an_artefact_says_which_function_is_missing(tmp_path):
    text = LOG[: LOG.index("[inputs]")]
    assert "a function it_breaks in tests/known_failures/pod" in liveness(entry(tmp_path, text), tmp_path).why


def test_an_entry_that_cannot_be_live_says_why(tmp_path):
    assert liveness(entry(tmp_path, DEAD), tmp_path) == Liveness(False, "nobody has such a machine")


def test_a_recording_is_named_as_one(tmp_path):
    text = LOG.replace('fix = "mend it"', 'fix = "mend it"\nneeds = "gpu"\nrecorded = "from elsewhere"')
    assert liveness(entry(tmp_path, text), tmp_path, lambda need: False).recorded
    assert liveness(entry(tmp_path, text), tmp_path, lambda need: True).recorded
    assert not liveness(entry(tmp_path), tmp_path, lambda need: False).recorded
    assert not available("other_host")
    assert available("linux") != available("windows")


def test_what_was_run_is_not_run_again_until_something_changes(tmp_path, monkeypatch):
    calls, one = [], entry(tmp_path)
    monkeypatch.setattr(module, "liveness", lambda each, artifacts: calls.append(each.id) or Liveness(True, "seen"))
    state = ["a"]
    monkeypatch.setattr(module, "_everything_read", lambda: state[0])
    assert list(all_liveness([one], tmp_path)) == list(all_liveness([one], tmp_path))
    assert len(calls) == 1
    state[0] = "b"
    list(all_liveness([one], tmp_path))
    assert len(calls) == 2


def test_everything_read_is_in_the_name(tmp_path, monkeypatch):
    before = module._everything_read()
    assert module._everything_read() == before
    monkeypatch.setattr(module, "installed_versions", lambda: {"torch": "0.1"})
    assert module._everything_read() != before


def test_a_reproducer_that_breaks_is_told_and_ends_nothing(tmp_path, monkeypatch):
    def broken(*arguments, **more):
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr(module, "reproduced", broken)
    assert "ZeroDivisionError: by nothing" in liveness(entry(tmp_path), tmp_path).why
    monkeypatch.setattr(module, "reproduced", lambda *a, **m: (_ for _ in ()).throw(InputError("x: one line")))
    assert liveness(entry(tmp_path), tmp_path).why == "x: one line"
