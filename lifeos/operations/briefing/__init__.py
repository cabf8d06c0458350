"""Briefings: what an agent hands in. One text file, parsed strictly or refused whole."""

from lifeos.operations.briefing.item_text import item_id, refused_text
from lifeos.operations.briefing.model import (
    KINDS,
    SCHEMA,
    SECTIONS,
    Briefing,
    BriefingError,
    Evidence,
    Input,
    Item,
    Problem,
)
from lifeos.operations.briefing.parser import LARGEST_BYTES, MOST_ITEMS, parse_briefing
from lifeos.operations.briefing.render import render_briefing

__all__ = [
    "KINDS",
    "LARGEST_BYTES",
    "MOST_ITEMS",
    "SCHEMA",
    "SECTIONS",
    "Briefing",
    "BriefingError",
    "Evidence",
    "Input",
    "Item",
    "Problem",
    "item_id",
    "parse_briefing",
    "refused_text",
    "render_briefing",
]
