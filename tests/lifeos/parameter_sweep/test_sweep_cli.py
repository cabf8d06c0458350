import json

import pytest

from lifeos import engine as real
from lifeos.cli import main
from lifeos.parameter_sweep import engines, local_engine
from tests.lifeos import simulated_release as simulation


@pytest.fixture
def command(inputs, rendering, monkeypatch):
    """The command with the simulation in place of what is heavy."""
    for name in ("inspect", "open_faces"):
        monkeypatch.setattr(real, name, getattr(simulation, name))
    monkeypatch.setattr(local_engine, "LocalEngine", lambda: rendering)
    assert engines.engine_of("local", {}) is rendering

    def run(path, *options):
        places = {"persona": inputs.persona, "history": inputs.history, "artifacts": inputs.artifacts}
        given = [text for name, place in places.items() for text in (f"--{name}", str(place))]
        return main(["parameter-sweep", str(path), *given, *options])

    return run


def test_it_says_what_is_chosen_and_what_to_do_next(command, definition, capsys):
    path = definition(more="[halving]\nblock = 2")
    assert command(path) == 0
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines() if line.startswith(">")] == [">", ">"]
    assert "left after block 1 of 2" in out
    assert "6 cells on prompt set A, 36 images drawn, 0 were there; recorded as row " in out
    assert "next: write steps = 12, strength = 0.8 under [sampler]" in out
    assert command(path, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["schema"], told["made"], told["reused"], told["recorded"]) == ("lifeos.sweep/1", 0, 36, False)
    assert told["page"].endswith("index.html")


def test_ctrl_c_is_one_line_that_says_how_to_go_on(command, definition, rendering, capsys):
    rendering.break_after = 3
    assert command(definition()) == 130
    said = capsys.readouterr().err.strip().splitlines()
    assert said[-1].startswith("lifeos: interrupted; what is drawn stays; next: run the same command again")
    assert sum("interrupted" in line for line in said) == 1


def test_where_all_are_ruled_out_the_status_is_1(command, definition, inputs, capsys):
    assert command(definition("strength = [0.8, 0.9]\nsteps = [12]")) == 0
    for number, image in enumerate(sorted((inputs.artifacts / "samples").rglob("*.png"))):
        (inputs.persona / "dataset" / f"drawn {number}.png").write_bytes(image.read_bytes())
    assert command(definition("strength = [0.8, 0.9]\nsteps = [12]", name="again")) == 1
    assert "every cell with all prompts is ruled out" in capsys.readouterr().out


@pytest.mark.parametrize("options", [["--engine", "slurm"], ["--engine-option", "x"]])
def test_a_wrong_engine_is_refused_before_anything(command, definition, rendering, options, capsys):
    assert command(definition(), *options) == 2
    assert rendering.asked == []
    assert "next:" in capsys.readouterr().err


def test_a_wrong_definition_is_one_line(command, tmp_path, capsys):
    assert command(tmp_path / "gone.toml") == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
