"""Prompts as text and nothing else: what a server would read as markup is escaped, or refused where it cannot be.

What each server reads: ``comfy/sd1_clip.py`` of ComfyUI; ``modules/prompt_parser.py`` and ``modules/extra_networks.py``
of stable-diffusion-webui.
"""

import re
from collections.abc import Iterable

from lifeos.errors import InputError

# <lora:name:1> and every other extra network; a lone < is refused too, since extensions have tags of their own.
_A1111_REFUSED = (
    (re.compile(r"[<>]"), "text without < and >, which name networks to load"),
    (re.compile(r"\b(AND|BREAK)\b"), "text without AND and BREAK, which cut a prompt"),
    (re.compile(r"^\s*#"), "text that is no comment"),
    (re.compile(r"[{}]|__"), "text without {, } and __, which extensions fill in"),
)
_COMFYUI_REFUSED = ((re.compile(r"embedding:", re.IGNORECASE), "text without embedding:, which names a file to load"),)


def escape_for_comfyui(text: str) -> str:
    r"""Return a prompt with ``(`` and ``)`` as ``\(`` and ``\)``: unescaped they weight what they hold.

    Raises:
        InputError: it would load an embedding, or holds a control character.
    """
    _refuse(text, _COMFYUI_REFUSED)
    return re.sub(r"([()])", r"\\\1", text)


def escape_for_a1111(text: str, embeddings: Iterable[str] = ()) -> str:
    r"""Return a prompt with brackets and backslashes escaped: unescaped they weight, schedule and alternate.

    Args:
        text: the prompt.
        embeddings: names of the server's embeddings; such a word in a prompt loads one.

    Raises:
        InputError: it would load a network or an embedding, be cut or left out, or holds a control character.
    """
    _refuse(text, _A1111_REFUSED)
    for name in embeddings:
        if name and name.lower() in text.lower():
            raise InputError(f"prompt {text!r:.120}: accepted text without the names of the server's embeddings, got "
                             f"{name!r:.80}; next: reword the prompt, or rename that embedding")  # fmt: skip
    return re.sub(r"([()\[\]\\])", r"\\\1", text)


def _refuse(text: str, refused: Iterable[tuple[re.Pattern[str], str]]) -> None:
    for pattern, accepted in ((re.compile(r"[^\S ]|[\x00-\x1f\x7f]"), "one line of text"), *refused):
        if pattern.search(text):
            raise InputError(f"prompt {text!r:.120}: accepted {accepted}, got {pattern.search(text)[0]!r}; "  # type: ignore[index]
                             "next: reword the prompt")  # fmt: skip
