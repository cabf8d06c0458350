"""What the benchmarks' commands accept as a number."""

import argparse


def positive(text: str) -> int:
    """Return the whole number that an option was given.

    Raises:
        ArgumentTypeError: it is none from 1 on.
    """
    # Digits of other scripts, underlines and signs are numbers to int(), too.
    if not (text.isascii() and text.isdecimal()) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"accepted a whole number from 1, got {text!r}")
    return int(text)
