"""Bytes to a briefing, or to every problem with its line; nothing is half accepted."""

import re
from collections import Counter
from typing import Any

from lifeos.operations.briefing.head import is_path, read_head
from lifeos.operations.briefing.item_text import LONGEST_TEXT, hidden_character, refused_text
from lifeos.operations.briefing.model import CONFIDENCES, KINDS, Briefing, BriefingError, Evidence, Item, Kind, Problem
from lifeos.operations.briefing.reading import Reading
from lifeos.operations.briefing.sections import read_sections
from lifeos.operations.strict_yaml import YamlError, split_front_matter

LARGEST_BYTES = 64 * 1024
MOST_ITEMS = 20
MOST_EVIDENCE = 8
LONGEST_SUMMARY = 2000
_MOST_PROBLEMS = 50

KEY = re.compile(r"[a-z][a-z0-9_-]{0,39}(\.[a-z0-9][a-z0-9_-]{0,39}){0,7}")
ITEM_ID = re.compile(r"[FTR]-[0-9a-f]{12}")
_LINE = re.compile(r"- \[([^\]]*)\] (.*?) \(evidence: (.*)\)\s*")
_SHA8 = re.compile(r"[0-9a-f]{8}")
_BY_HEADING: dict[str, Kind] = {heading: kind for kind, (_, heading) in KINDS.items()}


def parse_briefing(data: bytes, where: str) -> Briefing:
    """Read a briefing.

    Args:
        data: the file's bytes: UTF-8 without a byte order mark, at most 64 KiB, ``\\n`` or ``\\r\\n`` line ends.
        where: its name, for messages.

    Raises:
        BriefingError: with every problem found: size, characters, front matter, headings, structure, items, or a
            declared outcome that does not agree with what is there.
    """
    text = _text(data, where)
    try:
        document = split_front_matter(text, where)
    except YamlError as error:
        raise BriefingError(where, (Problem(error.line, error.got),)) from error
    reading = Reading()
    head = read_head(document, reading)
    sections = read_sections(document, reading)
    summary = _prose(sections.get("Summary", []), "Summary", reading)
    no_work = _prose(sections.get("No-work", []), "No-work", reading)
    items = tuple(
        item
        for heading, kind in _BY_HEADING.items()
        for line, source in sections.get(heading, [])
        if (item := _item(source, line, kind, reading)) is not None
    )
    count = sum(len(sections.get(heading, [])) for heading in _BY_HEADING)
    last = document.body_line + document.body.count("\n")
    if not summary and "Summary" in sections:
        reading.refuse(last, "Summary says nothing")
    if count > MOST_ITEMS:
        reading.refuse(last, f"{count} items, {MOST_ITEMS} are accepted")
    named = Counter((item.kind, item.key) for item in items)
    for item in items:
        if named[item.kind, item.key] > 1:
            reading.refuse(item.line, f"the key {item.key} twice among {KINDS[item.kind][1]}")
    _agree(head.get("outcome"), count, no_work, last, reading)
    if reading.problems:
        raise BriefingError(where, tuple(sorted(set(reading.problems))[:_MOST_PROBLEMS]))
    return Briefing(**head, summary=summary, items=items, no_work=no_work)


def _text(data: bytes, where: str) -> str:
    if len(data) > LARGEST_BYTES:
        raise BriefingError(where, (Problem(1, f"{len(data)} bytes, {LARGEST_BYTES} are accepted"),))
    if not data.strip():
        raise BriefingError(where, (Problem(1, "an empty file"),))
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise BriefingError(where, (Problem(line, "a byte that is no UTF-8"),)) from error
    text = text.replace("\r\n", "\n")
    problems = [
        Problem(number, f"the hidden character {hidden}")
        for number, line in enumerate(text.split("\n"), 1)
        if (hidden := hidden_character(line)) is not None
    ]
    if problems:
        raise BriefingError(where, tuple(problems[:_MOST_PROBLEMS]))
    return text


