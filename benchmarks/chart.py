"""Results as charts of one comparison each: ratios over commits, a series a machine, as a few SVG paths.

A thousand runs are a thousand points in every chart. Each series is one path for its spreads and one for its points
(lines of no length with round ends), so a page has a hundred elements and not a hundred thousand.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.comparison import MISSED, UNMEASURED, Target, target_words
from benchmarks.machine import machine_words
from benchmarks.table import number

WIDTH, HEIGHT = 360.0, 210.0
LEFT, RIGHT, TOP, BOTTOM = 44.0, 10.0, 12.0, 26.0
COLOURS = 6
"""How many the page has; further machines take them again with square points."""
_DIGITS = 7
# Unlike machines stand apart where they share a commit.
_STEP_ASIDE = 0.12


@dataclass(frozen=True)
class Series:
    """One machine's points.

    Args:
        place: of the machine in the list of all.
        spreads, line, points, missed: path data; ``missed`` crosses the points that missed the target.
    """

    place: int
    spreads: str
    line: str
    points: str
    missed: str

    @property
    def style(self) -> str:
        """The class that gives colour and form of the points."""
        return f"m{self.place % COLOURS}" + (" square" if self.place // COLOURS % 2 else "")


@dataclass(frozen=True)
class Chart:
    """One comparison.

    Args:
        id, title, ours, alternative: of the newest line that measured it.
        axis: what the ordinate is.
        target: in words; empty where there is none.
        series: a machine each.
        target_lines: ordinates of the target's ends, in the picture.
        ticks: (ordinate, text).
        commits: (abscissa, text) of the first and the last commit.
        points: (x, y, machine, text) of each point along the commits, for whoever points at it.
        latest: a row a machine: its numbers at the newest commit as text.
        since: for each machine whose newest run did not measure it: of which commit and why not.
    """

    id: str
    title: str
    ours: str
    alternative: str
    axis: str
    target: str
    series: tuple[Series, ...]
    target_lines: tuple[float, ...]
    ticks: tuple[tuple[float, str], ...]
    commits: tuple[tuple[float, str], ...]
    points: tuple[tuple[float, float, int, str], ...]
    latest: tuple[Mapping[str, str], ...]
    since: tuple[str, ...]


@dataclass(frozen=True)
class _Point:
    line: Mapping[str, Any]
    row: Mapping[str, Any]
    commit: int
    machine: int
    value: float
    low: float
    high: float


def machines_of(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the machines in words, each once, in the order they first come."""
    return list(dict.fromkeys(machine_words(line["machine"]) for line in lines))


