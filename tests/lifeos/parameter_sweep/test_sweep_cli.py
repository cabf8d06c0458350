import json
from types import SimpleNamespace

import pytest

from evals.content_hash import hash_file
from lifeos import engine as real
from lifeos.cli import main
from lifeos.parameter_sweep import engines, local_engine, training_study
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


SEARCHED = '[grid]\n{grid}\n[training]\ntrials = 2\nkeep = {keep}\n[training.search.rank]\nlow = 2\nhigh = 4\n'


@pytest.fixture
def searched(tmp_path, monkeypatch):
    """Write a sweep that trains its LoRAs; the search itself is a stand-in that finds two."""
    loras = tuple(simulation.write_lora(tmp_path / f"trial {n}.safetensors", identity=1, seed=n) for n in (1, 2))
    asked = []

    def run(search, inputs, where, **_):
        asked.append((search.trials, where))
        kept = tuple(SimpleNamespace(name=f"trial {number}") for number in (5, 2))[: search.keep]
        return SimpleNamespace(kept=kept, loras=loras[: search.keep], row={"id": "r"}, recorded=True, folder=tmp_path)

    monkeypatch.setattr(training_study, "run_training_search", run)
    monkeypatch.setattr(training_study, "trial_lines", lambda found: [f"{len(found.loras)} trials kept"])

    def write(grid, keep=2):
        path = tmp_path / "trained.toml"
        path.write_text('name = "trained"\n' + SEARCHED.format(grid=grid, keep=keep), encoding="utf-8")
        return path

    return write, loras, asked


def test_the_loras_of_a_search_are_those_of_the_grid(command, searched, inputs, capsys):
    write, loras, asked = searched
    path = write("steps = [6, 12]")
    assert command(path, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert [candidate["lora"] for candidate in told["candidates"]] == [hash_file(file) for file in loras for _ in "12"]
    # Named by their trials: a path of this machine is nothing for a history.
    assert [candidate["name"][:10] for candidate in told["candidates"]] == ["trial 5 at"] * 2 + ["trial 2 at"] * 2
    assert told["training"] == {"row": "r", "recorded": True, "folder": str(inputs.artifacts.parent)}
    assert asked == [(2, path)]
    assert command(path) == 0
    out = capsys.readouterr().out
    assert out.startswith("2 trials kept\n")
    assert f"next: lifeos gate release --persona {inputs.persona} --lora {loras[0]}" in out


@pytest.mark.parametrize(
    ("grid", "keep", "said"),
    [('sampler = ["nothing"]', 2, "grid.sampler"), ("", 1, "two cells or more"), ('lora = ["a"]', 2, "[training]")],
)
def test_a_grid_that_cannot_be_drawn_is_refused_before_anything_is_trained(command, searched, grid, keep, said, capsys):
    write, _, asked = searched
    assert command(write(grid, keep)) == 2
    assert said in capsys.readouterr().err
    assert asked == []
