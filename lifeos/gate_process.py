"""``python -m lifeos.gate_process ARGS``: pytest, tied to the life of the process that started it."""

import sys

import pytest

from lifeos.orphan import end_with_parent

if __name__ == "__main__":
    # Before pytest starts: its capturing puts another file in the place of our standard input.
    end_with_parent()
    sys.exit(pytest.main(sys.argv[1:]))