def commits_of(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the commits in words, each once, by their own time: an old one may have been measured later."""
    first: dict[str, str] = {}
    for line in lines:
        first.setdefault(commit_words(line), str(line["commit_time"] or line["time"]))
    return sorted(first, key=lambda name: _instant(first[name]))


def commit_words(line: Mapping[str, Any]) -> str:
    """Return what a point is of: a commit, with ``+`` where files were changed."""
    return str(line["commit"] or "unknown")[:_DIGITS] + ("+" if line["dirty"] else "")


def charts_of(lines: Sequence[Mapping[str, Any]]) -> list[Chart]:
    """Return a chart for each comparison that some line measured, in the order of the newest line that has it.

    Args:
        lines: sorted by time.
    """
    machines, commits = machines_of(lines), commits_of(lines)
    by_id: dict[str, list[_Point]] = {}
    since: dict[tuple[str, int], str] = {}
    for line in lines:
        commit, machine = commits.index(commit_words(line)), machines.index(machine_words(line["machine"]))
        for row in line["comparisons"]:
            # Where there is no alternative, our own numbers are drawn.
            value = row["ratio"] if row["ratio"] is not None else row["ours"]
            if row["verdict"] != UNMEASURED and value is not None:
                low, high = row["spread"]
                by_id.setdefault(row["id"], []).append(_Point(line, row, commit, machine, value, low, high))
                since.pop((row["id"], machine), None)
            else:
                since[row["id"], machine] = f"{commit_words(line)} unmeasured: {row['reason'] or 'no pair was run'}"
    return [_chart(points, machines, commits, since) for points in by_id.values()]


def point_words(line: Mapping[str, Any], row: Mapping[str, Any], machine: str) -> str:
    """Return everything of a point in one line of text: commit, machine, ratio, raw numbers, target, versions, load."""
    unit = row["unit"]
    sides = [f"{number(pair['ours'])}" + ("" if pair["alternative"] is None else f" / {number(pair['alternative'])}")
             for pair in row["pairs"]]  # fmt: skip
    told = [f"{commit_words(line)}, {str(line['time'])[:16].replace('T', ' ')}", machine]
    if row["ratio"] is not None:
        told.append(f"ratio {number(row['ratio'])} ({number(row['spread'][0])} to {number(row['spread'][1])})")
    told.append(f"{'ours / alternative' if row['ratio'] is not None else 'ours'}, {unit}: {', '.join(sides)}")
    told.append(row["verdict"])
    versions = ", ".join(f"{name} {version or 'not installed'}" for name, version in row["versions"].items())
    load = row["load"]
    told += [each for each in (versions, load and f"load {load['before']} to {load['after']}") if each]
    return "; ".join(told)


def _chart(
    points: list[_Point], machines: Sequence[str], commits: Sequence[str], since: Mapping[tuple[str, int], str]
) -> Chart:
    newest = points[-1].row
    # Along the commits; within one the older run first.
    points = sorted(points, key=lambda point: point.commit)
    target = newest["target"]
    by_ratio = newest["ratio"] is not None
    ends = [] if target is None or (target["of"] == "ours") == by_ratio else [
        end for end in (target["low"], target["high"]) if end is not None
    ]  # fmt: skip
    low, high = min([*ends, *(point.low for point in points)]), max([*ends, *(point.high for point in points)])
    room = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
    low, high = low - room, high + room
    present = sorted({point.commit for point in points})
    aside = {machine: place for place, machine in enumerate(sorted({point.machine for point in points}))}

    def across(point: _Point) -> float:
        width = (WIDTH - LEFT - RIGHT) / len(present)
        middle = LEFT + width * (present.index(point.commit) + 0.5)
        return round(middle + width * _STEP_ASIDE * (aside[point.machine] - (len(aside) - 1) / 2), 1)

    def up(value: float) -> float:
        return round(HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM), 1)

    width = (WIDTH - LEFT - RIGHT) / len(present)
    shown = [present[0], present[-1]] if len(present) > 1 else present
    words = newest["direction"] if by_ratio else f"ours, {newest['unit']}"
    return Chart(
        id=newest["id"],
        title=newest["title"],
        ours=newest["what"]["ours"],
        alternative=newest["what"]["alternative"],
        axis=words + ("; more is better" if by_ratio and newest["direction"].startswith("alternative") else "")
        + (f"; {len(present)} of {len(commits)} commits" if len(present) < len(commits) else ""),
        target=_target_words(target, newest["unit"]),
        series=tuple(_series(machine, [p for p in points if p.machine == machine], across, up) for machine in aside),
        target_lines=tuple(up(end) for end in ends),
        ticks=tuple((up(value), number(value)) for value in (low + room, (low + high) / 2, high - room)),
        commits=tuple((LEFT + width * (present.index(each) + 0.5), commits[each]) for each in shown),
        points=tuple(
            (across(p), up(p.value), p.machine, point_words(p.line, p.row, machines[p.machine])) for p in points
        ),
        latest=tuple(
            _latest([p for p in points if p.machine == machine][-1], machines[machine], machine) for machine in aside
        ),
        since=tuple(since[newest["id"], machine] for machine in aside if (newest["id"], machine) in since),
    )


def _series(
    machine: int, points: Sequence[_Point], across: Callable[[_Point], float], up: Callable[[float], float]
) -> Series:
    places = [(across(point), up(point.value)) for point in points]
    return Series(
        place=machine,
        spreads="".join(f"M{across(p)} {up(p.low)}V{up(p.high)}" for p in points),
        line="M" + "L".join(f"{x} {y}" for x, y in places),
        points="".join(f"M{x} {y}h0" for x, y in places),
        missed="".join(
            f"M{x - 3:g} {y - 3:g}l6 6m0 -6l-6 6"
            for (x, y), point in zip(places, points, strict=True)
            if point.row["verdict"] == MISSED
        ),
    )


def _latest(point: _Point, machine: str, place: int) -> dict[str, str]:
    row, unit = point.row, point.row["unit"]
    other = row["alternative"]
    return {
        "machine": machine, "place": str(place % COLOURS), "commit": commit_words(point.line),
        "ours": f"{number(row['ours'])} {unit}", "alternative": "-" if other is None else f"{number(other)} {unit}",
        "ratio": "" if row["ratio"] is None else number(row["ratio"]),
        "spread": f"({number(point.low)} to {number(point.high)})", "verdict": row["verdict"],
    }  # fmt: skip


def _target_words(target: Mapping[str, Any] | None, unit: str) -> str:
    if target is None:
        return ""
    what = "ours" if target["of"] == "ours" else "ratio"
    return f"{what} {target_words(Target(target['of'], target['low'], target['high']), unit)}"


def _instant(stamp: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(stamp).timestamp()