def _prose(paragraphs: list[tuple[int, str]], heading: str, reading: Reading) -> str:
    text = "\n\n".join(source for _, source in paragraphs)
    line = paragraphs[0][0] if paragraphs else 1
    if len(text) > LONGEST_SUMMARY:
        reading.refuse(line, f"{heading} of {len(text)} characters, {LONGEST_SUMMARY} are accepted")
    for at, source in paragraphs:
        for number, part in enumerate(source.split("\n")):
            # Prose is never promoted, but people read it in a terminal and a page.
            why = refused_text(part.strip()[:LONGEST_TEXT], "finding") if any(c.isalpha() for c in part) else None
            if why is not None:
                reading.refuse(at + number, f"{heading}: {why}")
    return text


def _item(source: str, line: int, kind: Kind, reading: Reading) -> Item | None:
    match = _LINE.fullmatch(source)
    if match is None:
        reading.refuse(line, "accepted - [dotted.key] one sentence (evidence: path#sha8; confidence: measured)")
        return None
    key, text, rest = match.groups()
    before = len(reading.problems)
    if not KEY.fullmatch(key):
        reading.refuse(line, f"key: accepted dotted lower-case words, got {key[:60]!r}")
    why = refused_text(text, kind)
    if why is not None:
        reading.refuse(line, f"text: {why}")
    first, *others = rest.split("; ")
    evidence = _evidence(first, line, reading)
    fields: dict[str, str] = {}
    for each in others:
        name, colon, value = each.partition(": ")
        if not colon or name not in ("confidence", "supersedes", "enforced_by") or name in fields:
            reading.refuse(line, f"accepted confidence, supersedes and enforced_by once each, got {each[:60]!r}")
        fields[name] = value
    confidence = fields.get("confidence")
    if confidence not in CONFIDENCES:
        reading.refuse(line, f"confidence: accepted {', '.join(CONFIDENCES)}, got {confidence!r}")
    supersedes = tuple(fields["supersedes"].split(", ")) if "supersedes" in fields else ()
    for each in supersedes:
        if not ITEM_ID.fullmatch(each) or each[0] != KINDS[kind][0] or supersedes.count(each) > 1:
            reading.refuse(line, f"supersedes: accepted ids of other {KINDS[kind][1].lower()}, got {each[:40]!r}")
    enforced_by = fields.get("enforced_by")
    if enforced_by is not None and (kind != "rule" or not is_path(enforced_by)):
        reading.refuse(line, f"enforced_by: accepted a gate id or test file of a rule, got {enforced_by[:60]!r}")
    if len(reading.problems) > before:
        return None
    return Item(kind, key, text, evidence, confidence, supersedes, enforced_by, line)  # type: ignore[arg-type]


def _evidence(text: str, line: int, reading: Reading) -> tuple[Evidence, ...]:
    found = []
    for each in text.split(", "):
        path, _, sha8 = each.rpartition("#")
        if not is_path(path) or not _SHA8.fullmatch(sha8):
            reading.refuse(line, f"evidence: accepted path#sha8 (8 hexadecimal digits), got {each[:80]!r}")
            continue
        found.append(Evidence(path, sha8))
    if len(found) > MOST_EVIDENCE or len(set(found)) < len(found):
        reading.refuse(line, f"evidence: accepted at most {MOST_EVIDENCE}, each once, got {len(found)}")
    return tuple(found)


def _agree(outcome: Any, count: int, no_work: str, last: int, reading: Reading) -> None:
    if count and no_work:
        reading.refuse(last, "No-work says that there is nothing, and there are items")
    if not count and not no_work:
        reading.refuse(last, "neither an item nor a reason below No-work")
    if outcome == "ok" and not count:
        reading.refuse(1, "outcome ok without an item; a run without anything to say is no_work")
    if outcome == "no_work" and count:
        reading.refuse(1, f"outcome no_work with {count} items")
