"""From another trainer's arguments to a recipe of the same meaning, with a report of every argument."""

import ast
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from lifeos.errors import InputError
from lifeos.lora.recipe.contradictions import FLOW_FAMILIES
from lifeos.lora.recipe.reading import parse_recipe, recipe_keys, section_of
from lifeos.lora.recipe.schema import Recipe
from lifeos.lora.recipe.writing import recipe_toml
from lifeos.lora.recipe_import.conversions import (
    CONVERSIONS,
    Context,
    Converted,
    Subfolders,
    network_module,
    optimizer_name,
)
from lifeos.lora.recipe_import.given import Given, read_given, shown
from lifeos.lora.recipe_import.report import Mapped, NotMapped, Report, plain
from lifeos.lora.recipe_import.tables import (
    ArgumentRow,
    BadValueError,
    Table,
    launcher_arguments,
    load_table,
    nearest,
    typed,
)

_REQUIRED = {
    "base": "no argument names the base model",
    "dataset": "no argument names a folder of training images",
    "trigger": "no argument says which word comes to mean the persona; captions must hold it",
    "steps": "no argument counts the steps",
}
_VARIANTS = {"optimizer_args": optimizer_name, "network_args": network_module}
_HEAD = ("Made by lifeos recipe import. Every key is described in docs/recipe.md.",)


def import_recipe(
    texts: Sequence[str], *, source: str | None, said: Mapping[str, Any], out: Path, subfolders: Subfolders
) -> Report:
    """Make a recipe of another trainer's arguments. Nothing is executed and no file that they name is opened.

    Args:
        texts: contents of the files of one run: a command line, kohya's configuration and dataset files.
        source: ``kohya`` or ``diffusers``; None to tell by the texts.
        said: keys of the recipe, dotted, that a person says; they win.
        out: where the recipe is meant to lie, for complaints.
        subfolders: lists the folders within a folder of training images.

    Returns:
        The report; its ``text`` is None where something is missing or the recipe would be refused.

    Raises:
        InputError: the texts are no arguments, or ``said`` holds a key that recipes do not have.
    """
    for key in said:
        if key not in recipe_keys():
            near = nearest(key, dict.fromkeys(recipe_keys()))
            meant = f" (did you mean {near}?)" if near else ""
            raise InputError(f"--set {key}: accepted a key of a recipe, got another{meant}; next: docs/recipe.md")
    given, source = read_given(texts, source)
    table = load_table(source)
    script = _script(given, table, said)
    report = Report(source, script, not_mapped=list(given.left), set={key: plain(value) for key, value in said.items()})
    fields = _Importer(table, script, given, report, subfolders).fields()
    fields |= said
    for key, why in _REQUIRED.items():
        if key not in fields:
            report.missing.setdefault(key, why)
    for key in recipe_keys():
        above, _, _ = key.rpartition(".")
        if above and _is_required(key) and key not in fields and any(each.startswith(f"{above}.") for each in fields):
            report.missing.setdefault(key, f"other arguments speak of {above}, and none that can be read says this")
    report.missing = {key: why for key, why in report.missing.items() if key not in said}
    if not report.missing:
        _finish(report, _nested(fields), out)
    return report


def parse_said(pairs: Sequence[str]) -> dict[str, Any]:
    """Return the keys that ``--set KEY=VALUE`` says; a value is TOML, or else text.

    Raises:
        InputError: a pair has no ``=``.
    """
    said = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise InputError(f"--set {pair}: accepted KEY=VALUE, got no =; next: --set trigger=WORD")
        try:
            said[key.strip()] = tomllib.loads(f"value = {value}")["value"] if "\n" not in value else value
        except (ValueError, RecursionError):
            said[key.strip()] = value
    return said


