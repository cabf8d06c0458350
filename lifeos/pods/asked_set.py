"""A requirements file as one set of conditions for one Python: markers decided, lines of one package joined."""

import re
from dataclasses import dataclass
from pathlib import Path

from lifeos.errors import InputError
from lifeos.pods.corrections import Asked
from lifeos.pods.requirements import Line, Option, parse_requirements, read_options

# Options that say where packages are; the others speak of how pip installs, which no metadata answers.
_PLACES = ("-i", "--index-url", "--extra-index-url", "-f", "--find-links", "--no-index", "--pre", "--trusted-host")
_HARMLESS = ("--require-hashes", "--prefer-binary", "--only-binary", "--use-feature")
_NEXT = "next: name the package and its version"


@dataclass(frozen=True)
class AskedSet:
    """What a file asks for under one Python.

    ``options`` are the file's index options as written, ``uv_options`` the same for uv's command line.
    """

    asked: tuple[Asked, ...]
    options: tuple[str, ...] = ()
    uv_options: tuple[str, ...] = ()

    @property
    def options_as_arguments(self) -> tuple[str, ...]:
        """The file's index options as arguments of an installer."""
        return tuple(part for line in self.options for part in line.split(None, 1))


def read_asked(path: Path, python: str) -> AskedSet:
    """Read a requirements file for a Linux x86-64 pod with this Python.

    Raises:
        InputError: the file is missing, unreadable or without a requirement; a line that pip does not understand; a
            URL, a local path, a nested file, an option that changes what gets built, a hash that is no SHA-256 or a
            version that cannot be compared: metadata does not speak of them.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "bytes that are not UTF-8"
        raise InputError(f"{path}: accepted a requirements file, got {reason}; next: check the path") from error
    lines, findings = parse_requirements(text)
    if findings:
        raise InputError(f"{path}: accepted requirements with versions, got {findings[0]}; {_NEXT}")
    asked: dict[str, Asked] = {}
    for line in lines:
        requirement = line.requirement
        if requirement.url is not None:
            got = f"a URL or a local path on line {line.number}: {requirement.name}"
            raise InputError(f"{path}: accepted packages of an index, got {got}; {_NEXT}")
        _refuse_unreadable(path, line)
        if requirement.marker is not None and not requirement.marker.evaluate(dict(marker_environment(python))):
            continue
        one = Asked(
            name=re.sub(r"[-_.]+", "-", requirement.name).lower(),
            extras=frozenset(requirement.extras),
            specifier=str(requirement.specifier),
            hashes=line.hashes,
        )
        asked[one.name] = _joined(asked[one.name], one) if one.name in asked else one
    if not asked:
        raise InputError(f"{path}: accepted at least one requirement, got none for Python {python}; next: add one")
    options = read_options(text)
    return AskedSet(tuple(asked.values()), *_places(path, options))


def marker_environment(python: str, extra: str = "") -> dict[str, str]:
    """Return what environment markers read on a Linux x86-64 pod with this Python (``"3.11"``)."""
    return {
        "implementation_name": "cpython",
        "implementation_version": f"{python}.0",
        "os_name": "posix",
        "platform_machine": "x86_64",
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": f"{python}.0",
        "python_version": python,
        "sys_platform": "linux",
        "extra": extra,
    }


def _refuse_unreadable(path: Path, line: Line) -> None:
    """Raise for what pip understands and this gate cannot compare with metadata."""
    from packaging.version import InvalidVersion, Version

    other = [one.partition(":")[0] for one in line.hashes if not one.startswith("sha256:")]
    if other:
        got = f"{other[0]} on line {line.number}"
        raise InputError(f"{path}: accepted SHA-256 hashes, which an index names, got {got}; next: take those")
    for part in line.requirement.specifier:
        try:
            Version(part.version.removesuffix(".*"))
        except InvalidVersion:
            got = f"{part} on line {line.number}"
            raise InputError(f"{path}: accepted versions that can be compared, got {got}; {_NEXT}") from None


def _joined(first: Asked, second: Asked) -> Asked:
    specifier = ",".join(part for part in (first.specifier, second.specifier) if part)
    return Asked(first.name, first.extras | second.extras, specifier, first.hashes + second.hashes)


def _places(path: Path, options: list[Option]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    written: list[str] = []
    for_uv: list[str] = []
    for option in options:
        if option.name in _HARMLESS:
            continue
        if option.name not in _PLACES:
            got = f"{option.name} on line {option.number}"
            raise InputError(f"{path}: accepted wheels of an index, got {got}; next: remove that line")
        if option.name in ("-f", "--find-links", "-i", "--index-url", "--extra-index-url") and (
            "://" not in option.value or option.value.startswith("file:")
        ):
            got = f"a folder of this machine on line {option.number}"
            raise InputError(f"{path}: accepted an index that the pod reaches, got {got}; next: remove that line")
        if option.name == "--trusted-host":
            continue
        written.append(f"{option.name} {option.value}".strip())
        for_uv += ["--prerelease", "allow"] if option.name == "--pre" else [option.name, option.value]
    return tuple(written), tuple(part for part in for_uv if part)
