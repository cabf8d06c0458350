"""The errors the command line prints as one line; the first lives with the evals, which import no toolchain."""

from evals.errors import InputError

__all__ = ["InputError", "InterruptedRunError"]


class InterruptedRunError(Exception):
    """Somebody interrupted work that the same command takes up again; the message says how. Exit status 130."""
