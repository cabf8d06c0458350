"""Links of the control plane, README and docs/ that lead somewhere in the checkout."""

import posixpath
import re
from collections.abc import Iterator, Set
from urllib.parse import unquote

from evals.verdict import Verdict, failed, not_evaluated, passed
from lifeos.operations.guard.checkout import Checkout
from lifeos.operations.guard.planes import control_files

_FENCE = re.compile(r"\s*(`{3,}|~{3,})(.*)$")
_ITEM = re.compile(r"\s*(?:[-*+]|\d{1,9}[.)])\s")
# A span ends with its paragraph: a stray backtick hides nothing below.
_SPAN = re.compile(r"(?<![\\`])(`+)(?!`)(?:(?!\n[ \t]*\n).)+?(?<!`)\1(?!`)", re.DOTALL)
_TARGET = r"<[^<>\n]*>|[^\s()<>]*(?:\([^\s()]*\)[^\s()]*)*"
_LINK = re.compile(rf"(?<!\\)\]\(\s*({_TARGET})(?:\s+(?:\"[^\"]*\"|'[^']*'|\([^()]*\)))?\s*\)")
_DEFINITION = re.compile(r"^ {0,3}\[(?!\^)[^\]\n]+\]:[ \t]*(<[^<>\n]*>|\S+)", re.MULTILINE)
_HTML = re.compile(r"<(?:a|img)\b[^>]*?\b(?:href|src)\s*=\s*[\"']([^\"']*)[\"']", re.IGNORECASE)
_HTML_ANCHOR = re.compile(r"<a\b[^>]*?\b(?:id|name)\s*=\s*[\"']([^\"']+)[\"']", re.IGNORECASE)
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_HEADING = re.compile(r"^#{1,6} +(.+?)\s*#*$", re.MULTILINE)


def links_verdict(checkout: Checkout) -> Verdict:
    """Follow every relative link and anchor; addresses of the web are not asked."""
    if checkout.tracked is None:
        return not_evaluated("git does not list the tracked files; next: git init, git add, git commit")
    documents = sorted(
        {*control_files(checkout), *(n for n in checkout.tracked if re.fullmatch(r"README\.md|docs/[^/]+\.md", n))}
    )
    places = checkout.tracked | {folder for name in checkout.tracked for folder in _folders(name)}
    broken = [f"{name}: {said}" for name in documents for said in _broken(checkout, name, places)]
    if broken:
        rest = f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""
        return failed(f"{broken[0]}{rest}", value=len(broken), threshold=0)
    return passed(f"every link of {len(documents)} documents leads somewhere", value=0, threshold=0)


def link_targets(text: str) -> list[str]:
    """Return the targets of a Markdown text's links: inline, by reference and in HTML; code left out."""
    bare = _SPAN.sub("", _without_code_blocks(text))
    return [target.strip("<>") for pattern in (_LINK, _DEFINITION, _HTML) for target in pattern.findall(bare)]


def anchors(text: str) -> set[str]:
    """Return the anchors that GitHub gives the headings of a text, and those that it writes as HTML."""
    bare = _without_code_blocks(text)
    found: set[str] = set()
    for heading in _HEADING.findall(bare):
        words = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        number, anchor = 0, words
        while anchor in found:
            number += 1
            anchor = f"{words}-{number}"
        found.add(anchor)
    return found | set(_HTML_ANCHOR.findall(bare))


def _without_code_blocks(text: str) -> str:
    """Return a text without fenced and indented code; an indented line that continues a paragraph or item is none."""
    kept: list[str] = []
    fence, blank, in_list = "", True, False
    for line in text.split("\n"):
        mark = _FENCE.match(line)
        if fence:
            if mark is not None and mark[1].startswith(fence) and not mark[2].strip():
                fence = ""
            continue
        if mark is not None and not (mark[1][0] == "`" and "`" in mark[2]):
            fence, blank = mark[1], False
            continue
        indented = line.startswith(("    ", "\t"))
        if not line.strip():
            blank = True
        elif indented and blank and not in_list:
            continue
        else:
            in_list = _ITEM.match(line) is not None or (in_list and (not blank or line[0] in " \t"))
            blank = False
        kept.append(line)
    return "\n".join(kept)


def _folders(name: str) -> Iterator[str]:
    while name:
        name = posixpath.dirname(name)
        yield name or "."


def _broken(checkout: Checkout, name: str, places: Set[str]) -> Iterator[str]:
    text = checkout.text(name)
    if text is None:
        yield "cannot be read"
        return
    for target in link_targets(text):
        if not target:
            yield "a link names no target"
            continue
        if _ELSEWHERE.match(target):
            if not target.lower().startswith(("http:", "https:", "mailto:")):
                yield f"the link {target} leads to no place in the checkout"
            continue
        path, anchor = (unquote(part) for part in target.partition("#")[::2])
        place = posixpath.normpath(posixpath.join(posixpath.dirname(name), path)) if path else name
        if path.startswith("/") or place == ".." or place.startswith("../"):
            yield f"the link {target} leads out of the checkout"
        elif not (checkout.root / place).exists():
            yield f"the link {target} leads nowhere"
        elif place not in places:
            yield f"the link {target} leads to what git does not track: a clone would not have it"
        elif anchor and place.endswith(".md") and anchor not in anchors(checkout.text(place) or ""):
            yield f"the link {target} names no heading of {place}"
