import pytest

from lifeos.errors import InputError
from lifeos.parameter_sweep.engines import engine_of, parse_options
from lifeos.parameter_sweep.local_engine import LocalEngine


def test_this_machine_is_an_engine_without_options():
    assert isinstance(engine_of("local", {}), LocalEngine)
    with pytest.raises(InputError, match="--engine-option gpus"):
        engine_of("local", {"gpus": "2"})
    with pytest.raises(InputError, match="got 'slurm'"):
        engine_of("slurm", {})


def test_options_are_keys_with_values():
    assert parse_options(["a=1", "b=x=y", "c="]) == {"a": "1", "b": "x=y", "c": ""}
    for given in (["a"], ["=1"], ["a=1", "a=2"]):
        with pytest.raises(InputError, match="KEY=VALUE"):
            parse_options(given)
