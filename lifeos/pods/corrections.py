"""The smallest change that makes a set coherent, found by trying: resolve, see what breaks, branch on its repairs.

A state is what was changed so far. The search takes the cheapest state first, so the first state that resolves and
breaks no rule is a smallest change. Costs compare in this order: packages left out, lines whose version condition is
set aside, extras added, packages held below what the resolver would take.
"""

import heapq
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from lifeos.pods.rule_checks import AddExtras, LeaveOut, Limit, Repair, Violation
from lifeos.pods.uv_resolver import Answer, Conflict, Pinned, Question, Solved, Unavailable

if TYPE_CHECKING:
    from packaging.version import Version

MAX_RESOLUTIONS = 150


@dataclass(frozen=True)
class Asked:
    """One package that the user asks for: canonical name, extras, version condition, hashes."""

    name: str
    extras: frozenset[str]
    specifier: str
    hashes: tuple[str, ...] = ()

    @property
    def pinned(self) -> "Version | None":
        """The one version that the condition admits, None where it leaves a choice."""
        from packaging.specifiers import SpecifierSet
        from packaging.version import Version

        exact = {part.version for part in SpecifierSet(self.specifier) if part.operator in ("==", "===")}
        versions = {Version(text) for text in exact if not text.endswith(".*")}
        return versions.pop() if len(versions) == 1 else None


@dataclass(frozen=True)
class Change:
    """What is done to the user's set."""

    set_aside: frozenset[str] = frozenset()
    left_out: frozenset[str] = frozenset()
    extras: frozenset[tuple[str, str]] = frozenset()
    limits: frozenset[Limit] = frozenset()

    def question(self, asked: Sequence[Asked]) -> Question:
        """Return what uv is asked under this change."""
        return Question(
            requirements=tuple(
                self.line(one, "" if one.name in self.set_aside else one.specifier)
                for one in asked
                if one.name not in self.left_out
            ),
            constraints=tuple(sorted(f"{limit.package}{limit.specifier}" for limit in self.limits)),
            excludes=tuple(sorted(self.left_out)),
        )

    def line(self, one: Asked, specifier: str) -> str:
        """Return one requirement with the extras of the change."""
        extras = sorted(one.extras | {extra for name, extra in self.extras if name == one.name})
        return f"{one.name}{'[' + ','.join(extras) + ']' if extras else ''}{specifier}"


@dataclass(frozen=True)
class Correction:
    """A change under which the set resolves to ``packages`` and breaks no rule."""

    change: Change
    packages: dict[str, Pinned]


@dataclass
class CorrectionSearch:
    """Looks for the smallest change.

    Args:
        asked: the user's set.
        resolve: asks uv.
        broken: which rules a resolved set breaks.
        may_be_dropped: whether the set does its work without a package.
    """

    asked: Sequence[Asked]
    resolve: Callable[[Question], Answer]
    broken: Callable[[Mapping[str, Pinned]], list[Violation]]
    may_be_dropped: Callable[[str], bool]
    max_resolutions: int = MAX_RESOLUTIONS
    tried: int = field(default=0, init=False)

    def run(self, start: Change | None = None) -> Correction | None:
        """Return a smallest correction, None where there is none within the bound or the resolver gave no answer."""
        start = start or Change()
        order = itertools.count()
        queue = [(self._cost(start), next(order), start)]
        seen = {start}
        while queue and self.tried < self.max_resolutions:
            _, _, change = heapq.heappop(queue)
            self.tried += 1
            answer = self.resolve(change.question(self.asked))
            if isinstance(answer, Unavailable):
                return None
            if isinstance(answer, Solved):
                violations = self.broken(answer.packages)
                if not violations:
                    return self._nearer(Correction(change, answer.packages))
                following = self._repaired(change, violations)
            else:
                following = self._loosened(change, answer)
            for state in following:
                if state not in seen:
                    seen.add(state)
                    heapq.heappush(queue, (self._cost(state), next(order), state))
        return None

    def _cost(self, change: Change) -> tuple[int, int, int, int]:
        names = {one.name for one in self.asked}
        held = {limit.package for limit in change.limits} - change.set_aside - change.left_out
        return (len(change.left_out & names), len(change.set_aside - change.left_out), len(change.extras), len(held))

    def _repaired(self, change: Change, violations: Sequence[Violation]) -> Iterator[Change]:
        needed = [found for found in violations if found.by_itself and len(found.repairs) == 1]
        if needed:
            for found in needed:
                change = self._with(change, found.repairs[0])
            yield change
            return
        # The rule with the fewest repairs makes the fewest branches; each rule has to be kept in the end.
        tightest = min(violations, key=lambda found: len(found.repairs))
        for repair in tightest.repairs:
            yield self._with(change, repair)

    def _with(self, change: Change, repair: Repair) -> Change:
        match repair:
            case Limit(package, specifier):
                limited = replace(change, limits=change.limits | {repair})
                return limited if self._admits(package, specifier) else self._aside(limited, package)
            case LeaveOut(package):
                return replace(change, left_out=change.left_out | {package})
            case AddExtras(package, extras):
                return replace(change, extras=change.extras | {(package, extra) for extra in extras})

    def _loosened(self, change: Change, conflict: Conflict) -> Iterator[Change]:
        # One of the lines in the proof must give way, or the proof stands.
        for one in self.asked:
            if one.name in conflict.names and one.name not in change.left_out:
                if one.specifier and one.name not in change.set_aside:
                    yield self._aside(change, one.name)
                if self.may_be_dropped(one.name):
                    yield replace(change, left_out=change.left_out | {one.name})

    def _aside(self, change: Change, package: str) -> Change:
        return replace(change, set_aside=change.set_aside | {package})

    def _admits(self, package: str, specifier: str) -> bool:
        """Whether a limit leaves the user's own line standing."""
        from packaging.specifiers import SpecifierSet

        one = next((one for one in self.asked if one.name == package), None)
        if one is None or one.pinned is None:
            return True
        return SpecifierSet(specifier).contains(one.pinned, prereleases=True)

    def _nearer(self, found: Correction) -> Correction:
        """Move packages that were raised above the user's pins down as near to those as the rules allow."""
        pins = {one.name: one.pinned for one in self.asked if one.name in found.change.set_aside}
        raised = {
            name: pin
            for name, pin in pins.items()
            if pin is not None and name in found.packages and found.packages[name].version > pin
        }
        if not raised:
            return found
        change = found.change
        lines = tuple(
            change.line(one, f">={raised[one.name]}" if one.name in raised else f"=={found.packages[one.name].version}")
            for one in self.asked
            if one.name in found.packages
        )
        asked = change.question(self.asked)
        answer = self.resolve(replace(asked, requirements=lines, lowest=True))
        if isinstance(answer, Solved) and not self.broken(answer.packages):
            return Correction(change, answer.packages)
        return found
