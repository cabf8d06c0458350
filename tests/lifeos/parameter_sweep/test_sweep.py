from dataclasses import replace

import pytest

from evals import history
from evals.content_hash import hash_file
from lifeos.errors import InputError
from lifeos.parameter_sweep.sweep import prepare_sweep
from lifeos.selection import selection_of
from tests.lifeos import simulated_release as simulation

HALVING = "[halving]\nblock = 1\nkeep = 0.5\nfewest = 2"


def test_the_likest_cell_is_chosen_on_common_noise_and_recorded(sweep, definition, rendering, inputs):
    outcome = sweep(definition())
    assert [(c.cell.strength, c.cell.steps) for c in outcome.cells][outcome.chosen] == (0.8, 12)
    assert all(len(cell.images) == 8 and cell.left is None for cell in outcome.cells)
    noises = {tuple((image.prompt, image.seed) for image in cell.images) for cell in outcome.cells}
    assert noises == {tuple((f"A{prompt:02}", seed) for prompt in range(4) for seed in (8, 9))}
    assert len(rendering.drawn) == 6 * 8
    assert outcome.chosen in outcome.front.places
    assert history.read(inputs.history) == [outcome.row]
    assert history.verify(inputs.history).problems == ()
    row = outcome.row
    assert (row["schema"], row["of"], row["set"], row["chosen"]) == ("lifeos.sweep/1", 6, "A", outcome.chosen)
    assert [candidate["steps"] for candidate in row["candidates"]] == [3, 6, 12, 3, 6, 12]
    # The prompts name a pose, which is read; cells are compared in it too.
    assert outcome.front.compared == ("likeness", "skin_deviation", "copying", "adherence")


def test_a_scorecard_says_among_how_many_cells(sweep, definition, inputs, lora):
    outcome = sweep(definition())
    told = selection_of(inputs.history, hash_file(lora), "one")
    assert (told["of"], told["row"], told["chosen"], told["strength"]) == (6, outcome.row["id"], True, 0.8)
    assert told["kind"] == "parameter sweep"


def test_the_worst_leave_after_each_block_and_keep_what_they_had(sweep, definition, rendering):
    outcome = sweep(definition(more=HALVING))
    # Noise and spread are equal at equal steps: at .8 and 1.0 the same pictures, of which the first stays.
    assert [cell.left and cell.left.block for cell in outcome.cells] == [1, 2, None, 1, 1, None]
    gone = outcome.cells[0]
    assert "less alike than the last that stayed" in gone.left.reason
    assert [image.prompt for image in gone.images] == ["A00", "A00"]
    assert outcome.row["candidates"][0]["prompts"] == 1
    assert outcome.row["candidates"][0]["left"] == {"block": 1, "reason": gone.left.reason}
    # 6, 3, 2 and 2 cells draw two images each; nobody draws a block of prompts that it does not stand in.
    assert len(rendering.drawn) == 2 * (6 + 3 + 2 + 2)
    assert set(outcome.front.places) <= {place for place, cell in enumerate(outcome.cells) if cell.left is None}
    whole = sweep(definition(more=HALVING.replace("fewest = 2", "fewest = 6")))
    assert all(cell.left is None for cell in whole.cells)


def test_optimism_counts_the_cells_that_left(sweep, definition):
    halved = sweep(definition(more=HALVING))
    errors = [halved.cells[place].candidate.standard_error for place in (2, 5)]
    assert halved.optimism == pytest.approx(1.26721 * sum(errors) / 2, rel=1e-4)  # expected largest of 6


def test_a_ruined_strength_is_less_alike_and_where_all_copy_nothing_is_chosen(sweep, definition, inputs):
    outcome = sweep(definition("strength = [0.8, 1.8]\nsteps = [12]"))
    assert outcome.cells[1].candidate.likeness < 0.5 < outcome.cells[0].candidate.likeness
    assert outcome.chosen == 0
    # What was drawn becomes what was trained on: every cell copies it.
    for number, image in enumerate(outcome.cells[0].images):
        (inputs.persona / "dataset" / f"drawn {number}.png").write_bytes(image.path.read_bytes())
    copied = sweep(definition("strength = [0.8, 0.9]\nsteps = [12]"))
    assert (copied.chosen, copied.row["chosen"], copied.front.places) == (None, None, ())
    assert all("copy_image" in cell.candidate.ruled_out for cell in copied.cells)


def test_a_killed_sweep_goes_on_and_draws_nothing_twice(sweep, definition, rendering, inputs):
    path = definition(more=HALVING)
    rendering.break_after = 15
    with pytest.raises(KeyboardInterrupt):
        sweep(path)
    assert history.read(inputs.history) == []
    rendering.break_after = None
    resumed = sweep(path)
    assert len(rendering.drawn) == len(set(rendering.drawn)) == 26
    again = sweep(path)
    assert (len(rendering.drawn), again.recorded, resumed.recorded) == (26, False, True)
    assert history.read(inputs.history) == [resumed.row] == [again.row]
    assert again.rendering.made == 0


def test_the_identity_is_of_everything_the_result_depends_on(definition, inputs, tmp_path):
    def identity(path=None, given=inputs):
        return prepare_sweep(path or definition(), given, simulation, lambda *_: None).identity

    policy = tmp_path / "policy.toml"
    policy.write_text(inputs.policy.read_text(encoding="utf-8") + "\n# another\n", encoding="utf-8")
    found = [identity(), identity(given=replace(inputs, policy=policy)), identity(definition(more=HALVING)),
             identity(definition(name="other")), identity(definition("steps = [3, 6]"))]  # fmt: skip
    simulation.write_lora(tmp_path / "one.safetensors", identity=1, other=2)
    found.append(identity())
    prompts = inputs.persona / "prompts.toml"
    prompts.write_text(prompts.read_text(encoding="utf-8").replace("picture 3", "sketch 3"), encoding="utf-8")
    found.append(identity())
    assert len(set(found)) == len(found)
    assert identity() == found[-1]


def test_sets_that_overlap_are_refused_before_anything_is_drawn(sweep, definition, inputs, rendering):
    path = inputs.persona / "persona.toml"
    path.write_text(path.read_text(encoding="utf-8").replace("a = [8, 9]", "a = [8, 2]"), encoding="utf-8")
    with pytest.raises(InputError, match="seed 2 in both"):
        sweep(definition())
    assert rendering.asked == []
