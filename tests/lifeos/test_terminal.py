import io

from evals.verdict import Interval, failed, not_applicable, not_evaluated, passed
from lifeos.gate_report import GateResult
from lifeos.manifest import default_manifest, load_manifest
from lifeos.report.progress_bars import show_progress
from lifeos.report.terminal import figure, show_run
from lifeos.runner import GateRun

RELEASE = {"images": 96, "backend": {"name": "yunet_sface", "licence": "Apache-2.0"}}


def shown(tmp_path, results, verdict, narrowed=(), row="20261123-x", terminal=False):
    stream = io.StringIO()
    stream.isatty = lambda: terminal
    gates = tuple(GateResult(name, severity, each) for name, severity, each in results)
    run = GateRun("release", verdict, row, gates, tuple(narrowed), 0, RELEASE, resumed=False)
    show_run(run, load_manifest(default_manifest()), tmp_path / "history with a space.jsonl", stream)
    return stream.getvalue()


def test_an_approval_names_row_judge_and_licence(tmp_path):
    good = passed("mean likeness", 0.71, Interval(0.69, 0.73, 0.95), 0.52, "calibration:tau")
    text = shown(tmp_path, [("likeness", "hard", good), ("champion", "hard", not_applicable("none"))], "approved")
    assert "APPROVED  1 hard gates passed" in text
    assert "lifeos report 20261123-x" in text
    for part in ("0.71", "0.69 to 0.73", "0.52", "calibration:tau", "20261123-x", "Apache-2.0", "96 images"):
        assert part in text
    assert "\x1b" not in text


def test_a_rejection_says_why(tmp_path):
    results = [
        ("likeness", "hard", failed("below tau", 0.3, None, 0.52, "calibration:tau")),
        ("repro", "hard", not_evaluated("[no] torch")),
        ("ceiling", "soft", failed("too like")),
    ]
    text = shown(tmp_path, results, "rejected")
    assert "REJECTED  failed: likeness; not evaluated: repro" in text
    assert "below tau" in text
    assert "[no] torch" in text
    assert "ceiling (soft)" in text


def test_one_cause_is_said_once(tmp_path):
    results = [(name, "hard", not_evaluated("weights refused")) for name in ("likeness", "face_rate")]
    text = shown(tmp_path, results, "not_evaluated", narrowed=["-k x"], row=None)
    assert text.count("weights refused") == 1
    assert "-k x" in text
    assert "nothing was recorded" in text


def test_gates_that_passed_until_sampling_stopped_share_one_line(tmp_path):
    stopped = "passed so far, but sampling stopped after 8 of 24 prompts"
    results = [(name, "hard", not_evaluated(f"{stopped}: {name} of 32 images")) for name in ("face_rate", "copy_image")]
    text = shown(tmp_path, results, "rejected")
    assert f"not evaluated: face_rate, copy_image: {stopped}\n" in text
    assert "of 32 images" not in text


def test_a_rejection_says_where_to_mend(tmp_path):
    text = shown(tmp_path, [("weights_finite", "hard", failed("a NaN"))], "rejected")
    assert "where to mend: checkpoint: the file is damaged or incomplete" in text
    assert "where to mend" not in shown(tmp_path, [("repro", "hard", failed("differs"))], "rejected")


def test_a_terminal_gets_colours(tmp_path, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    text = shown(tmp_path, [("likeness", "hard", passed("good"))], "approved", terminal=True)
    assert "\x1b[" in text


def test_figures_of_a_bare_verdict():
    assert figure(passed("good")) == ("-", "-", "-", "-")


def test_plain_progress_shows_first_and_last():
    stream = io.StringIO()
    with show_progress(stream) as progress:
        for done in range(1, 101):
            progress("sampling", done, 100)
    assert stream.getvalue().splitlines() == ["sampling images: 1 of 100", "sampling images: 100 of 100"]


def test_news_stand_between_the_lines_of_progress():
    stream, waiting = io.StringIO(), [["[b]one[/b]"], [], ["last"]]
    with show_progress(stream, news=lambda: waiting.pop(0)) as progress:
        progress("training", 1, 2)
        progress("training", 2, 2)
    assert stream.getvalue().splitlines() == ["[b]one[/b]", "training: 1 of 2", "training: 2 of 2", "last"]


def test_news_stand_above_the_bars_as_they_are(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setenv("TERM", "xterm-256color")
    stream, waiting = Terminal(), [["[b]one[/b]"], ["last"]]
    with show_progress(stream, news=lambda: waiting.pop(0)) as progress:
        progress("training", 1, 2)
    assert "[b]one[/b]" in stream.getvalue()
    assert "last" in stream.getvalue()
