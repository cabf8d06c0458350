import pytest

from evals.errors import InputError


def test_the_message_is_one_line_whatever_came_in():
    error = InputError("a.toml: accepted TOML, got line 1\r\n  line 2; next: edit a.toml")
    assert str(error) == "a.toml: accepted TOML, got line 1 line 2; next: edit a.toml"


def test_it_is_a_value_error_so_library_callers_need_not_know_it():
    with pytest.raises(ValueError, match="x"):
        raise InputError("x")
