"""From rows to what docs/skin-battery.md shows: AUC a feature and change, flags a tone, with the spread over people."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.skin_battery.degrade import FAULTS, HARMLESS
from benchmarks.skin_battery.measure import SIGNS, Row
from benchmarks.skin_battery.plain_skimage import DROPPED
from benchmarks.skin_battery.renders import TONES
from evals.calibration_statistics import metric_bands, skin_bands, skin_z_band
from evals.skin_realism_eval import FEATURE_SIGNS, skin_z

# Rougher skin measures higher in all of these but those.
_FALLS_WITH_ROUGHNESS = ("spectral slope",)
ROUGHER = ("over-sharpened",)
RESAMPLES = 400
FAIR_SPREAD = 3.0  # points between the tones of the most and the fewest false flags
Shards = Sequence[Mapping[str, Any]]
COMBINED = "skin z"


def score(references: Sequence[Row], rows: Sequence[Row]) -> dict[str, list[float | None]]:
    """Return by feature how far each row lies from the references, in deviations; signs without their direction.

    Args:
        references: rows of one person in one tone.
        rows: rows of other pictures of the same.
    """
    kept = [{name: row[name] for name in FEATURE_SIGNS} for row in references]
    bands = skin_bands(kept)
    scores: dict[str, list[float | None]] = {COMBINED: [skin_z(_texture(row), bands) for row in rows]}
    for name in references[0]:
        known = [value for row in references if (value := row[name]) is not None]
        if len(known) < 4:
            scores[name] = [None] * len(rows)
            continue
        middle = float(np.median(known))
        deviation = max(1.4826 * float(np.median(np.abs(np.array(known) - middle))), 1e-6)
        own = [row.get(name) for row in rows]
        plain = [None if value is None else (value - middle) / deviation for value in own]
        scores[name] = [None if value is None else abs(value) for value in plain] if name in SIGNS else plain
    return scores


def area_under_curve(bad: Sequence[float], good: Sequence[float]) -> float:
    """Chance that a value of ``bad`` lies above one of ``good``, ties counted half (Mann and Whitney 1947)."""
    from scipy.stats import rankdata

    ranks = rankdata(np.concatenate([bad, good]))
    return float((ranks[: len(bad)].sum() - len(bad) * (len(bad) + 1) / 2) / (len(bad) * len(good)))


def auc_table(shards: Shards, faults: Sequence[str], only: str | None = None) -> dict[str, dict[str, list[float]]]:
    """Return ``{feature: {fault: [AUC, low, high, bad, good]}}``; the interval is a bootstrap over people, 95 %.

    Args:
        shards: results of ``measure``, or their ``through_base`` with person and tone.
        faults: names of changes.
        only: a tone; None for all, each against its own references.
    """
    own = [shard for shard in shards if only in (None, shard["tone"])]
    scored = [
        (shard["person"], {name: score(shard["references"], shard["changed"][name]) for name in ("none", *faults)})
        for shard in own
    ]
    people = sorted({person for person, _ in scored})
    table: dict[str, dict[str, list[float]]] = {}
    for feature in scored[0][1]["none"]:
        for fault in faults:
            values = {
                person: (_of(scored, person, fault, feature), _of(scored, person, "none", feature)) for person in people
            }
            sign = _direction(feature, fault)

            def area(chosen: Sequence[int], values: Any = values, sign: float = sign) -> float:
                bad, good = (np.concatenate([values[person][side] for person in chosen]) for side in (0, 1))
                return area_under_curve(sign * bad, sign * good) if len(bad) and len(good) else math.nan

            whole = area(people)
            if not math.isfinite(whole):
                continue
            resampled = _bootstrap(people, area) if feature == COMBINED else [whole]
            low, high = (float(np.quantile(resampled, share)) for share in (0.025, 0.975))
            counts = [sum(len(values[person][side]) for person in people) for side in (0, 1)]
            table.setdefault(feature, {})[fault] = [round(whole, 3), round(low, 3), round(high, 3), *counts]
    return table


def flag_table(shards: Shards, changes: Sequence[str]) -> dict[str, dict[str, list[float]]]:
    """Return ``{change: {tone: [share outside the band in %, scorable, unscorable]}}`` by the rule of the release.

    The band is ``calibration_statistics.skin_z_band`` of the person's own references: each picture of its own, as the
    release counts images outside.
    """
    table: dict[str, dict[str, list[float]]] = {}
    for change in changes:
        for tone in TONES:
            outside = scorable = missing = 0
            for shard in (shard for shard in shards if shard["tone"] == tone):
                kept = [_texture(row) for row in shard["references"]]
                low, high, _ = skin_z_band(kept)
                if low is None or high is None:
                    continue
                found = [skin_z(_texture(row), skin_bands(kept)) for row in shard["changed"][change]]
                values = [value for value in found if value is not None]
                outside += sum(not low <= value <= high for value in values)
                scorable += len(values)
                missing += len(found) - len(values)
            table.setdefault(change, {})[tone] = [round(100 * outside / max(scorable, 1), 1), scorable, missing]
    return table


def sign_flags(shards: Shards, changes: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return ``{sign: {change: share of pictures outside the references' band in %}}``, all tones together."""
    table: dict[str, dict[str, float]] = {}
    for sign in SIGNS:
        for change in changes:
            outside = scored = 0
            for shard in shards:
                bands = metric_bands([{sign: row[sign]} for row in shard["references"]])
                low, high = bands[f"{sign}_low"], bands[f"{sign}_high"]
                if low is None or high is None:
                    continue
                values = [value for row in shard["changed"][change] if (value := row[sign]) is not None]
                outside += sum(not low <= value <= high for value in values)
                scored += len(values)
            if scored:
                table.setdefault(sign, {})[change] = round(100 * outside / scored, 1)
    return table


