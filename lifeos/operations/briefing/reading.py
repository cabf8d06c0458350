"""What a parser of briefings has found wrong so far."""

from dataclasses import dataclass, field

from lifeos.operations.briefing.item_text import hidden_character
from lifeos.operations.briefing.model import Problem


@dataclass
class Reading:
    """Collects problems instead of stopping at the first: whoever writes briefings sees all of them at once."""

    problems: list[Problem] = field(default_factory=list)

    def refuse(self, line: int, text: str) -> None:
        """Note a problem at a line, from 1; hidden characters are spelled out."""
        shown = text if hidden_character(text) is None else ascii(text)
        self.problems.append(Problem(line, shown[:300]))