def _script(given: Given, table: Table, said: Mapping[str, Any]) -> str:
    if given.script in table.scripts:
        return given.script
    of_family = [name for name, row in table.scripts.items() if row.family == said.get("family")]
    if not of_family:
        why = f"no script is named: {table.default_script} and its defaults are assumed; next: --set family=NAME"
        given.left.append(NotMapped("(script)", None, why, True))
    return of_family[0] if of_family else table.default_script


class _Importer:
    """Walks through the arguments of a table, in its order: a later argument may take an earlier one's place."""

    def __init__(self, table: Table, script: str, given: Given, report: Report, subfolders: Subfolders) -> None:
        self.table, self.row, self.given, self.report = table, table.scripts[script], given, report
        self.found: dict[str, Any] = {}
        self.values: dict[str, Any] = {}
        launched = given.launcher.get("mixed_precision", ())
        self.context = Context(self.values, self.row.family, launched[0] if launched else None, subfolders)

    def fields(self) -> dict[str, Any]:
        self._write(Mapped("", None, {"family": self.row.family, **self.table.fields, **self.row.fields}), given=False)
        raw = self._known()
        self._type(raw)
        for name, row in self.table.arguments.items():
            if name in self.table.nested:
                self._nested(name, raw)
            elif name in self.values:
                self._convert(name, row, self.values[name], is_given=name in raw)
        for each in self.given.mapped:
            self._write(each, given=True)
        self._launcher()
        return self.found

    def _known(self) -> dict[str, Any]:
        """Raw values by full name; what the table does not have is told."""
        raw: dict[str, Any] = {}
        for name, value in self.given.values.items():
            # argparse takes the beginning of a name for the name where only one begins so.
            longer = [known for known in self.table.arguments if isinstance(value, tuple) and known.startswith(name)]
            if name in self.table.arguments:
                raw[name] = value
            elif len(longer) == 1 and longer[0] not in self.given.values and name:
                raw[longer[0]] = value
            else:
                near = nearest(name, self.table.arguments)
                why = f"unknown argument{f'; did you mean {near}?' if near else ''}"
                self._leave(name, shown(name, value), why, None)
        return raw

    def _type(self, raw: dict[str, Any]) -> None:
        for name, row in self.table.arguments.items():
            self.values[name] = self._default(name, row)
            if name not in raw:
                continue
            if row.kind == "flag" and isinstance(raw[name], tuple):
                for word in raw[name]:
                    self._leave(name, plain(word), "a switch takes no value: the word belongs to no argument", None)
            try:
                self.values[name] = typed(row, raw[name])
            except BadValueError as error:
                self._unreadable(name, row, raw.pop(name), error)

    def _convert(self, name: str, row: ArgumentRow, value: Any, *, is_given: bool) -> None:
        if row.only_with is not None and not self.values.get(row.only_with):
            if is_given:
                self._leave(name, plain(value), f"not read without {row.only_with}", False)
        elif row.not_in_flow and self.context.family in FLOW_FAMILIES:
            if is_given:
                self._leave(name, plain(value), f"the script of {self.context.family} does not read it", False)
        elif row.reason is not None:
            if is_given:
                changed = value != self._default(name, row)
                self._leave(name, None if row.secret else shown(name, value), row.reason, row.matters and changed)
        elif row.field is not None:
            if value is not None:
                self._write(Mapped(name, plain(value), {row.field: value}, row.note), given=is_given)
        else:
            self._apply(name, row, value, CONVERSIONS[str(row.convert)](value, self.context), is_given=is_given)

    def _apply(self, name: str, row: ArgumentRow, value: Any, became: Converted, *, is_given: bool) -> None:
        note = "; ".join(each for each in (became.note, row.note) if each)
        if became.fields or (is_given and not became.reason and became.missing is None):
            self._write(Mapped(name, plain(value), became.fields, note), given=is_given)
        if became.reason and (is_given or row.matters_at_default):
            self._leave(name, plain(value), became.reason, became.matters)
        if became.missing is not None:
            self.report.missing.setdefault(*became.missing)

    def _nested(self, name: str, raw: dict[str, Any]) -> None:
        variants, variant = self.table.nested[name], _VARIANTS[name](self.values)
        rows = variants.get(variant or "", {})
        values: dict[str, Any] = {}
        for pair in self.values.get(name) or ():
            key, equals, text = pair.partition("=")
            if not equals or key not in rows:
                self._leave(f"{name} {key}", plain(text), "unknown argument" if equals else "no name=value", None)
                continue
            try:
                values[key] = typed(rows[key], _literal(text) if name == "optimizer_args" else (text,))
            except BadValueError as error:
                self._unreadable(f"{name} {key}", rows[key], text, error)
        for key, row in rows.items():
            value = values.get(key, self._default(key, row))
            self._convert(f"{name} {key}", row, value, is_given=key in values)

    def _launcher(self) -> None:
        rows = launcher_arguments()
        for name, texts in self.given.launcher.items():
            row = rows.get(name)
            if row is None:
                self._leave(f"accelerate {name}", shown(name, list(texts)), "unknown argument", None)
                continue
            try:
                changed = typed(row, texts) != row.default
            except BadValueError:
                changed = True
            self._leave(f"accelerate {name}", shown(name, list(texts)), str(row.reason), row.matters and changed)

    def _default(self, name: str, row: ArgumentRow) -> Any:
        """The trainer's own default of an argument, or its script's."""
        default = self.row.defaults.get(name, row.default)
        return False if default is None and row.kind == "flag" else default

    def _unreadable(self, name: str, row: ArgumentRow, value: Any, error: BadValueError) -> None:
        shown_value = None if row.secret else shown(name, value)
        why = f"the trainer itself accepts {error.accepted}"
        self._leave(name, shown_value, why, row.reason is None or row.matters)
        if row.field is not None:  # the trainer's default would be another meaning
            self.report.missing.setdefault(row.field, f"{name} holds nothing that can be read")

    def _leave(self, name: str, value: Any, reason: str, matters: bool | None) -> None:
        self.report.not_mapped.append(NotMapped(name, value, reason, matters))

    def _write(self, line: Mapped, *, given: bool) -> None:
        # What stands at a recipe's own default need not be written, unless it takes an earlier value's place.
        told = {key: value for key, value in line.fields.items()
                if given or value != self.found.get(key, _recipe_default(key))}  # fmt: skip
        self.found.update(line.fields if line.argument == "" else told)
        if given:
            self.report.mapped.append(line)
        elif told:
            self.report.defaults.append(Mapped(line.argument, line.value, told, line.note))


