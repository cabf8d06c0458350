"""What the files of a run say, before it means anything: arguments by name, of command lines and of kohya's TOML."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from lifeos.errors import InputError
from lifeos.lora.recipe_import.command_line import parse_command
from lifeos.lora.recipe_import.report import Mapped, NotMapped, plain
from lifeos.lora.recipe_import.tables import SOURCES, load_table

_SECRET = re.compile(r"(token|key|password|secret)$", re.IGNORECASE)
_LARGEST = 1_000_000
_MOST_STRAY = 20
# The names that dataset files have for what the command line names otherwise.
_NAMED_OTHERWISE = {"batch_size": "train_batch_size"}


@dataclass
class Given:
    """Arguments of a run as written.

    Args:
        script: the training script; empty where none is named.
        values: argument -> a tuple of texts (command line) or a value of TOML.
        launcher: the same for what starts the script.
        mapped: what a dataset file says that has keys of a recipe and no argument.
        left: what belongs to no argument.
    """

    script: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    launcher: dict[str, tuple[str, ...]] = field(default_factory=dict)
    mapped: list[Mapped] = field(default_factory=list)
    left: list[NotMapped] = field(default_factory=list)


def shown(name: str, value: Any) -> Any:
    """Return a value for the report; None in place of what may be a secret."""
    return None if _SECRET.search(name) and not isinstance(value, bool | int | float) else plain(value)


def read_given(texts: Sequence[str], source: str | None) -> tuple[Given, str]:
    """Read what the files of one run say; returns it with the trainer's name.

    Args:
        texts: command lines, kohya's ``--config_file`` and ``--dataset_config``, in any order; later ones win.
        source: ``kohya`` or ``diffusers``; None to tell by script and names.

    Raises:
        InputError: a text is too long or of no shape that a trainer has, or it cannot be told whose it is.
    """
    given = Given()
    for text in texts:
        if len(text) > _LARGEST:
            raise InputError(f"file: accepted {_LARGEST:,} characters, got {len(text):,}; next: name another file")
        try:
            values = tomllib.loads(text)
        except (ValueError, RecursionError):
            values = {}
        if not values:
            _read_command(text, given)
        elif "datasets" in values:
            _read_datasets(values, given)
        else:
            for name, value in values.items():
                _put(given, value if isinstance(value, Mapping) else {name: value})
    return given, source or _whose(given)


def _put(given: Given, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if name in given.values and given.values[name] != value:
            earlier = shown(name, given.values[name])
            given.left.append(NotMapped(name, earlier, "said again; the later one counts", False))
        given.values[name] = value


def _read_command(text: str, given: Given) -> None:
    tables = [load_table(name) for name in SOURCES]
    scripts = {script for table in tables for script in table.scripts}
    command = parse_command(text, scripts, frozenset[str]().union(*(table.several for table in tables)))
    given.script = command.script or given.script
    for argument in command.arguments:
        _put(given, {argument.name: argument.values})
    given.launcher.update({argument.name: argument.values for argument in command.launcher})
    stray = list(command.stray[:_MOST_STRAY])
    if len(command.stray) > _MOST_STRAY:
        stray.append(f"... {len(command.stray)} words")
    given.left += [NotMapped("(a word)", plain(word), "belongs to no argument", None) for word in stray]
    given.left += [
        NotMapped(f"${name}", None, "a shell variable that the file does not set stands in a value as written", True)
        for name in command.variables
    ]


def _whose(given: Given) -> str:
    tables = {name: load_table(name) for name in SOURCES}
    for name, table in tables.items():
        if given.script in table.scripts:
            return name
    known = {name: sum(each in table.arguments for each in given.values) for name, table in tables.items()}
    first, second = sorted(known, key=lambda name: -known[name])[:2]
    if known[first] == known[second]:
        raise InputError("file: accepted the arguments of a known training script, got none that tell whose they are; "
                         "next: --from kohya or --from diffusers")  # fmt: skip
    return first


def _read_datasets(config: Mapping[str, Any], given: Given) -> None:
    """Read kohya's dataset file: options of a subset come from itself, else its dataset, else ``general``."""
    general, datasets = config.get("general", {}), config["datasets"]
    if not isinstance(general, dict) or not _are_tables(datasets):
        raise InputError("datasets: accepted [general] and [[datasets]] with [[datasets.subsets]], got another shape; "
                         "next: name kohya's --dataset_config file")  # fmt: skip
    trained: list[dict[str, Any]] = []
    regular: list[dict[str, Any]] = []
    for dataset in datasets:
        subsets = dataset.get("subsets", [])
        if not _are_tables(subsets):
            raise InputError("datasets.subsets: accepted [[datasets.subsets]], got another shape; next: edit the file")
        for subset in subsets:
            merged = {**general, **dataset, **subset}
            merged.pop("subsets", None)
            (regular if merged.pop("is_reg", False) else trained).append(merged)
    given.left += [NotMapped(key, plain(value), "unknown in a dataset file", None) for key, value in config.items()
                   if key not in ("general", "datasets")]  # fmt: skip
    _put_trained(trained, given)
    folders = list(dict.fromkeys(str(each.get("image_dir", "")) for each in regular))
    if len(folders) > 1:
        given.left.append(NotMapped("is_reg", plain(folders), "a recipe has one folder of pictures of the class", True))
    if regular:
        tokens = regular[0].get("class_tokens")
        _put(given, {"reg_data_dir": folders[0], **({} if tokens is None else {"reg_class_tokens": tokens})})


