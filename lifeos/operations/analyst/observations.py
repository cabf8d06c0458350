"""What rows of a history show, one function an observation; each says nothing where the rows do not show it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from lifeos.operations.briefing import Evidence, Item
from lifeos.operations.briefing.model import Confidence, Kind

Row = Mapping[str, Any]
# In how many releases in a row a soft gate fails before it is worth a sentence, a hard one before it is worth a rule.
SOFT_IN_A_ROW, HARD_IN_A_ROW = 3, 3
# By how much of likeness the mean of three releases must change to be told as a trend: twice the margin of a decision.
TREND = 0.06


def observe(rows: Sequence[Row], history: str) -> list[Item]:
    """Return every observation, those on the latest release first.

    Args:
        rows: of a history, in file order: releases, reviews, runs of other phases.
        history: its file, for the evidence.
    """
    found: list[Item] = []
    for persona in sorted({str(row["persona"]) for row in rows if _is_release(row) and row.get("persona")}):
        releases = [row for row in rows if _is_release(row) and row.get("persona") == persona]
        reviews = [row for row in rows if row.get("schema") == "lifeos.review/1" and row.get("persona") == persona]
        for look in _LOOKS:
            found += look(_Look(persona, history, releases, reviews))
    return found


class _Look:
    """The releases and reviews of one persona, and how an item about them is made."""

    def __init__(self, persona: str, history: str, releases: Sequence[Row], reviews: Sequence[Row]) -> None:
        self.persona, self.releases, self.reviews = persona, releases, reviews
        word = _word(persona)
        self._history, self._key = history, word if word[0].isalpha() else f"p{word}"[:40]

    def item(
        self, kind: Kind, key: str, text: str, rows: Sequence[Row], *, confidence: Confidence = "measured",
        enforced_by: str | None = None,
    ) -> Item:  # fmt: skip
        evidence = dict.fromkeys(Evidence(self._history, str(row["hash"])[:8]) for row in rows[-8:])
        return Item(kind, f"{self._key}.{key}", text[:240], tuple(evidence), confidence, (), enforced_by)


def _latest(look: _Look) -> Iterator[Item]:
    """The latest release and what it fails by."""
    row = look.releases[-1]
    hard = _failing(row, "hard")
    lora = str((row.get("hashes") or {}).get("lora") or "none")[:8]
    if row["verdict"] == "rejected":
        for gate in hard[:5]:
            yield look.item(
                "finding", f"lora-{_word(lora)}.{_word(gate['id'])}",
                f"LoRA {lora} of {look.persona} fails {gate['id']}: {_measured(gate)}", [row],
            )  # fmt: skip
    elif row["verdict"] == "approved":
        shown = _mean(row, "likeness")
        said = "" if shown is None else f", mean likeness {shown:.3f}"
        text = f"LoRA {lora} of {look.persona} passes every hard gate{said}"
        yield look.item("finding", f"lora-{_word(lora)}.approved", text, [row])


def _mending(look: _Look) -> Iterator[Item]:
    """What the pattern of failing gates says about the stage that owns the mending."""
    from evals.where_to_mend import advice

    row = look.releases[-1]
    for each in advice(row):
        yield look.item(
            "task", f"mend.{_word(each.stage)}.{_word(each.rule)}",
            _plain(f"Mend {each.stage}: {each.evidence}"), [row], confidence="inferred",
        )  # fmt: skip


def _soft_in_a_row(look: _Look) -> Iterator[Item]:
    """Soft gates that every one of the last releases failed."""
    last = look.releases[-SOFT_IN_A_ROW:]
    if len(last) < SOFT_IN_A_ROW:
        return
    for gate in _failing(last[-1], "soft"):
        if all(_verdict(row, gate["id"]) == "failed" for row in last):
            yield look.item(
                "finding", f"soft.{_word(gate['id'])}",
                f"Soft gate {gate['id']} failed in {SOFT_IN_A_ROW} releases of {look.persona} in a row", last,
            )  # fmt: skip


def _never_evaluated(look: _Look) -> Iterator[Item]:
    """Gates that no release of a persona has ever answered."""
    answered = {gate["id"] for row in look.releases for gate in row["gates"] if gate["verdict"] in ("passed", "failed")}
    last = look.releases[-1]
    for gate in last["gates"]:
        if gate["verdict"] == "not_evaluated" and gate["id"] not in answered:
            yield look.item(
                "finding", f"unanswered.{_word(gate['id'])}",
                f"Gate {gate['id']} was not evaluated in any release of {look.persona}", [last],
            )  # fmt: skip


def _trend(look: _Look) -> Iterator[Item]:
    """Mean likeness of the last three approved or rejected releases against the three before."""
    judged = [(row, value) for row in look.releases if (value := _mean(row, "likeness")) is not None]
    if len(judged) < 6:
        return
    before, after = (sum(value for _, value in part) / 3 for part in (judged[-6:-3], judged[-3:]))
    if abs(after - before) < TREND:
        return
    how = "rose" if after > before else "fell"
    yield look.item(
        "finding", f"trend.likeness.{how}",
        f"Mean likeness of {look.persona} {how} from {before:.3f} to {after:.3f} over six releases",
        [row for row, _ in judged[-6:]],
    )  # fmt: skip


def _two_verdicts(look: _Look) -> Iterator[Item]:
    """One file, one plan, one policy, one calibration, and two verdicts."""
    seen: dict[tuple[Any, ...], Row] = {}
    for row in look.releases:
        hashes = row.get("hashes") or {}
        if not hashes.get("lora") or row["verdict"] == "not_evaluated" or row.get("narrowed"):
            continue
        same = tuple(hashes.get(name) for name in ("lora", "base", "plan", "references", "policy", "calibration"))
        other = seen.get(same)
        if other is not None and other["verdict"] != row["verdict"]:
            lora = str(hashes["lora"])[:8]
            yield look.item(
                "finding", f"lora-{_word(lora)}.two-verdicts",
                f"LoRA {lora} of {look.persona} was {other['verdict']} and {row['verdict']} under equal inputs",
                [other, row],
            )  # fmt: skip
        seen[same] = row


def _disagreement(look: _Look) -> Iterator[Item]:
    """Reviewers who say another thing than the judge."""
    said = {"approve": "approved", "reject": "rejected"}
    for review in look.reviews:
        word = said.get(str(review.get("verdict")))
        if word is not None and review.get("measured") in said.values() and review["measured"] != word:
            yield look.item(
                "finding", f"review.{_word(str(review['id'])[-8:])}",
                f"A reviewer would have {word} a release of {look.persona} that the judge {review['measured']}",
                [review],
            )  # fmt: skip


def _near_the_margin(look: _Look) -> Iterator[Item]:
    """A champion that is hardly better: the next one of its kind would not be promoted."""
    row = look.releases[-1]
    decision = (row.get("champion") or {}).get("decision") or {}
    if decision.get("verdict") == "no_decision":
        yield look.item(
            "task", "champion.more-prompts",
            f"Judge {look.persona} on more prompts: the decision against the champion had too few", [row],
            confidence="inferred",
        )  # fmt: skip


def _rules(look: _Look) -> Iterator[Item]:
    """A hard gate that rejected three releases in a row is worth a rule for whoever trains the next one."""
    last = look.releases[-HARD_IN_A_ROW:]
    if len(last) < HARD_IN_A_ROW:
        return
    for gate in _failing(last[-1], "hard"):
        if all(_verdict(row, gate["id"]) == "failed" for row in last):
            yield look.item(
                "rule", f"before-training.{_word(gate['id'])}",
                f"Before another LoRA of {look.persona} is trained, mend what {gate['id']} rejected three times",
                last, confidence="inferred", enforced_by=str(gate["id"]),
            )  # fmt: skip


_LOOKS: tuple[Callable[[_Look], Iterator[Item]], ...] = (
    _latest, _mending, _soft_in_a_row, _never_evaluated, _trend, _two_verdicts, _disagreement, _near_the_margin, _rules,
)  # fmt: skip


def _is_release(row: Row) -> bool:
    """Whether a row is a real release: a simulation shows nothing about a LoRA."""
    source = (row.get("environment") or {}).get("source")
    return row.get("phase") == "release" and bool(row.get("gates")) and source != "simulation"


def _failing(row: Row, severity: str) -> list[Mapping[str, Any]]:
    return [gate for gate in row["gates"] if gate["severity"] == severity and gate["verdict"] == "failed"]


def _verdict(row: Row, gate: str) -> str | None:
    return next((each["verdict"] for each in row["gates"] if each["id"] == gate), None)


def _mean(row: Row, metric: str) -> float | None:
    value = ((row.get("metrics") or {}).get(metric) or {}).get("mean")
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _measured(gate: Mapping[str, Any]) -> str:
    value, threshold = gate.get("value"), gate.get("threshold")
    if value is None:
        return "no value"
    said = f"{value:.4g}"
    return said if threshold is None else f"{said} where {threshold:.4g} is asked"


def _plain(text: str) -> str:
    return " ".join("".join(c if c not in "`@<>{}$" else " " for c in text).split())[:240].rstrip()


def _word(text: str) -> str:
    """Return a text as a part of a dotted key."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "-" for c in text.lower()).strip("-_")
    kept = kept[:40] or "unnamed"
    return kept if kept[0].isalnum() else f"x{kept}"[:40]