def summary(shards: Shards) -> dict[str, Any]:
    """Everything that docs/skin-battery.md shows, as JSON."""
    faults = [*FAULTS, *_rendered(shards)]
    changes = [*HARMLESS, *faults]
    drawn = [{**shard["through_base"], "person": shard["person"], "tone": shard["tone"]}
             for shard in shards if "through_base" in shard]  # fmt: skip
    through = [name for name in FAULTS if drawn and name in drawn[0]["changed"]]
    with_dropped = [shard for shard in shards if set(DROPPED) <= set(shard["references"][0])]
    flags = flag_table(shards, changes)
    return {
        "people": len({shard["person"] for shard in shards}),
        "pictures_a_tone": {tone: sum(s["pictures"] for s in shards if s["tone"] == tone) for tone in TONES},
        "without_face": {tone: sum(s["without_face"] for s in shards if s["tone"] == tone) for tone in TONES},
        "auc": {name: row for name, row in auc_table(shards, faults).items() if name not in DROPPED},
        "auc_dropped": {name: row for name, row in auc_table(with_dropped, [*FAULTS]).items() if name in DROPPED},
        "auc_dropped_pictures": sum(shard["pictures"] for shard in with_dropped),
        "auc_by_tone": {tone: auc_table(shards, faults, tone)[COMBINED] for tone in TONES},
        "flags": flags,
        "spread": {name: spread(row) for name, row in flags.items() if name in HARMLESS},
        "sign_flags": sign_flags(shards, changes),
        "through_base": {
            "people": len({shard["person"] for shard in drawn}),
            "pictures": sum(len(shard["changed"]["none"]) for shard in drawn),
            "auc": auc_table(drawn, through) if drawn else {},
            "flags": flag_table(drawn, ["none", *through]) if drawn else {},
        },
    }


def spread(row: Mapping[str, Sequence[float]]) -> float:
    """Points between the tones of the most and the fewest flags."""
    shares = [values[0] for values in row.values()]
    return round(max(shares) - min(shares), 1)


def _rendered(shards: Shards) -> list[str]:
    return [name for name in shards[0]["changed"] if name not in HARMLESS and name not in FAULTS]


def _texture(row: Row) -> Row:
    return {name: row[name] for name in FEATURE_SIGNS}


def _direction(feature: str, fault: str) -> float:
    if feature in SIGNS:
        return 1.0
    up = 1.0 if fault in ROUGHER else -1.0
    return -up if feature in _FALLS_WITH_ROUGHNESS else up


def _of(scored: Sequence[tuple[int, Any]], person: int, change: str, feature: str) -> np.ndarray:
    found = [value for who, of in scored if who == person for value in of[change][feature] if value is not None]
    return np.array(found, dtype=np.float64)


def _bootstrap(people: Sequence[int], area: Callable[[Sequence[int]], float]) -> list[float]:
    rng = np.random.default_rng(0)
    return [area([people[i] for i in rng.integers(0, len(people), len(people))]) for _ in range(RESAMPLES)]
