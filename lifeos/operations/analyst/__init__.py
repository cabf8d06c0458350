"""The analyst that ships: rows of a history in, one briefing with evidence out; the same rows give the same bytes."""

from lifeos.operations.analyst.briefing_of import briefing_of

__all__ = ["briefing_of"]
