"""A pip requirements file read line by line, so that a mistake is named before a pod is paid for."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evals.verdict import Verdict, failed, not_evaluated, passed

if TYPE_CHECKING:
    from packaging.requirements import Requirement

# Options that pip accepts inside a requirements file; each takes the rest of its line.
_OPTIONS = (
    "-i", "--index-url", "--extra-index-url", "--no-index", "-f", "--find-links", "--no-binary", "--only-binary",
    "--prefer-binary", "--require-hashes", "--pre", "--trusted-host", "--use-feature", "-c", "--constraint",
)  # fmt: skip


_PLACE = re.compile(r"\.{0,2}/|[A-Za-z]:[\\/]|~|(?:[\w+.-]+:)?//|file:|[^@\s]*\.(?:whl|tar\.gz|zip)$")
_HASHES = ("sha256", "sha384", "sha512")


@dataclass(frozen=True)
class Line:
    """One requirement with the number of the line on which it starts."""

    number: int
    requirement: "Requirement"
    hashes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Option:
    """One option of the file, such as ``--index-url``, with its value."""

    number: int
    name: str
    value: str


@dataclass(frozen=True)
class Finding:
    """Something wrong with one line."""

    number: int
    text: str
    reason: str

    def __str__(self) -> str:
        # An address may carry a password.
        return f"line {self.number}: {self.reason}: {re.sub(r'[^ @]+://[^ ]+', '(address)', self.text)}"


def parse_requirements(text: str) -> tuple[list[Line], list[Finding]]:
    """Read requirements as pip does: comments, continuation lines, options, hashes, markers, extras, URLs.

    Args:
        text: content of the file.

    Returns:
        The requirements in order and what could not be read; a nested ``-r`` file, an editable install and a local
        path are findings, because what a pod installs must stand in this one file.
    """
    from packaging.requirements import InvalidRequirement, Requirement

    lines: list[Line] = []
    findings: list[Finding] = []
    for number, logical in _logical_lines(text):
        content = re.sub(r"(^|\s)#.*$", "", logical).strip()
        if not content:
            continue
        option = re.split(r"[\s=]", content, maxsplit=1)[0]
        if option in _OPTIONS:
            continue
        if option in ("-r", "--requirement", "-e", "--editable"):
            findings.append(Finding(number, content, "one file holds everything that a pod installs"))
            continue
        if content.startswith("-"):
            findings.append(Finding(number, content, "an option that pip does not know in a requirements file"))
            continue
        bare = re.sub(r"\s--hash[=\s]\S+", "", content).strip()
        hashes = tuple(re.findall(r"\s--hash[=\s](\S+)", content))
        if any(found.partition(":")[0] not in _HASHES for found in hashes):
            findings.append(Finding(number, content, f"a hash that is none of {', '.join(_HASHES)}"))
            continue
        if _PLACE.match(bare):
            findings.append(Finding(number, content, "a URL or a local path and no name of a package"))
            continue
        try:
            lines.append(Line(number, Requirement(bare), hashes))
        except InvalidRequirement as error:
            findings.append(Finding(number, content, str(error).splitlines()[0]))
    return lines, findings


def read_options(text: str) -> list[Option]:
    """Return the options of a requirements file in order, those that pip does not know left out."""
    options = []
    for number, logical in _logical_lines(text):
        content = re.sub(r"(^|\s)#.*$", "", logical).strip()
        name, _, value = [*re.split(r"([\s=])", content, maxsplit=1), "", ""][:3]
        if name in _OPTIONS:
            options.append(Option(number, name, value.strip()))
    return options


def contradictions(lines: list[Line]) -> list[Finding]:
    """Return requirements that repeat a package under markers that can hold at once, or that no version satisfies.

    Two lines for one package with different markers are legal (one a platform); two with the same marker are not: pip
    refuses a double requirement.
    """
    from packaging.utils import canonicalize_name

    findings = []
    seen: dict[tuple[str, str], Line] = {}
    for line in lines:
        key = (canonicalize_name(line.requirement.name), str(line.requirement.marker or ""))
        if key in seen:
            reason = f"the package stands on line {seen[key].number} already"
            findings.append(Finding(line.number, str(line.requirement), reason))
        else:
            seen[key] = line
        exact = sorted({part.version for part in line.requirement.specifier if part.operator in ("==", "===")})
        for version in exact:
            if not version.endswith(".*") and not line.requirement.specifier.contains(version, prereleases=True):
                findings.append(Finding(line.number, str(line.requirement), "no version satisfies every condition"))
                break
    return findings


def requirements_verdict(path: Path) -> Verdict:
    """Judge a requirements file: passed when every line parses and none contradicts another.

    A file that is missing, unreadable or empty of requirements is not evaluated.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        return not_evaluated(f"{path} cannot be read: {error}")
    lines, findings = parse_requirements(text)
    findings += contradictions(lines)
    if findings:
        rest = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
        return failed(f"{Path(path).name}: {findings[0]}{rest}", value=len(findings), threshold=0)
    if not lines:
        return not_evaluated(f"{path} holds no requirement")
    return passed(f"{len(lines)} requirements, every line understood", value=0, threshold=0)


def _logical_lines(text: str) -> list[tuple[int, str]]:
    logical: list[tuple[int, str]] = []
    start, held = 0, ""
    for number, physical in enumerate(text.splitlines(), 1):
        start = start or number
        if physical.endswith("\\") and not physical.lstrip().startswith("#"):
            held += physical[:-1] + " "
            continue
        logical.append((start, held + physical))
        start, held = 0, ""
    if held:
        logical.append((start, held))
    return logical
