"""What lies before the judge: rows, calibration and the numbers a rule may ask for, checked once."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from evals.calibration import Calibration
from evals.decision import Decision, decide
from evals.evidence import CannotJudgeError, Evidence, require
from evals.image_rows import ImageRow, parse_rows
from evals.policy import Policy
from evals.rule import Reference, Rule


@dataclass(frozen=True)
class Bench:
    """Everything that lies before the judge.

    Args:
        rows: image rows of the candidate, sorted by prompt and seed.
        calibration: of the persona, or None.
        level: confidence of intervals.
        champion: the champion's rows, or None.
        base: rows of the base without a LoRA, or None.
        of_class: the candidate's rows on prompts without the trigger, or None.
        unbound: why the calibration is not one for these rows; None where it is.
    """

    rows: list[ImageRow]
    calibration: Calibration | None
    level: float
    champion: list[ImageRow] | None
    base: list[ImageRow] | None
    of_class: list[ImageRow] | None
    unbound: str | None

    @classmethod
    def of(
        cls,
        rows: Iterable[Mapping[str, Any]],
        calibration: Calibration | None,
        policy: Policy,
        champion: Iterable[Mapping[str, Any]] | None,
        backend: Mapping[str, Any] | None,
        domain: Mapping[str, Any] | None,
        base: Iterable[Mapping[str, Any]] | None = None,
        of_class: Iterable[Mapping[str, Any]] | None = None,
    ) -> "Bench":
        """Check what ``evals.judge.judge`` is given.

        Raises:
            InputError: as ``evals.image_rows.parse_rows``.
        """
        return cls(
            rows=parse_rows(rows),
            calibration=calibration,
            level=policy.level,
            champion=None if champion is None else parse_rows(champion),
            base=None if base is None else parse_rows(base),
            of_class=None if of_class is None else parse_rows(of_class),
            unbound="there is no calibration" if calibration is None else calibration.mismatch(backend, domain),
        )

    def evidence(self, rule: Rule) -> Evidence:
        """Return what a rule is judged on.

        Raises:
            CannotJudgeError: too few images or prompts, a metric that nobody measured, or no calibration for them.
        """
        if rule.rows == "class" and self.of_class is None:
            raise CannotJudgeError("no images were drawn from prompts without the trigger")
        judged = self.of_class if rule.rows == "class" and self.of_class is not None else self.rows
        require(judged, rule, "images")
        if rule.needs_calibration and self.unbound is not None:
            raise CannotJudgeError(self.unbound)
        return Evidence(judged, rule, self.level, self._number, self.base)

    def decision(self, evidence: Evidence) -> Decision:
        """Return the decision against the champion.

        Raises:
            CannotJudgeError: there are no champion rows, or as ``evals.decision.decide``.
        """
        if self.champion is None:
            raise CannotJudgeError("there are no champion rows to compare with")
        return decide(evidence, self.champion)

    def _number(self, reference: Reference) -> float:
        if reference.key is None:
            return reference.number
        value = None if self.calibration is None else self.calibration.threshold(reference.key)
        if value is None:
            raise CannotJudgeError(f"the calibration holds no {reference.key}")
        return value + reference.number
