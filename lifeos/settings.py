"""Project settings: ``lifeos.toml`` at the root of the checkout, every key documented and validated."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lifeos.errors import InputError

SETTINGS_FILE = "lifeos.toml"


class Settings(BaseModel):
    """Values of ``lifeos.toml``; paths as written, relative to the root."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    persona: str = Field(
        default="personas/pistachio", min_length=1, description="folder of the persona that is trained and judged"
    )
    policy: str = Field(
        default="evals/policy.toml", min_length=1, description="thresholds, margins and minimum counts of the judge"
    )
    history: str = Field(
        default="evals/eval_history.jsonl", min_length=1, description="the append-only log: one line a finished run"
    )
    artifacts: str = Field(
        default="artifacts", min_length=1, description="folder for images, runs and reports; never tracked by git"
    )
    requirements: str = Field(
        default="requirements-pod.txt", min_length=1, description="what a pod installs; judged by the predeploy gates"
    )
    pod: str = Field(default="", description="kind of pod that the predeploy gates assume; empty: none chosen")
    budget: str = Field(
        default="",
        pattern=r"^(\d{1,9}(\.\d{1,4})?( [A-Z]{3})?)?$",
        description="what a run on a pod may cost, such as '20 USD' (no currency: the pod's); empty: none declared",
    )
    pod_stop: list[str] = Field(
        default=[],
        description="command that stops the pod, a list of arguments run without a shell, ${NAME} filled from the "
        "environment; empty: none",
    )
    sampling_server: str = Field(
        default="",
        pattern=r"^(https?://[A-Za-z0-9.\[\]:-]+(/[A-Za-z0-9._~/-]*)?)?$",
        description="address of the image server that draws for personas whose sampler names a backend, such as "
        "'http://127.0.0.1:8188'; empty: none",
    )
    sampling_server_timeout_seconds: int = Field(
        default=600, ge=1, le=86_400, description="how long that server may take for one image"
    )
    sampling_known_answer: Literal["auto", "always"] = Field(
        default="auto",
        description="whether images are drawn here too, to compare with the server's: auto where the base's weights "
        "are small (512 MiB), or always",
    )
    release_timeout_minutes: int = Field(
        default=720, ge=1, le=100_000, description="wall-clock limit of training, sampling and measuring together"
    )


@dataclass(frozen=True)
class Project:
    """Where the checkout stands and what its settings say."""

    root: Path
    settings: Settings
    written: frozenset[str]

    def path(self, name: str) -> Path:
        """Return the path of setting ``name``, resolved against the root."""
        return self.root / str(getattr(self.settings, name))


def project_root() -> Path:
    """Return the folder that holds the ``lifeos`` package: the root of the checkout."""
    return Path(__file__).resolve().parent.parent


def load_project(root: Path | None = None) -> Project:
    """Read the settings below ``root`` (default: the checkout); without a file the defaults hold.

    Raises:
        InputError: the file is no TOML, has an unknown key, or a value of another type or range.
    """
    root = project_root() if root is None else Path(root)
    path = root / SETTINGS_FILE
    values = read_toml(path) if path.exists() else {}
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise InputError(validation_line(path, error, "lifeos settings")) from error
    return Project(root, settings, frozenset(values))


def settings_table(project: Project) -> list[tuple[str, str, str, str]]:
    """Return one row a key: name, value that holds, where it comes from, meaning."""
    return [
        (
            name,
            str(getattr(project.settings, name)),
            SETTINGS_FILE if name in project.written else "default",
            str(field.description),
        )
        for name, field in Settings.model_fields.items()
    ]


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        InputError: the file is missing, unreadable, not UTF-8 or not TOML.
    """
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: accepted a TOML file, got {error.strerror}; next: check the path") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: accepted TOML, got {error}; next: correct that line") from error


def validation_line(path: Path, error: ValidationError, command: str) -> str:
    """Fold pydantic's first complaint into the one line of an ``InputError``."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or "the file"
    got = "nothing" if first["type"] == "missing" else repr(first["input"])[:80]
    return f"{path}: {where}: {first['msg']}, got {got}; next: {command}"
