"""The search against an exhaustive one over a small universe: the same cost, whatever the way."""

import itertools
import random

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from lifeos.pods.corrections import Asked, Change, CorrectionSearch
from lifeos.pods.rule_checks import AddExtras, DependencyFinding, LeaveOut, Limit, Violation
from lifeos.pods.uv_resolver import Conflict, Pinned, Solved, Unavailable

NAMES = ("a", "b", "c", "d")
VERSIONS = [Version(str(number)) for number in range(1, 5)]


def pinned(name, version):
    return Pinned(name, version, f"{name}.whl", 1)


class Universe:
    """Packages a to d in versions 1 to 4, and pairs of them that the resolver or a rule excludes."""

    def __init__(self, seed):
        draw = random.Random(seed)
        pairs = [(one, other) for one, other in itertools.combinations(NAMES, 2)]

        def pick(count):
            return {
                (*draw.choice(pairs), draw.choice(VERSIONS), draw.choice(VERSIONS))
                for _ in range(draw.randrange(1, count))
            }

        self.refused, self.skews = pick(12), pick(12)

    def resolve(self, question):
        conditions = {}
        for line in (*question.requirements, *question.constraints):
            conditions.setdefault(line[0], []).append(SpecifierSet(line[1:]))
        names = sorted({line[0] for line in question.requirements})
        allowed = [
            [version for version in reversed(VERSIONS) if all(version in spec for spec in conditions[name])]
            for name in names
        ]
        for choice in itertools.product(*allowed):
            found = dict(zip(names, choice, strict=True))
            if not self.breaks(found, self.refused):
                return Solved({name: pinned(name, version) for name, version in found.items()})
        return Conflict("no choice", frozenset(names), frozenset(names), of_index=False)

    @staticmethod
    def breaks(found, table):
        return [
            (one, other, low, high)
            for one, other, low, high in sorted(table)
            if found.get(one) == low and found.get(other) == high
        ]

    def broken(self, packages):
        found = {name: one.version for name, one in packages.items()}
        finding = DependencyFinding("skew", (), "a pair that excludes itself", "the universe")
        return [
            Violation(finding, (Limit(one, f"!={low}"), Limit(other, f"!={high}")))
            for one, other, low, high in self.breaks(found, self.skews)
        ]

    def fewest_changed_pins(self, pins):
        for count in range(len(pins) + 1):
            for names in itertools.combinations(sorted(pins), count):
                choices = [VERSIONS if name in names else [pins[name]] for name in sorted(pins)]
                for choice in itertools.product(*choices):
                    found = dict(zip(sorted(pins), choice, strict=True))
                    if not self.breaks(found, self.refused | self.skews):
                        return count
        return None


@pytest.mark.parametrize("seed", range(30))
def test_no_correction_changes_fewer_pins(seed):
    universe = Universe(seed)
    draw = random.Random(1000 + seed)
    pins = {name: draw.choice(VERSIONS) for name in NAMES}
    asked = [Asked(name, frozenset(), f"=={version}") for name, version in pins.items()]
    found = CorrectionSearch(asked, universe.resolve, universe.broken, lambda name: False).run()
    fewest = universe.fewest_changed_pins(pins)
    assert (found is None) == (fewest is None)
    if found is not None:
        result = {name: one.version for name, one in found.packages.items()}
        assert not universe.breaks(result, universe.refused | universe.skews)
        assert sum(result[name] != pins[name] for name in NAMES) <= len(found.change.set_aside) == fewest


def search(asked, resolve, broken, may_be_dropped=lambda name: False, **more):
    return CorrectionSearch(asked, resolve, broken, may_be_dropped, **more).run()


def solve_all(question):
    return Solved({line[0]: pinned(line[0], Version("3")) for line in question.requirements})


def violation(*repairs, by_itself=False):
    return Violation(DependencyFinding("x", (), "a reason", "a source"), repairs, by_itself=by_itself)


def test_a_package_goes_only_when_no_version_serves():
    asked = [Asked("a", frozenset(), ""), Asked("b", frozenset(), "==3")]

    def broken(packages):
        return [violation(Limit("a", "<1"), LeaveOut("b"))] if {"a", "b"} <= set(packages) else []

    def resolve(question):
        if "a<1" in question.constraints:
            return Conflict("none", frozenset({"a"}), frozenset(), of_index=True)
        return solve_all(question)

    found = search(asked, resolve, broken)
    assert found.change == Change(left_out=frozenset({"b"}))
    assert set(found.packages) == {"a"}


def test_extras_are_added_when_a_rule_asks_for_them():
    asked = [Asked("a", frozenset({"z"}), "==3")]
    lines = []

    def resolve(question):
        lines.append(question.requirements)
        return solve_all(question)

    found = search(asked, resolve, lambda _: [] if len(lines) > 1 else [violation(AddExtras("a", ("y",)))])
    assert lines == [("a[z]==3",), ("a[y,z]==3",)]
    assert found.change.extras == {("a", "y")}


def test_what_rises_above_a_pin_stays_as_near_to_it_as_the_rules_allow():
    asked = [Asked("a", frozenset(), "==1"), Asked("b", frozenset(), "==2")]
    universe = Universe(0)
    universe.refused = set()
    universe.skews = {("a", "b", Version("1"), Version("2"))}
    found = CorrectionSearch(asked, universe.resolve, universe.broken, lambda name: False)

    def resolve(question):
        if question.lowest:
            assert question.requirements == ("a>=1", "b==2")
            return Solved({"a": pinned("a", Version("2")), "b": pinned("b", Version("2"))})
        return universe.resolve(question)

    found.resolve = resolve
    assert found.run().packages["a"].version == Version("2")


def test_no_answer_and_no_end_give_no_correction():
    asked = [Asked("a", frozenset(), "==3")]
    assert search(asked, lambda _: Unavailable("no network"), lambda _: []) is None
    endless = [0]

    def broken(_):
        endless[0] += 1
        return [violation(Limit("a", f"!={endless[0]}"))]

    assert search(asked, solve_all, broken, max_resolutions=7) is None
    assert endless[0] == 7


def test_a_condition_that_leaves_a_choice_is_no_pin():
    pins = {text: Asked("a", frozenset(), text).pinned for text in ("", ">=1", "==1.*", "==1", "==1.0,==1", "==1,==2")}
    one = Version("1")
    assert pins == {"": None, ">=1": None, "==1.*": None, "==1": one, "==1.0,==1": one, "==1,==2": None}
