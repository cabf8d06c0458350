"""Thresholds as data: one rule a gate that is judged from image rows, read from TOML and validated whole.

Severity is not here (it belongs to the gate, in the gates' manifest); a rule only says what is measured, what it is
compared with and how much evidence it takes.
"""

import re
import tomllib
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from evals.content_hash import hash_json
from evals.errors import InputError
from evals.metric_families import families
from evals.rule import PERSONA_METRICS, Margin, Reference, Rule
from evals.table_reader import TableReader

SCHEMA = "lifeos.policy/1"
DEFAULT_POLICY = Path(__file__).with_name("policy.toml")

# Names that a threshold may take from a calibration, as "calibration:tau" or "calibration:tau-0.05"; beside them stand
# those of the metric families.
CALIBRATION_KEYS = (
    "tau",
    "impostor_mean",
    "impostor_p99",
    "impostor_maximum",
    "null_mean",
    "null_p99",
    "genuine_mean",
    "genuine_p05",
    "genuine_p10",
    "genuine_p95",
    "genuine_pairwise",
    "skin_z_low",
    "skin_z_high",
    "copy_face_p95",
    "copy_image_distance",
)

# Younger than the first calibrations, which are read without them and judge nothing by them.
LATER_KEYS = ("genuine_pairwise",)

METRICS = (
    "face_count", "flat", "self_similarity", "adherence", "pose_follows", "background_follows", "expression_follows",
    "clip_score", *PERSONA_METRICS,
)  # fmt: skip

_REFERENCE = re.compile(r"calibration:([a-z0-9_]+?)(?:([+-])([0-9]*\.?[0-9]+))?")
_COMMON_KEYS = {"statistic", "metric", "direction", "threshold", "compares", "minimum_images", "minimum_prompts"}
_OWN_KEYS = {
    "rate": ({"equals"}, {"requires"}),
    "share_below": ({"limit"}, set()),
    "share_above": ({"limit"}, set()),
    "mean_by_prompt": (set(), {"scale", "missing_value"}),
    "worst_prompt_gap": ({"missing_value"}, set()),
    "median_in_band": ({"band", "unscorable_share"}, set()),
    "paired_difference": ({"missing_value"}, {"also", "superior_on"}),
    "worst_bin_gap": ({"by", "edges", "minimum_bin", "missing_value"}, set()),
    "largest_share": ({"kinds", "even_factor"}, set()),
    "difference_from_base": (set(), {"missing_value", "unscorable_share", "scale", "rows"}),
    "spread_ratio": (set(), set()),
    "rank_correlation": ({"by"}, set()),
}
_ROWS = ("plan", "class")
STATISTICS = tuple(_OWN_KEYS)


@dataclass(frozen=True)
class Sequential:
    """When sampling may stop early because the whole plan could no longer pass.

    Args:
        gates: ids of the rules that may stop it.
        error: chance, over all of them and every look, of stopping for a gate that the whole plan would pass.
        block: prompts drawn between two looks.
    """

    gates: tuple[str, ...]
    error: float
    block: int


@dataclass(frozen=True)
class Policy:
    """All rules of one policy file.

    Args:
        level: confidence of intervals, in (0, 1); a compared bound is one-sided at this level.
        rules: one a gate, keyed by gate id, in the order of ``row_gates()``.
        sequential: None: the whole plan is always drawn.
    """

    level: float
    rules: dict[str, Rule]
    sequential: Sequential | None = None

    @property
    def content_hash(self) -> str:
        """SHA-256 over what the policy says: comments, order and layout of the file do not move it."""
        return hash_json(
            {
                "schema": SCHEMA,
                "level": self.level,
                "rules": {gate: asdict(rule) for gate, rule in self.rules.items()},
                "sequential": None if self.sequential is None else asdict(self.sequential),
            }
        )


@cache
def row_gates() -> tuple[str, ...]:
    """Return the ids of all gates that are judged from image rows: those that the shipped policy has a rule for.

    Another policy without a rule for one of these is refused: a gate nobody configured must not pass for want of a
    threshold.

    Raises:
        InputError: the shipped policy cannot be read.
    """
    return tuple(_gate_tables(DEFAULT_POLICY))


