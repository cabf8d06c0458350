import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lifeos.errors import InputError
from lifeos.parameter_sweep.definition import Grid, load_sweep

WHOLE = 'name = "x"\n[grid]\nsteps = [8, 16]\n[halving]\nblock = 2\n'


def load(tmp_path, text):
    path = tmp_path / "s.toml"
    path.write_text(text, encoding="utf-8")
    return load_sweep(path)


def test_what_is_not_named_has_its_default(tmp_path):
    sweep = load(tmp_path, WHOLE)
    assert (sweep.grid.steps, sweep.grid.lora, sweep.grid.strength) == ([8, 16], None, None)
    assert (sweep.halving.block, sweep.halving.keep, sweep.halving.fewest) == (2, 0.5, 2)
    assert load(tmp_path, WHOLE.partition("[halving]")[0]).halving is None


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("steps", "stepps", "grid.stepps"),
        ("[8, 16]", "[]", "grid.steps"),
        ("[8, 16]", "[8, 8]", "'?8'? is repeated|8 is repeated"),
        ("[8, 16]", "[8, 0]", "grid.steps.1"),
        ("[8, 16]", "[8, 1.5]", "grid.steps.1"),
        ("[8, 16]", "[true]", "grid.steps.0"),
        ("steps = [8, 16]", "strength = [0.0]", "grid.strength.0"),
        ("steps = [8, 16]", "strength = [nan]", "grid.strength.0"),
        ("steps = [8, 16]", "guidance = [-1.0]", "grid.guidance.0"),
        ("steps = [8, 16]", 'sampler = "ddim"', "grid.sampler"),
        ("block = 2", "block = 0", "halving.block"),
        ("block = 2", "block = 2\nkeep = 1.0", "halving.keep"),
        ("block = 2", "block = 2\nfewest = 1", "halving.fewest"),
        ('name = "x"', "", "name"),
        ('name = "x"', 'name = "a\\nb"', "name"),
        ("[grid]", "[grid", "TOML"),
    ],
)
def test_a_mistake_is_one_line_that_says_where(tmp_path, old, new, where):
    with pytest.raises(InputError) as refused:
        load(tmp_path, WHOLE.replace(old, new, 1))
    assert re.search(where, str(refused.value))
    assert "\n" not in str(refused.value)
    assert "; next: " in str(refused.value)


NAMES = st.sampled_from(["lora", "strength", "guidance", "steps", "sampler", "size"])
VALUES = st.lists(st.one_of(st.integers(-5, 2000), st.floats(), st.text(max_size=3)), max_size=4)


@given(st.dictionaries(NAMES, VALUES))
def test_any_grid_is_read_or_refused_and_what_is_read_can_be_drawn(values):
    try:
        grid = Grid.model_validate(values)
    except ValidationError:
        return
    assert "size" not in values
    for found in filter(None, (grid.strength, grid.guidance, grid.steps)):
        assert all(0 <= value <= 1000 for value in found)
        assert len(set(found)) == len(found)
