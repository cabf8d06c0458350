"""Command lines in a text file, taken apart as a shell and argparse would; nothing is ever executed."""

import re
import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath

from lifeos.errors import InputError

# A line that goes on: sh ends it with a backslash, cmd with a caret, PowerShell with a backtick.
_CONTINUED = re.compile(r"[\\^`][ \t]*\r?\n")
_ASSIGNMENT = re.compile(r"(?:export\s+|set\s+)?([A-Za-z_]\w*)=(.*)", re.DOTALL)
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))")
_ENDS = frozenset({"&&", "||", ";", "|", "&", ">", ">>", "2>", "2>&1", "<"})
_LONGEST_VALUE = 4096


@dataclass(frozen=True)
class Argument:
    """One argument of a command: its name without dashes and what follows it, as text."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Command:
    """A call of a training script.

    Args:
        script: its name without folder and ``.py``; empty where the text holds arguments alone.
        launcher: arguments in front of the script (those of ``accelerate launch``).
        arguments: those of the script, in order.
        stray: words that belong to no argument.
        variables: shell variables that stand in a value and that the text does not set.
    """

    script: str
    launcher: tuple[Argument, ...]
    arguments: tuple[Argument, ...]
    stray: tuple[str, ...]
    variables: tuple[str, ...]


def parse_command(text: str, scripts: Collection[str], several: Collection[str]) -> Command:
    """Find the call of a known script in a text and take its arguments apart.

    Continued lines are joined, comments dropped, and variables that the text itself sets (``export NAME=value``) put in
    where they stand. A text without a call is read as arguments alone.

    Args:
        text: a shell script, a command line, or arguments.
        scripts: names of known scripts, without ``.py``.
        several: names of arguments that take several values, as argparse's ``nargs="*"``.

    Raises:
        InputError: quotes are not closed, or several scripts are called.
    """
    lines = _words_by_line(text)
    variables: dict[str, str] = {}
    calls, unset = [], set[str]()
    for words in lines:
        assigned = _ASSIGNMENT.fullmatch(words[0] if len(words) == 1 else " ".join(words[:2]))
        if assigned and len(words) <= 2:
            variables[assigned[1]] = _with_variables(assigned[2], variables, unset)
            continue
        filled = [_with_variables(word, variables, unset) for word in words]
        place = next((at for at, word in enumerate(filled) if _script_name(word) in scripts), None)
        if place is not None:
            calls.append((_script_name(filled[place]), filled[:place], filled[place + 1 :]))
    if len(calls) > 1:
        raise InputError(f"command: accepted one call of a training script, got {len(calls)}; next: keep one of them")
    if calls:
        script, before, after = calls[0]
    else:
        script, before = "", list[str]()
        after = [_with_variables(word, variables, unset) for words in lines for word in words]
    launcher, _ = _split_arguments(_until_end(before), ())
    arguments, stray = _split_arguments(_until_end(after), several)
    return Command(script, launcher, arguments, stray, tuple(sorted(unset)))


def _words_by_line(text: str) -> list[list[str]]:
    joined = _CONTINUED.sub(" ", text)
    try:
        lines = [shlex.split(line, comments=True) for line in joined.splitlines()]
    except ValueError:
        # A quoted value may run over several lines.
        try:
            lines = [shlex.split(joined, comments=True)]
        except ValueError as error:
            raise InputError(f"command: accepted closed quotes, got {error}; next: close them") from error
    return [words for words in lines if words]


def _with_variables(word: str, variables: Mapping[str, str], unset: set[str]) -> str:
    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if name not in variables:
            unset.add(name)
            return match[0]
        return variables[name]

    # Cut: a text that puts a variable into itself again and again must not grow without end.
    return _VARIABLE.sub(value, word)[:_LONGEST_VALUE]


def _script_name(word: str) -> str:
    # Of a path of either system; a word that is no .py has none.
    name = PureWindowsPath(PurePosixPath(word).name).name
    return name.removesuffix(".py") if name.endswith(".py") else ""


def _until_end(words: list[str]) -> list[str]:
    return words[: next((at for at, word in enumerate(words) if word in _ENDS), len(words))]


def _split_arguments(words: list[str], several: Collection[str]) -> tuple[tuple[Argument, ...], tuple[str, ...]]:
    found: list[tuple[str, list[str]]] = []
    stray: list[str] = []
    is_closed = True
    for word in words:
        if word.startswith("--") and len(word) > 2:
            name, equals, value = word[2:].partition("=")
            found.append((name, [value] if equals else []))
            is_closed = bool(equals) and name not in several
        elif found and not is_closed:
            found[-1][1].append(word)
            is_closed = found[-1][0] not in several
        else:
            stray.append(word)
    return tuple(Argument(name, tuple(values)) for name, values in found), tuple(stray)
