import json

import pytest

from lifeos.errors import InputError
from lifeos.parameter_sweep.definition import load_sweep
from lifeos.parameter_sweep.grid import DIMENSIONS, cells_of, varied
from lifeos.persona import load_persona
from tests.lifeos import simulated_release as simulation


@pytest.fixture
def cells(inputs):
    def read(path, engine=simulation):
        return cells_of(load_sweep(path), path, inputs, load_persona(inputs.persona), engine)

    return read


def test_every_combination_is_a_cell_and_the_persona_fills_in(cells, definition):
    found = cells(definition('strength = [0.8, 1.0]\nsampler = ["ddim", "euler"]'))
    assert [(cell.strength, cell.sampler) for cell in found] == [
        (0.8, "ddim"), (0.8, "euler"), (1.0, "ddim"), (1.0, "euler"),
    ]  # fmt: skip
    assert {(cell.steps, cell.guidance, cell.lora.written) for cell in found} == {(2, 1.0, "one.safetensors")}
    assert varied(found) == ["strength", "sampler"]
    assert found[0].name == "one.safetensors at 0.8, guidance 1, 2 steps, ddim"
    assert set(found[0].settings()) == set(DIMENSIONS)


def test_a_grid_too_large_is_refused_before_a_file_is_opened(cells, definition, inputs):
    steps = f"steps = {list(range(1, 102))}"
    wide = f"{steps}\nguidance = {[n / 2 for n in range(10)]}"
    with pytest.raises(InputError, match=r"at most 1,000 cells and 100,000 images, got 1,010 cells"):
        cells(definition(wide), engine=None)
    path = inputs.persona / "persona.toml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("a = [8, 9]", f"a = {list(range(10, 410))}"), encoding="utf-8")
    with pytest.raises(InputError, match=r"got 101 cells of 1,600 images \(161,600\)"):
        cells(definition(steps), engine=None)


@pytest.mark.parametrize(
    ("grid", "why"),
    [("steps = [4]", "two cells or more"), ('sampler = ["ddim", "magic"]', "grid.sampler: accepted .*ddim.*magic")],
)
def test_what_cannot_be_swept_is_refused(cells, definition, grid, why):
    with pytest.raises(InputError, match=why):
        cells(definition(grid))


def test_loras_must_be_there_differ_and_fit(cells, definition, lora, tmp_path):
    def files(*names):
        path = definition("steps = [2, 4]")
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace('["one.safetensors"]', json.dumps(list(names))), encoding="utf-8")
        return path

    (tmp_path / "copy.safetensors").write_bytes(lora.read_bytes())
    with pytest.raises(InputError, match="of the same bytes"):
        cells(files("one.safetensors", "copy.safetensors"))
    with pytest.raises(InputError, match="got none at"):
        cells(files("gone.safetensors"))
    simulation.write_lora(tmp_path / "broken.safetensors", weights=["weights_finite"])
    with pytest.raises(InputError, match=r"broken\.safetensors: weights_finite"):
        cells(files("one.safetensors", "broken.safetensors"))


def test_without_a_lora_the_champion_stands_and_without_one_it_is_said(cells, definition):
    path = definition()
    path.write_text('name = "x"\n[grid]\nsteps = [2, 4]\n', encoding="utf-8")
    with pytest.raises(InputError, match=r"no champion to stand for them; next: add lora"):
        cells(path)
