"""The next recipe to try, a function of the search and of the trials before it: Optuna without a storage of its own.

A sampler is seeded anew for every trial, so it has no state that a kill could lose, and whoever reads the same trials
gets the same suggestion.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from lifeos.errors import InputError
from lifeos.lora.training_inputs import derived_seed
from lifeos.parameter_sweep.training_search import SearchedKey, TrainingSearch, number_type
from lifeos.parameter_sweep.training_trials import Trial

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

STARTUP_TRIALS = 5
"""Trials drawn at random before the search learns from them."""


def require_optuna() -> None:
    """Refuse to begin where Optuna is not installed.

    Raises:
        InputError: it is not.
    """
    from importlib.util import find_spec

    if find_spec("optuna") is None:
        raise InputError("[training]: accepted an installed package optuna, got none; next: ./lifeos.sh install-extra "
                         "sweep")  # fmt: skip


def suggest(
    search: TrainingSearch, trials: Sequence[Trial], startup: int = STARTUP_TRIALS
) -> dict[str, Any]:
    """Return the value of each searched key for the trial behind ``trials``, by TPE (Bergstra et al. 2011).

    A trial that failed or contradicts itself counts as worse than any that was judged, so its surroundings are left.

    Args:
        search: keys and their ranges.
        trials: all before this one, in their order.
        startup: how many are drawn at random first.
    """
    import optuna

    with _quiet():
        sampler = optuna.samplers.TPESampler(
            seed=derived_seed(search.seed, "training search", len(trials)) % 2**32, n_startup_trials=startup
        )
        study = optuna.create_study(direction="maximize", sampler=sampler)
        space = {key: _distribution(key, entry) for key, entry in search.search.items()}
        state = optuna.trial.TrialState
        for trial in trials:
            encoded = {key: _encoded(search.search[key], value) for key, value in trial.parameters.items()}
            study.add_trial(optuna.trial.create_trial(
                state=state.PRUNED if trial.value is None else state.COMPLETE, value=trial.value, params=encoded,
                distributions=space,
            ))  # fmt: skip
        asked = study.ask(space).params
    return {key: _decoded(entry, asked[key]) for key, entry in search.search.items()}


def _distribution(key: str, entry: SearchedKey) -> "BaseDistribution":
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if entry.choices is not None:
        # By place: Optuna keeps no lists, and takes True and 1 for one choice.
        return CategoricalDistribution(range(len(entry.choices)))
    low, high = entry.low, entry.reached
    assert low is not None
    assert high is not None
    if number_type(key) is int:
        return IntDistribution(int(low), int(high), log=entry.log, step=int(entry.step or 1))
    step = None if entry.step is None else float(entry.step)
    return FloatDistribution(float(low), float(high), log=entry.log, step=step)


def _encoded(entry: SearchedKey, value: Any) -> Any:
    if entry.choices is None:
        return value
    return next(place for place, choice in enumerate(entry.choices) if repr(choice) == repr(value))


def _decoded(entry: SearchedKey, value: Any) -> Any:
    return value if entry.choices is None else entry.choices[value]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna from telling every study on the terminal."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
