"""One fault of one file: what was accepted there, what was found, and the one edit or command that mends it."""

import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lifeos.lora.dataset_lint.rules import Gate, Rule, rule_book


@dataclass(frozen=True)
class Finding:
    """What is wrong with one file.

    Args:
        rule: id in ``rules.toml``.
        file: the file; a finding about a whole folder names the folder.
        got: what was found instead of what the rule accepts.
        fix: one command or one edit.
        detail: what is accepted here in figures, where the rule alone does not say it (``128 x 128``).
        of_references: True for a file that is held out for judging.
    """

    rule: str
    file: Path
    got: str
    fix: str
    detail: str = ""
    of_references: bool = False

    @property
    def gate(self) -> Gate:
        """The gate that this finding blocks."""
        return "persona_sane" if self.of_references else self._rule.gate

    @property
    def accepted(self) -> str:
        """What the rule accepts, with figures."""
        accepted = rule_book().accepted(self.rule)
        return f"{accepted} ({self.detail})" if self.detail else accepted

    @property
    def because(self) -> str:
        """Why the rule stands."""
        return self._rule.because

    @property
    def place(self) -> str:
        """The file as ``folder/name``, printable."""
        return printable(f"{self.file.parent.name}/{self.file.name}")

    @property
    def line(self) -> str:
        """The finding as one printable line."""
        return printable(f"{self.place}: accepted {self.accepted}, got {self.got}; next: {self.fix}")

    def to_json(self) -> dict[str, Any]:
        """Return the finding as plain data."""
        return {
            "rule": self.rule,
            "gate": self.gate,
            "file": str(self.file),
            "accepted": self.accepted,
            "got": self.got,
            "fix": self.fix,
        }

    @property
    def _rule(self) -> Rule:
        return rule_book().rule_of(self.rule)


def printable(text: str) -> str:
    r"""Return text that any terminal and any UTF-8 file can take.

    Names and captions are data of others: control characters and bytes that are no UTF-8 become ``\x1b`` and the like.
    """
    safe = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in safe)


def quoted(path: Path) -> str:
    """Return a path as one argument of a shell of this system."""
    return f'"{path}"' if os.name == "nt" else shlex.quote(str(path))


def rewrite_command(path: Path) -> str:
    """Return the command that turns a picture into an upright, opaque, 8-bit one."""
    return f"lifeos lint-dataset --rewrite {quoted(path)}"


def delete_edit(image: Path) -> str:
    """Return the edit that takes a training image out of its set."""
    caption = image.with_suffix(".txt")
    return f"delete {image.name} and {caption.name}" if caption.exists() else f"delete {image.name}"
