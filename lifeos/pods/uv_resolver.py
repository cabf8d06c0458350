"""uv as the resolver: one subprocess a question, nothing installed, and an honest word for each way it can end."""

import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlparse

if TYPE_CHECKING:
    from packaging.version import Version

_TIMEOUT_SECONDS = 180
# Words of uv's proof that speak of what an index holds; without them the proof rests on metadata alone.
_INDEX_WORDS = re.compile(
    r"no version|not found|no (usable )?wheels|is available|are available|following versions|"
    r"network (connectivity )?(is|was) disabled|could not be (read|parsed)|invalid metadata"
)
_NETWORK_WORDS = re.compile(
    r"network (connectivity )?(is|was) disabled|not found in the cache|failed to fetch|error sending request|"
    r"request failed|dns error|tcp connect|timed out|connection|unauthorized|forbidden|credentials",
    re.IGNORECASE,
)
# Ends with 1 too, and proves nothing: an empty offline cache, an index that refused.
_NO_ANSWER = re.compile(
    r"in the cache|network .{0,20}disabled|could not be queried|Unauthorized|Forbidden|credentials", re.IGNORECASE
)
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")


@dataclass(frozen=True)
class Target:
    """For which machine packages are chosen: ``x86_64-manylinux_2_28`` and ``3.11``."""

    platform: str
    python: str


@dataclass(frozen=True)
class Pinned:
    """One package of a resolution: canonical name, version, and the wheel with its size in bytes where known.

    ``other_wheels`` are further ones that fit, such as a later build of the same version.
    """

    name: str
    version: "Version"
    wheel: str
    size: int | None
    sha256: frozenset[str] = frozenset()
    other_wheels: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}=={self.version}"


@dataclass(frozen=True)
class Solved:
    """A resolution by package name."""

    packages: dict[str, Pinned]


@dataclass(frozen=True)
class Conflict:
    """uv proved that no choice of versions satisfies the requirements.

    ``names`` are the packages of the proof. ``subjects`` are those whose requirements it rests on; ``of_index`` says
    whether it also rests on which versions and wheels there are, ``of_lines`` that it rests on the question alone.
    """

    reason: str
    names: frozenset[str]
    subjects: frozenset[str]
    of_index: bool
    of_lines: bool = False


@dataclass(frozen=True)
class Unavailable:
    """No answer: no uv, no network, an empty cache, an index that refused."""

    reason: str


Answer = Solved | Conflict | Unavailable


@dataclass(frozen=True)
class Question:
    """What is asked: requirement lines, constraints on whatever gets chosen, packages left out."""

    requirements: tuple[str, ...]
    constraints: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    lowest: bool = False


@dataclass
class Resolver:
    """Asks uv, and remembers its answers.

    Args:
        target: the pod's platform and Python.
        environment: what uv sees: where the packages are.
        options: further arguments of uv, such as ``--offline``.
        cache: uv's cache folder; None for its own.
    """

    target: Target
    environment: dict[str, str]
    options: tuple[str, ...] = ()
    cache: Path | None = None
    asked: int = 0
    _answers: dict[Question, Answer] = field(default_factory=dict)

    def resolve(self, question: Question) -> Answer:
        """Return uv's answer; the same question is asked once."""
        if question not in self._answers:
            self.asked += 1
            self._answers[question] = self._ask(question)
        return self._answers[question]

    def _ask(self, question: Question) -> Answer:
        binary = uv_binary()
        if binary is None:
            return Unavailable("uv is not installed here; next: python -m pip install -r requirements.lock")
        with tempfile.TemporaryDirectory(prefix="lifeos-uv-") as name:
            folder = Path(name)
            command = [
                binary, "pip", "compile", _written(folder, "requirements.in", question.requirements),
                "--constraints", _written(folder, "constraints.txt", question.constraints),
                "--excludes", _written(folder, "excludes.txt", question.excludes),
                "--python-platform", self.target.platform, "--python-version", self.target.python,
                # Unnamed, uv looks for an interpreter first: .12 of .15 s a question where PATH holds pyenv's shims.
                "--python", sys.executable,
                "--only-binary", ":all:", "--no-python-downloads", "--no-header", "--no-annotate", "--quiet",
                "--format", "pylock.toml", "--resolution", "lowest-direct" if question.lowest else "highest",
                *(["--cache-dir", str(self.cache)] if self.cache is not None else []), *self.options,
            ]  # fmt: skip
            try:
                done = subprocess.run(
                    command, cwd=folder, env=self.environment, capture_output=True, text=True, encoding="utf-8",
                    errors="replace", timeout=_TIMEOUT_SECONDS, check=False,
                )  # fmt: skip
            except subprocess.TimeoutExpired:
                return Unavailable(f"uv gave no answer within {_TIMEOUT_SECONDS} seconds")
            except OSError as error:
                return Unavailable(f"uv cannot be started: {error.strerror}")
        return read_answer(done.returncode, done.stdout, done.stderr)


