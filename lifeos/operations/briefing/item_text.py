"""What a sentence of an agent may hold, its id, and how it stands in a Markdown file without meaning anything there."""

import re
import unicodedata

from evals.content_hash import hash_json
from lifeos.operations.briefing.model import KINDS, Kind

LONGEST_TEXT = 240
_ID_DIGITS = 12
# Format, control, private, surrogate, unassigned, line and paragraph separators: NFKC leaves tags, zero-width and
# bidirectional signs as they are, and a reader sees another text than a program.
_HIDDEN = frozenset({"Cf", "Cc", "Co", "Cs", "Cn", "Zl", "Zp"})
_REFUSED = (
    (re.compile(r"<!|-->|<\?"), "an HTML comment or declaration"),
    (re.compile(r"</?[A-Za-z]"), "an HTML tag"),
    (re.compile(r"^\s*[#>|+*=-]"), "Markdown structure at its beginning"),
    (re.compile(r"^\s*\d{1,9}[.)]"), "a list number at its beginning"),
    (re.compile(r"`|~~~"), "a code fence or code span"),
    (re.compile(r"(?:^|[^\w.+-])@\S"), "an @path, which agents read as a file to include"),
    (re.compile(r"lifeos:(?:begin|end)", re.IGNORECASE), "a marker of the reducer"),
    (re.compile(r"\]\s*[(\[:]|!\["), "a Markdown link"),
    (re.compile(r"\(evidence:", re.IGNORECASE), "a second list of evidence"),
    (re.compile(r"\{\{|\{%|\$\{|\$\("), "a template or shell expression"),
    (re.compile(r"&(?:#\w+|\w+);"), "an HTML entity"),
)
_ADDRESS = re.compile(r"\b[a-z][a-z0-9+.-]*://|\bwww\.", re.IGNORECASE)
# What CommonMark reads as markup inside a line. An underscore within a word is none, and gate ids are full of them.
_MARKUP = re.compile(r"[\\*\[\]<>|$~]|(?<![^\W_])_|_(?![^\W_])|&(?=[#\w])|!(?=\[)")


def hidden_character(text: str, allowed: str = "") -> str | None:
    """Return the name of the first character that a reader does not see as it is, or None."""
    for character in text:
        if character not in allowed and unicodedata.category(character) in _HIDDEN:
            return f"U+{ord(character):04X} ({unicodedata.category(character)})"
    return None


def refused_text(text: str, kind: Kind) -> str | None:
    """Return why a sentence is refused, or None.

    Args:
        text: the sentence.
        kind: rules may hold no address: whoever owns what lies there would own the rule.
    """
    if not text.strip():
        return "an empty sentence"
    if text != text.strip():
        return "a sentence with blanks around it"
    if len(text) > LONGEST_TEXT:
        return f"a sentence of {len(text)} characters, {LONGEST_TEXT} are accepted"
    hidden = hidden_character(text)
    if hidden is not None:
        return f"the hidden character {hidden}"
    if not any(character.isalpha() for character in text):
        return "a sentence without a letter"
    # A full-width sign may become markup once normalised, and a reader takes it for the plain one.
    for form in (text, unicodedata.normalize("NFKC", text)):
        for pattern, what in _REFUSED:
            if pattern.search(form):
                return what
        if kind == "rule" and _ADDRESS.search(form):
            return "an address in a rule"
    return None


def item_id(kind: Kind, key: str, text: str) -> str:
    """Return the id of an item: the same for texts that differ in case or compatible forms of characters alone."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return f"{KINDS[kind][0]}-{hash_json([kind, key, folded])[:_ID_DIGITS]}"


def inert(text: str) -> str:
    """Return a sentence so that Markdown shows it as it is; ``text`` passed ``refused_text``."""
    return _MARKUP.sub(lambda found: "\\" + found.group(), text)


def secret_in(text: str) -> str | None:
    """Return what kind of secret a line seems to hold (``"AWS Access Key"``), or None.

    Every detector with a pattern of its own is asked. Those of high entropy are not: unquoted, they take any word for a
    secret, and a briefing is full of hashes.
    """
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
    from detect_secrets.core.scan import scan_line
    from detect_secrets.settings import transient_settings

    names = sorted(plugin.__name__ for plugin in get_mapping_from_secret_type_to_class().values())
    plugins = [{"name": name} for name in names if "HighEntropy" not in name]
    with transient_settings({"plugins_used": plugins}):
        found = sorted({str(secret.type) for secret in scan_line(text)})
    return found[0] if found else None
