"""Links of the control plane, README and docs/ that lead somewhere in the checkout."""

import posixpath
import re
from collections.abc import Iterator
from urllib.parse import unquote

from evals.verdict import Verdict, failed, not_evaluated, passed
from lifeos.operations.guard.checkout import Checkout
from lifeos.operations.guard.planes import control_files

_FENCE = re.compile(r"^(```|~~~).*?^\1[`~]*\s*$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"^(?: {4}|\t).*$", re.MULTILINE)
_SPAN = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
_LINK = re.compile(r"\[(?:[^\[\]]|\[[^\[\]]*\])*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_HEADING = re.compile(r"^#{1,6} +(.+?)\s*#*$", re.MULTILINE)


def links_verdict(checkout: Checkout) -> Verdict:
    """Follow every relative link and anchor; addresses of the web are not asked."""
    if checkout.tracked is None:
        return not_evaluated("git does not list the tracked files; next: git init, git add, git commit")
    documents = sorted(
        {*control_files(checkout), *(n for n in checkout.tracked if re.fullmatch(r"README\.md|docs/[^/]+\.md", n))}
    )
    broken = [f"{name}: {said}" for name in documents for said in _broken(checkout, name)]
    if broken:
        rest = f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""
        return failed(f"{broken[0]}{rest}", value=len(broken), threshold=0)
    return passed(f"every link of {len(documents)} documents leads somewhere", value=0, threshold=0)


def link_targets(text: str) -> list[str]:
    """Return the targets of the inline links of a Markdown text, code left out."""
    bare = _SPAN.sub("", _INDENTED.sub("", _FENCE.sub("", text)))
    return _LINK.findall(bare)


def anchors(text: str) -> set[str]:
    """Return the anchors that GitHub gives the headings of a text."""
    found: set[str] = set()
    for heading in _HEADING.findall(_FENCE.sub("", text)):
        words = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        number, anchor = 0, words
        while anchor in found:
            number += 1
            anchor = f"{words}-{number}"
        found.add(anchor)
    return found


def _broken(checkout: Checkout, name: str) -> Iterator[str]:
    text = checkout.text(name)
    if text is None:
        yield "cannot be read"
        return
    for target in link_targets(text):
        if _ELSEWHERE.match(target):
            if not target.lower().startswith(("http:", "https:", "mailto:")):
                yield f"the link {target} leads to no place in the checkout"
            continue
        path, _, anchor = unquote(target).partition("#")
        place = posixpath.normpath(posixpath.join(posixpath.dirname(name), path)) if path else name
        if path.startswith("/") or place.startswith(".."):
            yield f"the link {target} leads out of the checkout"
        elif not (checkout.root / place).exists():
            yield f"the link {target} leads nowhere"
        elif anchor and place.endswith(".md") and anchor not in anchors(checkout.text(place) or ""):
            yield f"the link {target} names no heading of {place}"