def stated_proofs() -> dict[str, str]:
    """Return what a pass proves, by gate id, for every rule of the shipped policy that states it (``proves``).

    A rule that the gates' manifest does not list is a soft gate and must state it.

    Raises:
        InputError: the shipped policy cannot be read.
    """
    tables = _gate_tables(DEFAULT_POLICY)
    return {gate: row["proves"] for gate, row in tables.items() if isinstance(row, dict) and "proves" in row}


def stated_needs() -> dict[str, list[Any]]:
    """Return what must be declared before a gate is expected, by gate id, for every rule that states it (``needs``).

    Raises:
        InputError: the shipped policy cannot be read.
    """
    tables = _gate_tables(DEFAULT_POLICY)
    return {gate: row["needs"] for gate, row in tables.items() if isinstance(row, dict) and "needs" in row}


def metric_names() -> tuple[str, ...]:
    """Return every metric that a rule may name: the persona's own and those of the metric families."""
    return (*METRICS, *(name for family in families() for name in family.metrics))


def calibration_keys() -> tuple[str, ...]:
    """Return every key that a rule may take from a calibration."""
    return (*CALIBRATION_KEYS, *(key for family in families() for key in family.calibration_keys))


def load_policy(path: Path = DEFAULT_POLICY) -> Policy:
    """Read and validate a policy file.

    Raises:
        InputError: the file is missing, is not TOML, lacks a rule for a gate of ``row_gates()``, or holds an unknown
            gate, key, statistic, metric, calibration key, or a number out of its range.
    """
    return parse_policy(_read_toml(Path(path)), Path(path).name)


def _gate_tables(path: Path) -> dict[str, Any]:
    tables = _read_toml(path).get("gates")
    return tables if isinstance(tables, dict) else {}


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: accepted a readable policy file, got {error}; next: pass --policy FILE") from error
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: accepted TOML, got {error}; next: edit {path.name}") from error


def parse_policy(data: dict[str, Any], name: str = "policy") -> Policy:
    """Validate a policy given as the mapping that TOML gives; ``name`` is how errors call it.

    Raises:
        InputError: as ``load_policy``.
    """
    reader = _Reader(name)
    reader.keys("the file", data, {"schema", "level", "gates"}, {"sequential"})
    if data["schema"] != SCHEMA:
        raise reader.error("schema", SCHEMA, data["schema"])
    level = reader.number("level", data["level"])
    # A one-sided bound at the level is an end of the two-sided interval at 2 * level - 1.
    if not 0.5 < level < 1.0:
        raise reader.error("level", "a number above 0.5 and below 1", level)
    if not isinstance(data["gates"], dict):
        raise reader.error("gates", "a table a gate", data["gates"])
    reader.keys("gates", data["gates"], set(row_gates()), set())
    rules = {gate: _parse_rule(reader, gate, data["gates"][gate]) for gate in row_gates()}
    return Policy(level, rules, _parse_sequential(reader, data["sequential"], rules) if "sequential" in data else None)


def _parse_sequential(reader: "_Reader", row: Any, rules: dict[str, Rule]) -> Sequential:
    if not isinstance(row, dict):
        raise reader.error("sequential", "a table", row)
    reader.keys("sequential", row, {"gates", "error", "block"}, set())
    known = tuple(gate for gate, rule in rules.items() if rule.can_stop)
    gates = [reader.choice("sequential.gates", gate, known) for gate in reader.list("sequential.gates", row["gates"])]
    if not gates or len(set(gates)) < len(gates):
        raise reader.error("sequential.gates", "one gate or more, each once", ", ".join(gates))
    error = reader.number("sequential.error", row["error"])
    if not 0.0 < error <= 0.05:
        raise reader.error("sequential.error", "a number above 0, at most 0.05", error)
    return Sequential(tuple(gates), error, reader.count("sequential.block", row["block"]))


