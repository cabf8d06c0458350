import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lifeos.errors import InputError
from lifeos.lora.recipe import Recipe, recipe_keys
from lifeos.parameter_sweep.training_search import (
    UNSEARCHABLE,
    TrainingSearch,
    number_type,
    require_searchable,
    with_parameters,
)
from lifeos.parameter_sweep.training_suggestions import suggest
from lifeos.parameter_sweep.training_trials import Trial

WHERE = Path("SWEEP.toml")
VALUES = {"base": "b", "dataset": "d", "trigger": "zeph", "steps": 100,
          "optimizer": {"name": "adamw", "learning_rate": 1e-3}}  # fmt: skip


def read(text, trials=3):
    return TrainingSearch.model_validate(tomllib.loads(f"trials = {trials}\n{text}"))


def is_recipe(key, value):
    try:
        Recipe.model_validate(with_parameters(VALUES, {key: value}))
    except ValidationError:
        return False
    return True


def test_dotted_tables_and_quoted_names_are_the_same_key():
    plain = read("[search.optimizer.learning_rate]\nlow = 1e-4\nhigh = 1e-2\n[search.rank]\nchoices = [4, 8]")
    quoted = read('[search."optimizer.learning_rate"]\nlow = 1e-4\nhigh = 1e-2\n[search.rank]\nchoices = [4, 8]')
    assert plain == quoted
    assert list(plain.search) == ["optimizer.learning_rate", "rank"]
    with pytest.raises(ValidationError, match="stands once"):
        read('[search."optimizer.weight_decay"]\nchoices = [0.0, 0.1]\n'
             "[search.optimizer.weight_decay]\nlow = 0\nhigh=1")


@pytest.mark.parametrize(("entry", "why"), [
    ("low = 1", "low and high, or choices"),
    ("low = 4\nhigh = 4", "low lies below high"),
    ("low = 0\nhigh = 4\nlog = true", "low above 0"),
    ("low = 1\nhigh = 4\nlog = true\nstep = 1", "no step"),
    ("low = 1\nhigh = 4\nstep = 4", "fits between"),
    ("low = 1\nhigh = 4\nstep = 0", "fits between"),
    ("low = 1\nhigh = inf", "finite"),
    ('low = "1"\nhigh = 4', "valid"),
    ("choices = [4]", "at least 2"),
    ("choices = [4, 4]", "every choice stands once"),
    ("choices = [1.0, nan]", "JSON"),
    ("choices = [1979-05-27, 1]", "numbers, words"),
    ("choices = [4, 8]\nlow = 1", "without low"),
    ("choices = [4, 8]\nlog = false", "without low"),
    ("lo = 1\nhigh = 4", "Extra inputs"),
])  # fmt: skip
def test_an_entry_that_says_nothing_clear_is_refused(entry, why):
    with pytest.raises(ValidationError, match=why):
        read(f"[search.rank]\n{entry}")


@pytest.mark.parametrize("head", ["trials = 1", "trials = 1001", "trials = 3\nkeep = 0", "trials = 3\nseed = -1",
                                  "trials = 3\nfoo = 1"])  # fmt: skip
def test_counts_have_limits(head):
    with pytest.raises(ValidationError):
        TrainingSearch.model_validate(tomllib.loads(f"{head}\n[search.rank]\nchoices = [4, 8]"))
    with pytest.raises(ValidationError):
        read("search = {}")


@pytest.mark.parametrize(("text", "why"), [
    ("[search.rnak]\nlow = 1\nhigh = 4", "did you mean rank"),
    ("[search.learning_rate]\nlow = 1\nhigh = 4", "did you mean optimizer.learning_rate"),
    ("[search.optimizer]\nlow = 1\nhigh = 4", "got a table"),
    ("[search.ema.decay]\nlow = 0.1\nhigh = 0.4", r"add \[ema\] to the recipe"),
    ("[search.targets]\nlow = 1\nhigh = 4", "accepted choices"),
    ("[search.flip]\nlow = 0\nhigh = 1", "accepted choices"),
    ("[search.optimizer.betas]\nlow = 0.1\nhigh = 0.4", "accepted choices"),
    ("[search.rank]\nlow = 0\nhigh = 4", "rank: Input should be greater"),
    ("[search.rank]\nlow = 4\nhigh = 4096", "got 4096"),
    ("[search.rank]\nlow = 4\nhigh = 8.5", "got 8.5"),
    ("[search.rank]\nlow = 4\nhigh = 8\nstep = 1.5", "a whole step"),
    ("[search.targets]\nchoices = ['full', 'face']", "got 'face'"),
    ("[search.caption_dropout]\nlow = 0\nhigh = 1", "less than 1"),
    ("[search.optimizer.d_coefficient]\nlow = 0.5\nhigh = 2.0", "belongs to prodigy"),
    ("[search.optimizer.warmup_steps]\nlow = 0\nhigh = 50", "constant has no warm-up"),
    ("[search.steps]\nlow = 50\nhigh = 0x7fffffff", "less than or equal to 1000000"),
])  # fmt: skip
def test_what_no_recipe_holds_is_refused_in_one_line(text, why):
    with pytest.raises(InputError, match=why) as refused:
        require_searchable(read(text), VALUES, WHERE)
    assert "\n" not in str(refused.value)
    assert str(refused.value).startswith("SWEEP.toml: training.search.")
    assert str(refused.value).endswith("; next: edit SWEEP.toml")