def _put_trained(subsets: list[dict[str, Any]], given: Given) -> None:
    names = dict.fromkeys(name for subset in subsets for name in subset)
    for name in names:
        values: list[Any] = []
        for subset in subsets:
            value = subset.get(name)
            values += [] if value in values else [value]
        if len(values) == 1:
            _put(given, {_NAMED_OTHERWISE.get(name, name): values[0]})
        elif name == "resolution" and all(_side(value) for value in values):
            _put_sides(subsets, given)
        elif name not in ("image_dir", "num_repeats"):
            given.left.append(NotMapped(name, plain(values), "differs between subsets; a recipe says it once", True))
    folders = {str(subset.get("image_dir", "")): subset.get("num_repeats", 1) for subset in subsets}
    if len(folders) < 2:
        return
    places = [PureWindowsPath(folder) if "\\" in folder else PurePosixPath(folder) for folder in folders]
    if len({place.parent for place in places}) > 1 or len({place.name for place in places}) < len(places):
        given.left.append(NotMapped("image_dir", plain(list(folders)), "the folders do not lie side by side", True))
        return
    repeats = {place.name: plain(count) for place, count in zip(places, folders.values(), strict=True)}
    given.values.pop("num_repeats", None)
    _put(given, {"image_dir": str(places[0].parent)})
    given.mapped.append(Mapped("num_repeats", repeats, {"repeats": repeats}))


def _put_sides(subsets: list[dict[str, Any]], given: Given) -> None:
    """Several sizes: [[datasets]] once for each, with the same pictures in it."""
    sides = sorted({_side(subset["resolution"]) for subset in subsets})
    _put(given, {"resolution": sides[0]})
    given.mapped.append(Mapped("resolution", plain(sides), {"resolution.sides": sides}))
    of_folder: dict[str, set[int]] = {}
    for subset in subsets:
        of_folder.setdefault(str(subset.get("image_dir", "")), set()).add(_side(subset["resolution"]))
    if any(found != set(sides) for found in of_folder.values()):
        given.left.append(NotMapped("resolution", plain(sides), "a recipe trains every picture at every size", True))


def _side(value: Any) -> int:
    """The side of a square, 512 or [512, 512]; 0 for anything else."""
    numbers = value if isinstance(value, list) else [value]
    is_square = len(numbers) in (1, 2) and all(type(each) is int and each == numbers[0] for each in numbers)
    return numbers[0] if is_square else 0


def _are_tables(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, dict) for each in value)
