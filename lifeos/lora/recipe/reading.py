"""A recipe's file: found, read, checked; every complaint is one line that names the key and the edit."""

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from lifeos.errors import InputError
from lifeos.lora.families.base_location import locate_base, refuse_base
from lifeos.lora.recipe.schema import Recipe
from lifeos.settings import load_project


def load_recipe(path: Path, root: Path | None = None) -> Recipe:
    """Read and check a recipe that is to be trained.

    A relative folder that it names is looked for beside the recipe, then in each folder above it, so that a persona's
    recipe can name its own ``dataset`` and the project's ``models/tiny-base``.

    Args:
        path: the recipe.
        root: of the checkout whose data folder holds converted bases; default this one.

    Raises:
        InputError: what ``read_recipe`` raises, a folder that the recipe names is nowhere, or its base is not ready.
    """
    recipe = read_recipe(path)
    found: dict[str, Any] = {
        "base": find_base(Path(path), recipe.base, root), "dataset": find_folder(Path(path), recipe.dataset, "dataset")
    }  # fmt: skip
    for field in ("prior", "mask"):
        section = getattr(recipe, field)
        if section is not None and section.folder is not None:
            folder = find_folder(Path(path), section.folder, f"{field}.folder")
            found[field] = section.model_copy(update={"folder": folder})
    if recipe.mask is not None and recipe.mask.folder is None:
        folder = find_folder(Path(path), recipe.mask.detector_folder, "mask.face_models")
        found["mask"] = recipe.mask.model_copy(update={"face_models": folder})
    return recipe.model_copy(update=found)


def read_recipe(path: Path) -> Recipe:
    """Read and check a recipe, folders as written: whether they exist is another question.

    Raises:
        InputError: the file is absent, no TOML, holds an unknown key, a value outside its range or a contradiction.
    """
    path = Path(path)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: accepted a recipe file, got {error.strerror}; next: check the path") from error
    except (ValueError, RecursionError) as error:  # no UTF-8, no TOML, or tables nested beyond the parser's depth
        raise InputError(f"{path}: accepted TOML, got {error}; next: edit {path.name}") from error
    return parse_recipe(values, path)


def parse_recipe(values: Mapping[str, Any], path: Path) -> Recipe:
    """Check the values of a recipe.

    Args:
        values: as read from TOML.
        path: the file they come from or are meant for; named in the complaint, not opened.

    Raises:
        InputError: an unknown key, a value outside its range or a contradiction.
    """
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise InputError(f"{path}: {_complaint(error)}; next: edit {path.name}") from error


def find_base(recipe: Path, named: Path, root: Path | None = None) -> Path:
    """Return the folder of the base that a recipe names: a path beside the recipe or above it, or a hub id.

    Raises:
        InputError: it is nowhere, not fetched or not converted yet, or the settings below ``root`` cannot be read.
    """
    base = locate_base(named, recipe.resolve().parents, load_project(root).path("artifacts"))
    if not base.is_dir():
        refuse_base(base, f"{recipe}: base")
    return base


def find_folder(recipe: Path, named: Path, field: str) -> Path:
    """Return the folder that a recipe names, beside the recipe or in a folder above it.

    Raises:
        InputError: it is nowhere; ``field`` is the key that named it.
    """
    for parent in recipe.resolve().parents:
        if (parent / named).is_dir():
            return parent / named
    raise InputError(f"{recipe}: {field}: accepted a folder beside the recipe or above it, got {named.as_posix()!r} "
                     f"which is nowhere; next: edit {recipe.name}")


def recipe_keys(section: type[BaseModel] = Recipe, prefix: str = "") -> list[str]:
    """Return the dotted name of every key, those of a table behind the table's own."""
    names = []
    for name, field in section.model_fields.items():
        names.append(prefix + name)
        table = section_of(field.annotation)
        if table is not None:
            names += recipe_keys(table, f"{prefix}{name}.")
    return names


def section_of(annotation: Any) -> type[BaseModel] | None:
    """Return the table that an annotation stands for, optional or not; None for a plain value."""
    candidates: Sequence[Any] = (annotation, *getattr(annotation, "__args__", ()))
    return next((each for each in candidates if isinstance(each, type) and issubclass(each, BaseModel)), None)


def _complaint(error: ValidationError) -> str:
    # Of several, the unknown key first: a misspelt key is often the reason why another is missing.
    errors = sorted(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
    first = errors[0]
    place = ".".join(str(part) for part in first["loc"]) or "recipe"
    message = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:
        return f"accepted keys that agree, got {message}"
    if first["type"] == "missing":
        return f"{place}: {message}"
    known = _known_keys(first["loc"]) if first["type"] == "extra_forbidden" else ""
    return f"{place}: {message}{known}, got {first['input']!r:.80}"


def _known_keys(place: Sequence[int | str]) -> str:
    *above, last = place
    prefix = "".join(f"{part}." for part in above)
    siblings = [key.removeprefix(prefix) for key in recipe_keys() if key.startswith(prefix)]
    siblings = [key for key in siblings if "." not in key]
    near = difflib.get_close_matches(str(last), siblings, 1)
    if not near:  # the right word in the wrong table
        near = [key for key in recipe_keys() if key.rsplit(".", 1)[-1] == str(last)][:1]
    meant = f"; did you mean {near[0]}?" if near else ""
    return f"{meant} (keys: {', '.join(siblings)})"