def uv_binary() -> str | None:
    """Return the uv that this environment installed, None where there is none."""
    try:
        from uv import find_uv_bin
    except ImportError:
        return None
    try:
        return str(find_uv_bin())
    except (FileNotFoundError, OSError):
        return None


def clean_environment(inherited: dict[str, str] | None = None) -> dict[str, str]:
    """Return the environment without anything that steers uv or names an index."""
    start = dict(os.environ) if inherited is None else inherited
    return {name: value for name, value in start.items() if not name.startswith(("UV_", "PIP_"))}


def read_answer(status: int, stdout: str, stderr: str) -> Answer:
    """Turn uv's exit status and output into an answer.

    uv ends with 1 both when it proves a contradiction and when an offline cache is empty: the latter is no answer.
    """
    if status == 0:
        try:
            return Solved(_read_lock(tomllib.loads(stdout)))
        except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
            return Unavailable(f"uv's lock cannot be read: {type(error).__name__}: {error}")
    text = " ".join(re.sub(r"\bcause: ", "", stderr).split())
    if status == 1 and "No solution found" in text and not _NO_ANSWER.search(text):
        proof = re.split(r"\bhint: ", text.split("No solution found when resolving dependencies", 1)[-1])[0]
        reason = proof.strip(" :×╰─▶") or "no choice of versions satisfies the requirements"
        return Conflict(
            reason=reason,
            names=frozenset(_canonical(name) for name in _NAME.findall(proof)),
            subjects=frozenset(
                _canonical(re.split(r"[\[<>=!~]", subject)[0]) for subject in re.findall(r"(\S+) depends? on", proof)
            ),
            of_index=bool(_INDEX_WORDS.search(text)),
            of_lines="you require" in proof and "depend" not in proof and not _INDEX_WORDS.search(text),
        )
    if _NETWORK_WORDS.search(text):
        return Unavailable("the package index cannot be reached")
    return Unavailable(f"uv ended with {status}: {_without_addresses(text)[:200] or 'no message'}")


def _read_lock(lock: dict[str, Any]) -> dict[str, Pinned]:
    from packaging.version import Version

    found = {}
    for row in lock.get("packages", []):
        name = _canonical(row["name"])
        wheels = row.get("wheels") or []
        files = [entry.get("name") or _file_name(entry.get("url") or entry.get("path") or "") for entry in wheels]
        sizes = [entry["size"] for entry in wheels if "size" in entry]
        found[name] = Pinned(
            name=name,
            version=Version(row["version"]),
            wheel=files[0] if files else "",
            size=min(sizes) if sizes else None,
            sha256=frozenset(entry["hashes"]["sha256"] for entry in wheels if "sha256" in entry.get("hashes", {})),
            other_wheels=tuple(files[1:]),
        )
    return found


def _file_name(address: str) -> str:
    return unquote(Path(urlparse(address).path).name)


def _written(folder: Path, name: str, lines: Iterable[str]) -> str:
    path = folder / name
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return str(path)


def _without_addresses(text: str) -> str:
    # An address may carry a password.
    return re.sub(r"\S+://\S+", "(address)", text)


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
