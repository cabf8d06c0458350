import sys

import pytest

from lifeos.errors import InputError
from lifeos.pods.stop import ATTEMPTS, fill_variables, say, stop_pod


def test_variables_are_filled_and_nothing_else_is():
    command = ["stop", "${POD_ID}", "--key=${KEY}-x", "$HOME", "$(id)", "~", "*"]
    filled = fill_variables(command, {"POD_ID": "p 1", "KEY": "${POD_ID}"})
    assert filled == ["stop", "p 1", "--key=${POD_ID}-x", "$HOME", "$(id)", "~", "*"]


@pytest.mark.parametrize("environment", [{}, {"POD_ID": ""}])
def test_a_variable_without_a_value_is_refused_before_anything_runs(environment):
    with pytest.raises(InputError, match=r"\$\{POD_ID\} without a value; next: "):
        fill_variables(["stop", "${POD_ID}"], environment)


def test_it_is_tried_again_and_shows_no_argument(capsys):
    codes, pauses = [1, 1, 0], []
    assert stop_pod(["/usr/bin/stopper", "secret"], run=lambda _: codes.pop(0), pause=pauses.append)
    assert pauses == [5.0, 5.0]
    shown = capsys.readouterr().err
    assert "stopper exited with 1" in shown
    assert "secret" not in shown


def test_a_stop_that_never_works_says_so():
    calls = []
    assert not stop_pod(["no such command at all"], pause=calls.append)
    assert len(calls) == ATTEMPTS - 1


def test_the_real_call_uses_no_shell(tmp_path):
    script = "import sys, pathlib; pathlib.Path(sys.argv[1]).write_text(sys.argv[2])"
    assert stop_pod([sys.executable, "-c", script, str(tmp_path / "out"), "a; b && $HOME"])
    assert (tmp_path / "out").read_text() == "a; b && $HOME"


def test_a_terminal_that_has_gone_breaks_nothing(monkeypatch):
    class Gone:
        def write(self, _):
            raise BrokenPipeError

        def flush(self):
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Gone())
    say("anything")
