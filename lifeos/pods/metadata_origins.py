"""Where package metadata comes from for one question, and whether the answer speaks of today."""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lifeos.pods.asked_set import AskedSet
from lifeos.pods.corrections import Asked, Change
from lifeos.pods.pip_configuration import pip_settings, uv_environment
from lifeos.pods.rule_tables import Rules
from lifeos.pods.snapshot import Snapshot, write_wheels
from lifeos.pods.uv_resolver import Answer, Conflict, Resolver, Solved, Target, Unavailable, clean_environment


@dataclass(frozen=True)
class Origin:
    """One place: its name, the resolver over it, and whether it is the index itself as it stands now."""

    name: str
    resolver: Resolver
    is_current: bool


@dataclass(frozen=True)
class Found:
    """An answer, who gave it, and whether the file is a whole lock: exact pins that need no resolver.

    ``left_out`` are the packages that a lock does without because another one brings their files.
    """

    origin: Origin
    answer: Answer
    is_lock: bool = False
    left_out: frozenset[str] = frozenset()


class Origins:
    """The committed snapshot, the index, and uv's own cache, each opened when it is asked."""

    def __init__(self, target: Target, asked: AskedSet, snapshot: Snapshot, rules: Rules, cache: Path) -> None:
        """Name what is asked; ``cache`` is a folder for the snapshot's wheels and uv's cache over them."""
        self.target, self.asked, self.snapshot, self.rules, self.cache = target, asked, snapshot, rules, cache

    @functools.cached_property
    def over_snapshot(self) -> Origin:
        """The committed metadata; needs no network."""
        wheels = write_wheels(self.snapshot, self.cache)
        options = ("--no-index", "--find-links", str(wheels), "--offline", "--no-config")
        resolver = Resolver(self.target, clean_environment(), options, self.cache / "uv")
        return Origin(self.snapshot.title, resolver, is_current=False)

    @functools.cached_property
    def over_index(self) -> Origin:
        """The index that pip is configured for, and those that the file names."""
        environment = {"UV_HTTP_RETRIES": "1", **uv_environment(pip_settings())}
        return Origin("the package index", Resolver(self.target, environment, self.asked.uv_options), is_current=True)

    @functools.cached_property
    def over_uv_cache(self) -> Origin:
        """What uv remembers of the index."""
        options = (*self.asked.uv_options, "--offline")
        return Origin("uv's cache", Resolver(self.target, uv_environment(pip_settings()), options), is_current=False)

    def ask(self, offline: bool) -> Found:
        """Return the first answer that holds: a lock over the snapshot, the index, then what needs no network.

        Away from the index, a contradiction holds only when it follows from the lines themselves or from pinned
        packages' own conditions: versions that the place does not know might solve it.
        """
        if self._snapshot_has_every_pin():
            lock = self.as_lock(self.over_snapshot, self.asked.asked)
            if lock is not None:
                return lock
        found = None
        if not offline:
            found = self._ask(self.over_index)
            if not isinstance(found.answer, Unavailable):
                return found
        for origin in self._without_network():
            other = self._ask(origin)
            if isinstance(other.answer, Solved) or self._is_proven(other.answer):
                return other
        return found or Found(
            self.over_snapshot,
            Unavailable(f"neither {self.snapshot.title} nor uv's cache holds all that this set asks for"),
        )

    def _without_network(self) -> Iterator[Origin]:
        if not self.asked.uv_options:
            yield self.over_snapshot
        yield self.over_uv_cache

    def _ask(self, origin: Origin) -> Found:
        lock = self.as_lock(origin, self.asked.asked)
        return lock or Found(origin, origin.resolver.resolve(Change().question(self.asked.asked)))

    def _snapshot_has_every_pin(self) -> bool:
        versions = self.snapshot.versions
        return not self.asked.uv_options and all(
            one.pinned is not None and one.pinned in versions.get(one.name, {}) for one in self.asked.asked
        )

    def as_lock(self, origin: Origin, asked: Sequence[Asked]) -> Found | None:
        """Return the resolution when this is a lock: exact pins, closed but for packages that another one replaces."""
        if any(one.pinned is None for one in asked):
            return None
        names = {one.name for one in asked}
        replaced = frozenset(
            name
            for row in self.rules.tables.overwrite
            for name in row.packages
            if row.keep in names and name not in names
        )
        answer = origin.resolver.resolve(Change(left_out=replaced).question(asked))
        if isinstance(answer, Solved) and set(answer.packages) == names:
            return Found(origin, answer, True, replaced)
        return None

    def _is_proven(self, answer: Answer) -> bool:
        if not isinstance(answer, Conflict) or answer.of_index:
            return False
        if not answer.subjects:
            return answer.of_lines
        return answer.subjects <= {one.name for one in self.asked.asked if one.pinned is not None}
