"""Does the judge see? Controls whose answer is known are judged before the LoRA; a judge that errs refuses to rule.

A control is a set of image rows with one known answer. A positive control must pass every gate that its rows can be
judged by; a negative one must fail one of the gates that are there to refuse it. *Not evaluated* is no answer: a gate
that could not look has not been seen to refuse.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from evals.policy import Policy
from evals.verdict import Outcome, Verdict, failed, not_evaluated, passed


@dataclass(frozen=True)
class Control:
    """A set of images with a known answer.

    Args:
        name: as it is told to people.
        accept: True for a positive control.
        gates: gates that must all pass (positive), or of which one must fail (negative).
        mend: what a person can do when the judge answers it wrongly; empty where only the judge can be mended.
    """

    name: str
    accept: bool
    gates: tuple[str, ...]
    mend: str = ""


HELD_OUT = Control(
    "held-out references",
    True,
    ("face_rate", "likeness", "likeness_tail", "skin_realism", "copy_image", "image_flat"),
    "no LoRA can be asked for more than real pictures give: take other references, or calibrate with a higher --far",
)
STRENGTH_0 = Control("the base without the LoRA", False, ("likeness",))
OTHER_IDENTITY = Control("other people", False, ("likeness",))
BLURRED = Control("blurred references", False, ("skin_realism",))
SMOOTHED = Control("smoothed references", False, ("skin_realism",))
PASTED = Control("training images pasted in", False, ("copy_image",))
# A LoRA that still draws the person at the first strength is no picture of ruin: what must be refused is then drawn at
# the next. The demo's is refused at 1.8; of three other personas' one stood there.
OVERDRIVEN_STRENGTHS = (1.8, 2.7, 4.0)


def overdriven(strength: float) -> Control:
    """Return the control that a LoRA is at a strength far above its own."""
    gates = ("likeness", "likeness_tail", "skin_realism", "face_rate")
    return Control(f"the LoRA at strength {strength:g}", False, gates)


@dataclass(frozen=True)
class ControlResult:
    """One judged control: the answer of the judge to each of its gates, and how many images stood behind it."""

    control: Control
    verdicts: Mapping[str, Verdict]
    images: int

    @property
    def stands(self) -> bool:
        """Whether every gate of the control passed: nothing in these images shows what it is there to show."""
        told = [self.verdicts.get(gate) for gate in self.control.gates]
        return all(verdict is not None and verdict.outcome is Outcome.PASSED for verdict in told)

    @property
    def problem(self) -> str | None:
        """Why the judge did not answer this control as it must, or None when it did."""
        told = {gate: self.verdicts.get(gate) for gate in self.control.gates}
        if self.control.accept:
            for gate, verdict in told.items():
                if verdict is None or verdict.outcome is not Outcome.PASSED:
                    said = "no verdict" if verdict is None else f"{verdict.outcome.value}: {verdict.reason}"
                    mend = f" ({self.control.mend})" if self.control.mend else ""
                    return f"{self.control.name} must pass {gate}, which says {said}{mend}"
            return None
        if any(verdict is not None and verdict.outcome is Outcome.FAILED for verdict in told.values()):
            return None
        said = "; ".join(
            f"{gate} says {'nothing' if verdict is None else verdict.outcome.value}" for gate, verdict in told.items()
        )
        return f"{self.control.name} must be refused: {said}"


def control_policy(policy: Policy, images: int, prompts: int) -> Policy:
    """Return the policy with its minimum counts lowered to what a control has.

    A persona has as many references as it has: what is asked of a control is whether the gates see, not how sure they
    are, so the number of images is told beside the answer instead.
    """
    rules = {
        gate: replace(
            rule,
            minimum_images=min(rule.minimum_images, images),
            minimum_prompts=min(rule.minimum_prompts, prompts),
        )
        for gate, rule in policy.rules.items()
    }
    return replace(policy, rules=rules)


def instrument_verdict(
    results: Sequence[ControlResult], expected: Sequence[Control], notes: Sequence[str] = ()
) -> Verdict:
    """Return the verdict of the gate ``instrument``: every expected control was judged and answered as it must be.

    Args:
        results: judged controls.
        expected: controls that had to be judged; one that is missing is *not evaluated*, which blocks.
        notes: findings that are told and do not decide.

    Returns:
        ``value`` is the number of controls answered wrongly, ``threshold`` 0.
    """
    source = {"threshold": 0.0, "threshold_source": "design"}
    judged = {result.control.name for result in results}
    missing = [control.name for control in expected if control.name not in judged]
    if missing or not expected:
        return not_evaluated(f"not judged: {', '.join(missing) or 'any control'}", **source)  # type: ignore[arg-type]
    problems = [problem for result in results if (problem := result.problem) is not None]
    told = "".join(f"; {note}" for note in notes)
    if problems:
        return failed(f"{'; '.join(problems)}{told}", value=len(problems), **source)  # type: ignore[arg-type]
    counts = ", ".join(f"{result.control.name} ({result.images})" for result in results)
    return passed(f"answered as known: {counts}{told}", value=0.0, **source)  # type: ignore[arg-type]
