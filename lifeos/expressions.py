"""Which expression reader belongs to a base: one that was fitted on its kind of picture, or none."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lifeos.errors import InputError
from lifeos.settings import project_root, read_toml, validation_line

if TYPE_CHECKING:
    from evals.expression_reader import ExpressionReader

PINS_FILE = "models/expressions/expressions.toml"

_Text = Annotated[str, Field(min_length=1)]


class _Pin(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    file: Annotated[str, Field(pattern=r"^[\w.-]+$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    licence: _Text
    origin: _Text
    bases: list[_Text]


def reader_of(base: Path, root: Path | None = None) -> "ExpressionReader | None":
    """Return the reader that was fitted on what a base draws; None where there is none.

    Args:
        base: folder of the base.
        root: of the checkout that holds the readers; default this one.

    Raises:
        InputError: the list of readers cannot be read, or the file is not the pinned one.
    """
    root = project_root() if root is None else Path(root)
    path = root / PINS_FILE
    for name, row in read_toml(path).items() if path.exists() else ():
        try:
            pin = _Pin.model_validate(row)
        except ValidationError as error:
            raise InputError(validation_line(path, error, f"restore [{name}]")) from error
        if Path(base).resolve() in [(root / folder).resolve() for folder in pin.bases]:
            from evals.expression_reader import read_reader

            return read_reader(path.with_name(pin.file), pin.sha256)
    return None