def _parse_rule(reader: "_Reader", gate: str, row: Any) -> Rule:
    where = f"gates.{gate}"
    if not isinstance(row, dict):
        raise reader.error(where, "a table", row)
    statistic = reader.choice(f"{where}.statistic", row.get("statistic"), STATISTICS)
    required, optional = _OWN_KEYS[statistic]
    reader.keys(where, row, _COMMON_KEYS | required, optional | {"proves", "needs"})
    if "proves" in row:
        reader.text(f"{where}.proves", row["proves"])
    for need in reader.list(f"{where}.needs", row.get("needs", [])):
        reader.text(f"{where}.needs", need)
    rule = Rule(
        gate=gate,
        statistic=statistic,
        metric=reader.choice(f"{where}.metric", row["metric"], metric_names()),
        direction=reader.choice(f"{where}.direction", row["direction"], ("at_least", "at_most")),
        threshold=reader.reference(f"{where}.threshold", row["threshold"]),
        compares=reader.choice(f"{where}.compares", row["compares"], ("point", "bound")),
        minimum_images=reader.count(f"{where}.minimum_images", row["minimum_images"]),
        minimum_prompts=reader.count(f"{where}.minimum_prompts", row["minimum_prompts"]),
        equals=reader.number(f"{where}.equals", row["equals"]) if "equals" in row else None,
        requires=reader.choice(f"{where}.requires", row["requires"], metric_names()) if "requires" in row else None,
        limit=reader.reference(f"{where}.limit", row["limit"]) if "limit" in row else None,
        missing_value=reader.number(f"{where}.missing_value", row["missing_value"]) if "missing_value" in row else None,
        scale=reader.pair(f"{where}.scale", row["scale"]) if "scale" in row else None,
        band=reader.pair(f"{where}.band", row["band"]) if "band" in row else None,
        unscorable_share=(
            reader.share(f"{where}.unscorable_share", row["unscorable_share"]) if "unscorable_share" in row else None
        ),
        by=reader.choice(f"{where}.by", row["by"], metric_names()) if "by" in row else None,
        edges=reader.rising(f"{where}.edges", row["edges"]) if "edges" in row else None,
        minimum_bin=reader.count(f"{where}.minimum_bin", row["minimum_bin"]) if "minimum_bin" in row else None,
        kinds=reader.choice(f"{where}.kinds", row["kinds"], metric_names()) if "kinds" in row else None,
        even_factor=reader.number(f"{where}.even_factor", row["even_factor"]) if "even_factor" in row else None,
        rows=reader.choice(f"{where}.rows", row.get("rows", "plan"), _ROWS),
        also=tuple(
            _parse_margin(reader, f"{where}.also", item) for item in reader.list(f"{where}.also", row.get("also", []))
        ),
        superior_on=tuple(
            reader.choice(f"{where}.superior_on", name, metric_names())
            for name in reader.list(f"{where}.superior_on", row.get("superior_on", []))
        ),
    )
    _refuse_decoration(reader, where, rule)
    return rule


def _parse_margin(reader: "_Reader", where: str, row: Any) -> Margin:
    if not isinstance(row, dict):
        raise reader.error(where, "a table", row)
    reader.keys(where, row, {"metric", "margin", "better"}, {"missing_value", "left_out_share", "band"})
    better = reader.choice(f"{where}.better", row["better"], ("higher", "lower", "inside"))
    margin = reader.number(f"{where}.margin", row["margin"])
    if margin < 0.0:
        raise reader.error(f"{where}.margin", "a number >= 0", margin)
    if (better == "inside") != ("band" in row):
        raise reader.error(f"{where}.band", 'two ends for better = "inside" and none otherwise', row.get("band"))
    return Margin(
        metric=reader.choice(f"{where}.metric", row["metric"], metric_names()),
        margin=margin,
        better=better,
        missing_value=reader.number(f"{where}.missing_value", row["missing_value"]) if "missing_value" in row else None,
        left_out_share=reader.share(f"{where}.left_out_share", row.get("left_out_share", 0.0)),
        band=reader.pair(f"{where}.band", row["band"]) if "band" in row else None,
    )


