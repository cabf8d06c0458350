"""Makes the artefact of a known failure, or its healthy twin: the files of the entry, or a function called for it.

A reproducer knows nothing of the detector: it hands over options of ``lifeos gate``, as a user would.
"""

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from string import Template
from typing import Any

from evals.errors import InputError
from evals.known_failures.entry import Entry, Scalar
from evals.known_failures.place import Place

REPRODUCERS = Path("tests") / "known_failures"
"""Where functions that make an artefact stand: ``<subject>/*.py``, each named after its entry."""


def reproduce(entry: Entry, place: Place, *, broken: bool, available: Callable[[str], bool]) -> dict[str, str]:
    """Make the artefact of an entry and return the options of ``lifeos gate`` that hand it in.

    Args:
        entry: one that can be live.
        place: an empty folder and the checkout.
        broken: False makes the healthy twin.
        available: says whether what an entry ``needs`` is here; a recording stands in where it is not.

    Raises:
        InputError: the entry has no reproducer.
    """
    if entry.twin is None:
        raise InputError(f"{entry.id}: accepted an entry with a twin, got none ({entry.not_live_because}); next: write "
                         "it")  # fmt: skip
    value = entry.twin.broken if broken else entry.twin.healthy
    for_real = entry.needs is None or available(entry.needs)
    function = _function(entry, place.root) if for_real or not entry.files else None
    if function is not None:
        made: Mapping[str, Any] = function(place, **{entry.twin.field: value})
        return {name: str(given) for name, given in made.items()}
    if not entry.files:
        where = (REPRODUCERS / entry.subject).as_posix()
        raise InputError(f"{entry.id}: accepted a function {entry.function} in {where}, got none; next: write it")
    return _write_files(entry, place, entry.twin.field, value)


def is_recorded(entry: Entry, root: Path, available: Callable[[str], bool]) -> bool:
    """Return whether the files stand in for what an entry needs: it is not here, or no function makes use of it."""
    if entry.needs is None:
        return False
    return not available(entry.needs) or _function(entry, root) is None


def _write_files(entry: Entry, place: Place, field: str, value: Scalar) -> dict[str, str]:
    shown = str(value).lower() if isinstance(value, bool) else str(value)

    def filled(text: str) -> str:
        try:
            return Template(text).substitute({field: shown, "root": place.root.as_posix()})
        except (KeyError, ValueError) as error:
            raise InputError(f"{entry.id}: accepted ${field} and $root, got {error}; next: write $$ for a dollar sign"
                             ) from error  # fmt: skip

    for name, text in entry.files.items():
        place.text(name, filled(text).removeprefix("\n"))
    given = {name: filled(value) for name, value in entry.inputs.items()}
    return {name: str(place.folder / value) if (place.folder / value).exists() else value
            for name, value in given.items()}  # fmt: skip


def _function(entry: Entry, root: Path) -> Callable[..., Mapping[str, Any]] | None:
    for path in sorted((root / REPRODUCERS / entry.subject).glob("*.py")):
        function = getattr(load_file(path), entry.function, None)
        if function is not None:
            return function  # type: ignore[no-any-return]
    return None


def load_file(path: Path) -> Any:
    """Load a file of reproducers by its place: tests are no package, and another project may call its own so.

    Raises:
        InputError: it is no Python file.
    """
    name = f"known_failure_reproducers.{path.parent.name}.{path.stem}"
    specification = importlib.util.spec_from_file_location(name, path)
    if specification is None or specification.loader is None:
        raise InputError(f"{path}: accepted a Python file, got one that cannot be loaded; next: check it")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module
