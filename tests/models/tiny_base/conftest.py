"""The build scripts' rooms, imported by their bare names as the scripts do, in an environment without numba."""

import importlib
import sys
import types
from pathlib import Path

import pytest

BUILD = Path(__file__).resolve().parents[3] / "models" / "tiny-base" / "build"


@pytest.fixture
def room(monkeypatch):
    """Imports a room that must do without numba."""
    yield from _rooms(monkeypatch, None)


@pytest.fixture
def compiled_room(monkeypatch):
    """Imports a room that numba compiles: here the same Python runs as it is written, only slower."""
    plain = types.ModuleType("numba")
    plain.njit = lambda **_: lambda function: function
    yield from _rooms(monkeypatch, plain)


def _rooms(monkeypatch, numba):
    monkeypatch.setitem(sys.modules, "numba", numba)
    monkeypatch.syspath_prepend(BUILD)
    before = set(sys.modules)
    yield importlib.import_module
    # The next test may import them with another numba, and their short names must not outlive this folder's tests.
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(BUILD)):
            del sys.modules[name]


@pytest.fixture
def person(room):
    """Draws the person of a seed on a mesh with two face axes."""
    axes = [("nose/nose-width-incr", "nose/nose-width-decr"), ("chin/dent", None)]
    mesh = types.SimpleNamespace(face_axes=lambda: axes)
    return lambda seed: room("person").sample_person(mesh, seed)
