"""Failures that cost somebody a pod or a LoRA: one small file each, grouped by subject in the folders beside this.

An entry is data. Its detector lives beside what it reads and is found by the entry's id, its reproducer in
``tests/known_failures/``; whether the one finds the other is computed (``lifeos known-failures list``), never stored.
"""

from evals.known_failures.detector import detected_ids, detects
from evals.known_failures.entry import Captured, Entry, Signature, Twin
from evals.known_failures.explain import Match, explain
from evals.known_failures.place import Place
from evals.known_failures.reading import SUBJECTS, entry_of, read_entries
from evals.known_failures.reproduction import is_recorded, reproduce

__all__ = [
    "SUBJECTS",
    "Captured",
    "Entry",
    "Match",
    "Place",
    "Signature",
    "Twin",
    "detected_ids",
    "detects",
    "entry_of",
    "explain",
    "is_recorded",
    "read_entries",
    "reproduce",
]