def _refuse_decoration(reader: "_Reader", where: str, rule: Rule) -> None:
    """Refuse rules that no image could ever breach, or that read one way and decide another."""
    is_share = rule.statistic in ("rate", "share_below", "share_above", "median_in_band", "largest_share")
    if is_share and rule.threshold.key is not None:
        raise reader.error(f"{where}.threshold", "a share in [0, 1]", rule.threshold.source)
    if is_share and not 0.0 <= rule.threshold.number <= 1.0:
        raise reader.error(f"{where}.threshold", "a share in [0, 1]", rule.threshold.number)
    if is_share and rule.threshold.number == (0.0 if rule.direction == "at_least" else 1.0):
        raise reader.error(f"{where}.threshold", "a share that some images could breach", rule.threshold.number)
    if rule.statistic in ("median_in_band", "share_below", "share_above", "largest_share") and (
        rule.direction != "at_most"
    ):
        raise reader.error(f"{where}.direction", '"at_most" (it counts images beyond the limit)', rule.direction)
    if rule.statistic in ("worst_prompt_gap", "worst_bin_gap", "paired_difference", "spread_ratio") and (
        rule.direction != "at_least"
    ):
        raise reader.error(f"{where}.direction", '"at_least" (it may not fall)', rule.direction)
    if rule.statistic in ("worst_prompt_gap", "worst_bin_gap", "spread_ratio", "rank_correlation") and (
        rule.compares != "point"
    ):
        raise reader.error(f"{where}.compares", '"point" (it has no interval here)', rule.compares)
    is_mean = rule.statistic in ("mean_by_prompt", "difference_from_base")
    if rule.metric == "likeness" and rule.direction == "at_least" and rule.missing_value is None and is_mean:
        # Leaving faceless images out would reward a LoRA for losing faces.
        raise reader.error(f"{where}.missing_value", "what an image without a face counts as", "none")
    if rule.even_factor is not None and not rule.even_factor >= 1.0:
        raise reader.error(f"{where}.even_factor", "a number of at least 1", rule.even_factor)
    if rule.statistic == "paired_difference" and rule.compares != "bound":
        raise reader.error(f"{where}.compares", '"bound" (a champion is kept unless shown otherwise)', rule.compares)
    if rule.statistic == "paired_difference" and (rule.threshold.key is not None or rule.threshold.number > 0):
        raise reader.error(f"{where}.threshold", "minus the margin, a number <= 0", rule.threshold.number)
    compared = [margin.metric for margin in rule.margins]
    if len(set(compared)) < len(compared):
        raise reader.error(f"{where}.also", "each metric once", ", ".join(compared))
    if not set(rule.superior_on) <= set(compared) or len(set(rule.superior_on)) < len(rule.superior_on):
        raise reader.error(f"{where}.superior_on", f"some of {', '.join(compared)}", ", ".join(rule.superior_on))
    if (rule.gate == "champion") != (rule.statistic == "paired_difference"):
        raise reader.error(f"{where}.statistic", "paired_difference for champion and for no other gate", rule.statistic)


class _Reader(TableReader):
    """Reads what only policies hold: thresholds that a calibration may stand behind."""

    def reference(self, key: str, value: object) -> Reference:
        if not isinstance(value, str):
            return Reference(self.number(key, value))
        match = _REFERENCE.fullmatch(value)
        if match is None or match[1] not in calibration_keys():
            accepted = "a number or calibration:KEY[+-NUMBER] with KEY one of " + ", ".join(calibration_keys())
            raise self.error(key, accepted, value)
        return Reference(float(f"{match[2]}{match[3]}") if match[2] else 0.0, match[1])

    def pair(self, key: str, value: object) -> tuple[Reference, Reference]:
        if not isinstance(value, list) or len(value) != 2:
            raise self.error(key, "a list of two", value)
        return self.reference(key, value[0]), self.reference(key, value[1])
