"""The body of a briefing: five headings, plain paragraphs below the first and last, one list below the others."""

from typing import Any

from lifeos.operations.briefing.model import KINDS, SECTIONS
from lifeos.operations.briefing.reading import Reading
from lifeos.operations.strict_yaml import Document

_LISTS = {heading for _, heading in KINDS.values()}


def read_sections(document: Document, reading: Reading) -> dict[str, list[tuple[int, str]]]:
    """Return (line, source) of every paragraph or item below each heading; anything else is refused.

    Markdown-it says what a line is, so that a fence, an indented block or a reference definition cannot pass for one.
    """
    from markdown_it import MarkdownIt

    lines = document.body.split("\n")
    tokens = MarkdownIt("commonmark").parse(document.body)
    found: dict[str, list[tuple[int, str]]] = {}
    covered: set[int] = set()
    order: list[str] = []
    current: str | None = None
    for position, token in enumerate(tokens):
        if token.map is None or token.type == "inline":
            continue
        begin, end = token.map
        line = document.body_line + begin
        covered.update(range(begin, end))
        source = "\n".join(lines[begin:end]).rstrip("\n")
        if token.type == "heading_open":
            heading = source.removeprefix("## ")
            if token.tag != "h2" or token.markup != "##" or heading not in SECTIONS or source != f"## {heading}":
                reading.refuse(line, f"a heading that is none of {', '.join('## ' + name for name in SECTIONS)}")
                continue
            current = heading
            order.append(heading)
            found.setdefault(heading, [])
        elif current is None:
            reading.refuse(line, "text before the first heading")
        elif current in _LISTS:
            _take_item(token, position, tokens, (line, source), current, found, reading)
        elif token.type != "paragraph_open" or token.level > 0:
            reading.refuse(line, f"{token.type.removesuffix('_open')} below {current}, plain paragraphs are accepted")
        else:
            found[current].append((line, source))
    for number, text in enumerate(lines):
        if text.strip() and number not in covered:
            reading.refuse(document.body_line + number, "a line that Markdown does not show")
    if order != list(SECTIONS):
        reading.refuse(document.body_line, f"accepted the headings {', '.join(SECTIONS)}, once each, in this order")
    return found


def _take_item(
    token: Any,
    position: int,
    tokens: list[Any],
    at: tuple[int, str],
    heading: str,
    found: dict[str, list[tuple[int, str]]],
    reading: Reading,
) -> None:
    line, source = at
    if token.type == "list_item_open" and token.level == 1 and token.markup == "-":
        inside = []
        for following in tokens[position + 1 :]:
            if following.type == "list_item_close" and following.level == token.level:
                break
            inside.append(following.type)
        if inside != ["paragraph_open", "inline", "paragraph_close"] or "\n" in source.rstrip():
            reading.refuse(line, f"an item of several lines or blocks below {heading}, one line each is accepted")
        else:
            found[heading].append((line, source))
    elif not (
        (token.type == "bullet_list_open" and token.level == 0 and token.markup == "-")
        or (token.type == "paragraph_open" and token.level == 2)
    ):
        reading.refuse(line, f"{token.type.removesuffix('_open')} below {heading}, items with - are accepted")
