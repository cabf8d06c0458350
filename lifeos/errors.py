"""The error the command line prints as one line; it lives with the evals, which must not import the toolchain."""

from evals.errors import InputError

__all__ = ["InputError"]
