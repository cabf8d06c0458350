"""Two ways of doing one thing, timed in turn, so that a machine that slows down slows down both."""

from collections.abc import Callable
from typing import TypeVar

_First = TypeVar("_First")
_Second = TypeVar("_Second")


def interleaved(
    first: Callable[[int], _First], second: Callable[[int], _Second], rounds: int
) -> tuple[list[_First], list[_Second]]:
    """Call both ``rounds`` times with the number of the round: first, second, second, first, first, second ...

    Raises:
        ValueError: ``rounds`` is below 1.
    """
    if rounds < 1:
        raise ValueError(f"rounds must be 1 or more, but got {rounds}")
    ones, twos = [], []
    for number in range(rounds):
        if number % 2 == 0:
            ones.append(first(number))
            twos.append(second(number))
        else:
            twos.append(second(number))
            ones.append(first(number))
    return ones, twos
