"""All releases of a persona as small multiples on one page."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lifeos.report.charts import history

TEMPLATE = Path(__file__).with_name("history.html.j2")


def history_page(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    """Return one page that needs no other file: a chart a metric, and the list of rows.

    Args:
        rows: scorecards of one persona's releases, oldest first.
        names: of metrics; one without any value is left out.
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    drawn = [chart for name in names if (chart := history(name, rows)) is not None]
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(rows=rows, charts=drawn)