def _finish(report: Report, values: dict[str, Any], out: Path) -> None:
    try:
        recipe = parse_recipe(values, out)
        text = recipe_toml(values, _HEAD)
        # What stands in the file must be what was checked.
        if parse_recipe(tomllib.loads(text), out) != recipe:
            raise InputError(f"{out}: accepted values that TOML can hold, got others; next: --set them")
    except InputError as error:
        report.problem = str(error)
        return
    report.text, report.hash = text, recipe.content_hash


def _nested(fields: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in fields.items():
        above, _, last = key.rpartition(".")
        if not above:
            values[last] = value
            continue
        table = values.get(above)
        values[above] = {**(table if isinstance(table, dict) else {}), last: value}
    return values


def _schema_of(key: str) -> FieldInfo:
    section: type[BaseModel] = Recipe
    *above, last = key.split(".")
    for name in above:
        section = section_of(section.model_fields[name].annotation) or Recipe
    return section.model_fields[last]


def _is_required(key: str) -> bool:
    return _schema_of(key).is_required()


def _recipe_default(key: str) -> Any:
    default = _schema_of(key).default
    return list(default) if isinstance(default, tuple) else default


def _literal(text: str) -> Any:
    if len(text) > 1000:
        raise BadValueError("a short Python literal")
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise BadValueError("a Python literal") from error
    return list(value) if isinstance(value, tuple) else value
