"""The command line as a user meets it: exit statuses, one line an error, nothing heavy for --help."""

import json
import subprocess
import sys

import pytest

from lifeos import cli
from lifeos.settings import project_root


def lifeos(*arguments):
    done = subprocess.run(
        [sys.executable, "-m", "lifeos", *map(str, arguments)],
        cwd=project_root(), capture_output=True, text=True, check=False, encoding="utf-8",
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_help_names_every_command_and_imports_nothing_heavy():
    code = (
        "import sys; from lifeos.cli import main; status = main(['--help']);"
        "heavy = {'torch', 'numpy', 'pytest', 'onnxruntime', 'cv2', 'scipy', 'pydantic'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project_root(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in ("gate", "retrain-lora", "history", "settings", "test"))


@pytest.mark.parametrize(
    "arguments",
    [
        ["gate"],
        ["gate", "sometime"],
        ["gate", "release", "--bad"],
        ["gate", "release", "extra"],
        ["gate", "release", "--lora", "a", "--images", "b"],
        ["gate", "release", "--lora", "no such file.safetensors"],
        ["nothing"],
        ["history", "show"],
        ["history", "show", "nobody", "--history", "no such file"],
        ["history", "verify", "--history", "no such file"],
        ["retrain-lora", "none.toml", "-o", "x.safetensors"],
        ["retrain-lora", "none.toml", "-o", "x.ckpt"],
        ["retrain-lora", "none.toml"],
    ],
    ids=" ".join,
)
def test_bad_input_is_one_line_and_exit_2(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert len(shown.err.splitlines()) == 1, shown.err
    assert "; next: " in shown.err
    assert cli.main([*arguments, "--json"]) == 2
    shown = capsys.readouterr()
    body = json.loads(shown.out)
    assert list(body) == ["schema", "error"]
    assert body["error"] in shown.err


def test_no_command_shows_the_help(capsys):
    assert cli.main([]) == 0
    assert "Commands" in capsys.readouterr().out


def test_what_follows_the_dashes_goes_to_pytest(monkeypatch, capsys):
    seen = {}

    def run_gate(phase, options, **rest):
        seen.update(phase=phase, **rest)
        raise KeyboardInterrupt

    monkeypatch.setattr("lifeos.runner.run_gate", run_gate)
    assert cli.main(["gate", "cheap", "--json", "--", "-n", "2", "--", "-k", "x"]) == 130
    assert seen["pytest_args"] == ["-n", "2", "--", "-k", "x"]
    assert json.loads(capsys.readouterr().out)["error"] == "interrupted"


def test_an_internal_error_is_status_3(monkeypatch, capsys):
    def run_gate(*_, **__):
        raise ZeroDivisionError("divided")

    monkeypatch.setattr("lifeos.runner.run_gate", run_gate)
    assert cli.main(["gate", "cheap", "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["error"] == "divided"


def test_settings(capsys):
    assert cli.main(["settings", "--json"]) == 0
    names = [row["name"] for row in json.loads(capsys.readouterr().out)["settings"]]
    assert "persona" in names
    assert cli.main(["settings"]) == 0
    assert "lifeos.toml" in capsys.readouterr().out


def test_history_from_list_to_merge(tmp_path, capsys):
    from evals.history import append

    ours, theirs = tmp_path / "ours.jsonl", tmp_path / "theirs.jsonl"
    row = {"schema": "lifeos.scorecard/1", "phase": "release", "verdict": "approved", "reused": False, "gates": []}
    append(ours, {"id": "first", **row})
    theirs.write_bytes(ours.read_bytes())
    append(ours, {"id": "second", **row})
    append(theirs, {"id": "third", **row})

    assert cli.main(["history", "--history", str(ours)]) == 0
    assert "second" in capsys.readouterr().out
    assert cli.main(["history", "show", "sec", "--history", str(ours)]) == 0
    assert '"verdict": "approved"' in capsys.readouterr().out
    assert cli.main(["history", "merge", str(theirs), "--history", str(ours)]) == 0
    capsys.readouterr()
    assert cli.main(["history", "verify", "--json", "--history", str(ours)]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 4

    ours.write_bytes(ours.read_bytes().replace(b"second", b"sec0nd"))
    assert cli.main(["history", "verify", "--history", str(ours)]) == 1
    assert "BROKEN" in capsys.readouterr().out


def test_the_module_runs():
    code, out, _ = lifeos("settings", "--json")
    assert code == 0
    assert json.loads(out)["schema"] == "lifeos.settings/1"
