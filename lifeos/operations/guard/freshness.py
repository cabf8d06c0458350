"""Is a document still true: it names the files it is about, and the digest they had when a person last looked."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evals.atomic import write_bytes
from evals.content_hash import hash_bytes, hash_json
from evals.verdict import Verdict, failed, not_evaluated, passed
from lifeos.errors import InputError
from lifeos.operations.guard.checkout import Checkout
from lifeos.operations.guard.globs import matches
from lifeos.operations.guard.planes import control_files
from lifeos.operations.strict_yaml import YamlError, split_front_matter
from lifeos.settings import read_toml, validation_line

EXCEPTIONS_FILE = "context/freshness-exceptions.toml"
DAYS_WITHOUT_GOVERNS = 90
DAYS_OF_AN_EXCEPTION = 90
KEYS = ("governs", "verified_digest", "verified_on")


class _Exception(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    document: str
    until: date
    reason: Annotated[str, Field(min_length=3)]
    by: Annotated[str, Field(min_length=1)]


class _Exceptions(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    exception: list[_Exception] = []


@dataclass(frozen=True)
class Freshness:
    """One document.

    Args:
        document: its name.
        stale: why it is, or None.
        digest: of what it governs today, or None where it governs nothing.
        excused: until when a person lets it stand, or None.
        control: whether it is a control file.
    """

    document: str
    stale: str | None
    digest: str | None
    excused: date | None
    control: bool


def read_freshness(checkout: Checkout, as_of: date) -> tuple[list[Freshness], list[str]]:
    """Judge every control file and page of docs/ that says what it governs or when it was verified.

    Args:
        checkout: with the tracked files known.
        as_of: day for dates.

    Returns:
        the documents, and problems of the exceptions.

    Raises:
        InputError: the file of exceptions is no such file.
    """
    control = control_files(checkout)
    docs = sorted(name for name in checkout.tracked or () if re.fullmatch(r"docs/[^/]+\.md", name))
    found = []
    exceptions = _read_exceptions(checkout)
    for name in [*control, *docs]:
        each = _judge(checkout, name, as_of, name in control)
        if each is not None:
            mine = [e.until for e in exceptions if e.document == name and e.until >= as_of]
            excused = mine[0] if mine and each.stale else None
            found.append(Freshness(each.document, each.stale, each.digest, excused, each.control))
    return found, list(_exception_problems(exceptions, found, as_of))


def freshness_verdict(checkout: Checkout, as_of: date, *, control: bool) -> Verdict:
    """Judge the control files, or the pages of docs/.

    Raises:
        InputError: as ``read_freshness``.
    """
    if checkout.tracked is None:
        return not_evaluated("git does not list the tracked files; next: git init, git add, git commit")
    found, problems = read_freshness(checkout, as_of)
    asked = [each for each in found if each.control == control]
    stale = [f"{each.document}: {each.stale}" for each in asked if each.stale and each.excused is None]
    stale += problems if control else []
    if stale:
        rest = f" (and {len(stale) - 1} more)" if len(stale) > 1 else ""
        return failed(f"{stale[0]}{rest}; next: lifeos freshness-check", value=len(stale), threshold=0)
    if not asked and control:
        return not_evaluated("no control file says what it governs or when it was verified; next: docs/guardrails.md")
    return passed(f"{len(asked)} documents agree with what they govern, as of {as_of}", value=0, threshold=0)


def verify_document(checkout: Checkout, name: str, on: date) -> str | None:
    """Pin a document to what it governs today, after a person looked; return the digest, or None where it has none.

    Only the lines ``verified_digest`` and ``verified_on`` of its front matter change; line ends stay.

    Raises:
        InputError: it is no tracked document with front matter that says what it governs or when it was verified.
    """
    data = checkout.read(name)
    if data is None or name not in (checkout.tracked or ()):
        raise InputError(f"--verify {name}: accepted a tracked document, got none; next: lifeos freshness-check")
    each = _judge(checkout, name, on, control=False)
    if each is None:
        raise InputError(f"--verify {name}: accepted front matter with governs or verified_on, got none; next: "
                         f"docs/guardrails.md")  # fmt: skip
    wanted = {"verified_on": on.isoformat()} | ({"verified_digest": each.digest} if each.digest else {})
    write_bytes(checkout.root / name, _with_front_matter(data, wanted))
    return each.digest


def governed_digest(checkout: Checkout, name: str, globs: Sequence[str]) -> str | None:
    """Return the SHA-256 over names and bytes of the tracked files that match, or None when none does.

    Line ends of Windows count as ``\\n``, in every file: a checkout with converted ends has the same digest. The
    document itself is left out.
    """
    files = sorted(each for each in checkout.tracked or () if each != name and any(matches(each, g) for g in globs))
    if not files:
        return None
    return hash_json([[each, _content_hash(checkout, each)] for each in files])


def _content_hash(checkout: Checkout, name: str) -> str:
    data = checkout.read(name)
    return "gone" if data is None else hash_bytes(data.replace(b"\r\n", b"\n"))


def _judge(checkout: Checkout, name: str, as_of: date, control: bool) -> Freshness | None:
    text = checkout.text(name)
    if text is None or not text.startswith("---\n"):
        return None
    try:
        values = split_front_matter(text, name).values
    except YamlError as error:
        return Freshness(name, f"front matter: line {error.line}: {error.got}", None, None, control)
    if not any(key in values for key in KEYS):
        return None
    globs, pinned, on = (values.get(key) for key in KEYS)
    digest = None
    if globs is not None:
        if not isinstance(globs, list) or not globs or not all(isinstance(each, str) for each in globs):
            return Freshness(name, f"governs: accepted a list of patterns, got {globs!r}", None, None, control)
        digest = governed_digest(checkout, name, globs)
        unmatched = [g for g in globs if not any(matches(each, g) for each in checkout.tracked or () if each != name)]
        if unmatched:
            return Freshness(name, f"governs: {unmatched[0]} matches no tracked file", digest, None, control)
        said = None if pinned == digest else "what it governs changed since it was verified"
        return Freshness(name, said if pinned else "was never verified", digest, None, control)
    return Freshness(name, _age(on, as_of), None, None, control)


def _age(on: Any, as_of: date) -> str | None:
    try:
        verified = date.fromisoformat(on)
    except (TypeError, ValueError):
        return f"verified_on: accepted a date, got {on!r}"
    # A day ahead is another time zone; more would never go stale.
    if (verified - as_of).days > 1:
        return f"verified_on: accepted a day until {as_of}, got {on}"
    old = (as_of - verified).days > DAYS_WITHOUT_GOVERNS
    return f"was verified on {on}, more than {DAYS_WITHOUT_GOVERNS} days before {as_of}" if old else None


def _read_exceptions(checkout: Checkout) -> list[_Exception]:
    path = Path(checkout.root) / EXCEPTIONS_FILE
    if not path.exists():
        return []
    try:
        return _Exceptions.model_validate(read_toml(path)).exception
    except ValidationError as error:
        raise InputError(validation_line(path, error, "docs/guardrails.md")) from error


def _exception_problems(exceptions: list[_Exception], found: list[Freshness], as_of: date) -> Iterator[str]:
    stale = {each.document for each in found if each.stale}
    for each in exceptions:
        if each.until < as_of:
            yield f"{EXCEPTIONS_FILE}: the exception for {each.document} ended on {each.until}"
        elif (each.until - as_of).days > DAYS_OF_AN_EXCEPTION:
            yield (f"{EXCEPTIONS_FILE}: accepted at most {DAYS_OF_AN_EXCEPTION} days for {each.document}, "
                   f"got until {each.until}")  # fmt: skip
        elif each.document not in stale:
            yield f"{EXCEPTIONS_FILE}: {each.document} needs no exception"


def _with_front_matter(data: bytes, wanted: dict[str, str]) -> bytes:
    lines = data.splitlines(keepends=True)
    ending = b"\r\n" if lines[0].endswith(b"\r\n") else b"\n"
    close = next(n for n, line in enumerate(lines[1:], 1) if line.rstrip(b"\r\n") == b"---")
    for key, value in wanted.items():
        new = f"{key}: {value}".encode("ascii") + ending
        at = next((n for n in range(1, close) if lines[n].startswith(f"{key}:".encode("ascii"))), None)
        if at is None:
            lines.insert(close, new)
            close += 1
        else:
            lines[at] = new
    return b"".join(lines)