@pytest.mark.parametrize("key", sorted(UNSEARCHABLE))
def test_keys_that_decide_nothing_that_is_learnt_are_refused(key):
    assert key in recipe_keys()
    with pytest.raises(InputError, match=r"decides what is learnt"):
        require_searchable(read(f'[search."{key}"]\nchoices = [1, 2]'), VALUES, WHERE)


def test_a_contradiction_passes_where_another_searched_key_can_end_it():
    warm = "[search.optimizer.warmup_steps]\nlow = 0\nhigh = 50\n"
    require_searchable(read(warm + "[search.optimizer.schedule]\nchoices = ['constant', 'cosine']"), VALUES, WHERE)
    with pytest.raises(InputError, match="no warm-up"):
        require_searchable(read(warm + "[search.rank]\nchoices = [4, 8]"), VALUES, WHERE)


def test_numbers_between_the_ends_are_looked_at_too():
    sized = {**VALUES, "resolution": {"sides": [128], "buckets": True, "bucket_step": 64}}
    text = "[search.resolution.bucket_step]\nlow = 64\nhigh = 128\n"
    require_searchable(read(text + "step = 64"), sized, WHERE)
    with pytest.raises(InputError, match=r"got 65: .*multiple of 8"):
        require_searchable(read(text), sized, WHERE)


NUMBERS = [key for key in recipe_keys() if key not in UNSEARCHABLE and number_type(key) is not None
           and key.rpartition(".")[0] in ("", "optimizer")]  # fmt: skip
AMOUNTS = st.one_of(st.integers(-2, 1_000_001), st.floats(-1, 2000, allow_nan=False), st.floats(0, 1))


@given(st.sampled_from(NUMBERS), AMOUNTS, AMOUNTS)
def test_a_range_of_one_key_is_accepted_exactly_where_its_ends_are_recipes(key, low, high):
    if not low < high:
        return
    search = TrainingSearch.model_validate({"trials": 2, "search": {key: {"low": low, "high": high}}})
    ends = [low, high, *([low + 1] if number_type(key) is int else [])]
    try:
        require_searchable(search, VALUES, WHERE)
    except InputError:
        assert not all(is_recipe(key, end) for end in ends)
    else:
        assert all(is_recipe(key, end) for end in ends)


@given(st.integers(1, 30), st.integers(1, 40), st.booleans(), st.integers(0, 2**62))
def test_a_suggestion_lies_in_its_range(low, span, log, seed):
    pytest.importorskip("optuna")
    search = TrainingSearch.model_validate({"trials": 2, "seed": seed, "search": {
        "rank": {"low": low, "high": low + span, "log": log},
        "batch_size": {"low": low, "high": low + span, "step": max(1, span // 3)},
        "caption_dropout": {"low": 0, "high": 0.35, "step": 0.1},
        "optimizer.weight_decay": {"low": low / 100, "high": (low + span) / 100, "log": log},
        "optimizer.betas": {"choices": [[0.9, 0.99], [0.9, 0.999]]},
    }})  # fmt: skip
    found = suggest(search, [])
    assert list(found) == list(search.search)
    assert low <= found["rank"] <= low + span
    assert (found["batch_size"] - low) % max(1, span // 3) == 0
    assert low <= found["batch_size"] <= low + span
    assert found["caption_dropout"] in (0.0, 0.1, 0.2, 0.30000000000000004, 0.3)
    assert low / 100 <= found["optimizer.weight_decay"] <= (low + span) / 100
    assert found["optimizer.betas"] in ([0.9, 0.99], [0.9, 0.999])
    assert type(found["rank"]) is int
    assert is_recipe("rank", found["rank"])


SEARCH = read("seed = 4\n[search.rank]\nlow = 1\nhigh = 64\nlog = true\n[search.noise_offset]\nlow = 0\nhigh = 1", 16)


def judged(number, parameters, likeness, ruled_out=()):
    return Trial(number, "judged", parameters, lora=f"{number:064}", candidate={
        "name": "x", "likeness": likeness, "standard_error": None, "ruled_out": dict.fromkeys(ruled_out, "x"),
        "images": 1})  # fmt: skip


def walk(outcome, count=16):
    trials = []
    for number in range(count):
        parameters = suggest(SEARCH, trials)
        trials.append(outcome(number, parameters))
    return trials


def test_suggestions_follow_what_was_found_and_are_the_same_again():
    pytest.importorskip("optuna")
    low = walk(lambda number, each: judged(number, each, -each["noise_offset"]))
    high = walk(lambda number, each: judged(number, each, each["noise_offset"]))
    assert low == walk(lambda number, each: judged(number, each, -each["noise_offset"]))
    assert low[:5] == [judged(t.number, t.parameters, -t.parameters["noise_offset"]) for t in high[:5]]
    ends = [sum(t.parameters["noise_offset"] for t in trials[5:]) / 11 for trials in (low, high)]
    assert ends[0] + 0.2 < ends[1]  # learnt: the two differ in nothing but their outcomes


@pytest.mark.parametrize("worse", [
    lambda number, each: Trial(number, "failed", each, reason="NaN"),
    lambda number, each: Trial(number, "contradictory", each, reason="no"),
    lambda number, each: judged(number, each, 0.99, ["copy_image"]),
])  # fmt: skip
def test_what_failed_or_is_ruled_out_is_worse_than_the_least_likeness(worse):
    pytest.importorskip("optuna")
    def outcome(number, each):
        return worse(number, each) if each["noise_offset"] > 0.5 else judged(number, each, -0.9)

    trials = walk(outcome)
    assert sum(trial.parameters["noise_offset"] > 0.5 for trial in trials[5:]) <= 3  # of 11; half by chance
