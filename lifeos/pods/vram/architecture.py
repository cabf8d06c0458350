"""The base of a recipe as configs alone: a folder in diffusers layout, weights or none, or a published base."""

import contextlib
import json
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from lifeos.errors import InputError
from lifeos.lora.families.base_location import HubName

_FOLDER = Path(__file__).with_name("bases")
LARGEST_NUMBER = 2**18
"""Largest whole number, by amount, that a config may hold: widths, tokens and vocabularies of real bases are below."""
LONGEST_LIST, MOST_LAYERS = 512, 512
# Keys of published configs that say who wrote them, or how text would be generated: nothing that is built.
_WRITERS_KEYS = frozenset({
    "architectures", "model_type", "transformers_version", "torch_dtype", "dtype", "output_past", "dropout",
    "decoder_start_token_id", "task_specific_params", "n_positions",
})  # fmt: skip


@dataclass(frozen=True)
class Architecture:
    """Configs of a base.

    Args:
        name: how it is called in reports.
        family: base model family.
        configs: ``component/file`` -> content.
        assumed: why these configs and no others, where the base itself was not at hand; empty where it was.
    """

    name: str
    family: str
    configs: dict[str, dict[str, Any]]
    assumed: str = ""

    @contextlib.contextmanager
    def folder(self) -> Iterator[Path]:
        """Give a temporary folder in diffusers layout that holds the configs and nothing else."""
        with tempfile.TemporaryDirectory(prefix="lifeos-configs-") as place:
            for name, content in self.configs.items():
                path = Path(place) / name
                path.parent.mkdir(exist_ok=True)
                path.write_text(json.dumps(content), encoding="utf-8")
            yield Path(place)


def published_names() -> list[str]:
    """Return the repositories whose configs are shipped."""
    return [name for values in _published().values() for name in values["names"]]


def published(name: str) -> Architecture:
    """Return the shipped configs of a file of ``bases/``, such as ``sdxl``.

    Raises:
        KeyError: there is no such file.
    """
    values = _published()[name]
    configs = {"model_index.json": {"_class_name": values["pipeline"]}}
    for component, entry in values.items():
        if isinstance(entry, dict):
            library, kind = entry["class"].split(".")
            configs["model_index.json"][component] = [library, kind]
            file = "scheduler_config.json" if component == "scheduler" else "config.json"
            configs[f"{component}/{file}"] = entry["config"]
            if library == "transformers":
                configs["model_index.json"][component.replace("text_encoder", "tokenizer")] = [library, "Tokenizer"]
    return Architecture(values["names"][0], values["family"], configs)


def architecture_of(base: Path | HubName, family: str) -> Architecture:
    """Return the configs of a recipe's base.

    Args:
        base: a folder in diffusers layout, of which only configs are read, or a repository of the hub.
        family: the recipe's.

    Raises:
        InputError: the folder holds no configs, the repository is of no known architecture, or a config holds an
            unknown key or an absurd size.
    """
    if isinstance(base, Path):
        return checked(_of_folder(base, family))
    for stem, values in _published().items():
        if base.repository in values["names"]:
            if values["family"] != family:
                raise InputError(f"{base}: accepted family {values['family']}, got {family!r}; "
                                 "next: correct family in the recipe")
            return published(stem)
    for stem, values in _published().items():
        if values["family"] == family and values["stands_for_family"]:
            found = published(stem)
            return Architecture(base.repository, family, found.configs, f"configs of {found.name}, of which it is "
                                                                        "taken to be a fine-tune")  # fmt: skip
    raise InputError(f"{base}: accepted a base that is here, or an architecture that is known "
                     f"({', '.join(published_names())}), got another one of family {family!r}; "
                     f"next: lifeos base fetch {base.repository}")


def checked(architecture: Architecture) -> Architecture:
    """Return the configs when a model can be built of them.

    Raises:
        InputError: a number, list or nesting that no base has.
    """
    for name, content in architecture.configs.items():
        _check_sizes(content, f"{architecture.name}/{name}")
    return architecture


def require_known_keys(config: dict[str, Any], known: set[str], place: Path) -> None:
    """Refuse a config with a key that its class would ignore: what is built would not be what it describes.

    Raises:
        InputError: there is one.
    """
    unknown = sorted(key for key in config if key not in known and not key.startswith("_") and key not in _WRITERS_KEYS)
    if unknown:
        raise InputError(f"{place.name}/config.json: accepted keys that the installed libraries know, got "
                         f"{', '.join(unknown)[:200]}; next: check the config, or the library's version")


def _of_folder(base: Path, family: str) -> Architecture:
    from lifeos.lora.families.component_files import read_config

    index = read_config(base, "", "model_index.json")
    configs = {"model_index.json": index}
    for component, named in index.items():
        if not isinstance(named, list) or not named or named[0] is None:
            continue
        for file in ("config.json", "scheduler_config.json", "tokenizer_config.json"):
            if (base / component / file).is_file():
                configs[f"{component}/{file}"] = read_config(base, component, file)
    return Architecture(base.name, family, configs)


def _check_sizes(value: Any, place: str, depth: int = 0) -> None:
    if depth > 8:
        raise InputError(f"{place}: accepted a config at most 8 levels deep, got a deeper one; next: check the config")
    if isinstance(value, dict):
        for key, each in value.items():
            counts_layers = "layers" in str(key) and isinstance(each, int) and not isinstance(each, bool)
            if counts_layers and not 0 <= each <= MOST_LAYERS:
                raise InputError(f"{place}: {key}: accepted 0 to {MOST_LAYERS}, got {each}; next: check the config")
            # A tokenizer says with a huge number that it has no limit of its own.
            if key != "model_max_length":
                _check_sizes(each, f"{place}: {key}", depth + 1)
    elif isinstance(value, list):
        if len(value) > LONGEST_LIST:
            raise InputError(f"{place}: accepted at most {LONGEST_LIST} entries, got {len(value)}; "
                             "next: check the config")
        for each in value:
            _check_sizes(each, place, depth + 1)
    elif isinstance(value, int) and abs(value) > LARGEST_NUMBER:
        raise InputError(f"{place}: accepted numbers up to {LARGEST_NUMBER}, got {value}; next: check the config")


@cache
def _published() -> dict[str, dict[str, Any]]:
    return {path.stem: tomllib.loads(path.read_text(encoding="utf-8")) for path in sorted(_FOLDER.glob("*.toml"))}
