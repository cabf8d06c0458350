"""The page of known failures is what the registry says today."""

from evals.known_failures import read_entries
from lifeos.known_failures.liveness import Liveness
from lifeos.known_failures.page import PAGE, page
from lifeos.settings import project_root


def test_the_page_is_fresh():
    # That the entries are live is held by tests/known_failures, one by one.
    results = [
        (entry, Liveness(entry.not_live_because is None, entry.not_live_because or "seen")) for entry in read_entries()
    ]
    assert (project_root() / PAGE).read_text(encoding="utf-8") == page(results), "python -m lifeos.known_failures.page"
