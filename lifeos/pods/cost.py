"""Hours and money of a run on a pod, before it is rented, and whether they are within the budget."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evals.verdict import Verdict, failed, not_applicable, not_evaluated, passed
from lifeos.errors import InputError
from lifeos.pods.budget import Money, parse_money, seconds_for
from lifeos.pods.spec import Pod
from lifeos.pods.throughput import Row, Throughput
from lifeos.pods.workload import Workload

if TYPE_CHECKING:
    from lifeos.inputs import Inputs


@dataclass(frozen=True)
class Estimate:
    """What a run takes on a pod.

    Args:
        pod: where.
        phases: seconds a phase, in order.
        rows: throughput rows behind them.
    """

    pod: Pod
    phases: dict[str, float]
    rows: tuple[Row, ...]

    @property
    def seconds(self) -> float:
        """Wall time in all, from renting to the verdict."""
        return sum(self.phases.values())

    @property
    def money(self) -> Money:
        """Price of that time; parts of an hour are paid for as such."""
        return Money(self.seconds / 3600 * self.pod.price_per_hour, self.pod.currency)

    @property
    def assumptions(self) -> list[str]:
        """Ids of the rows that nobody measured on this GPU, and the price where it is a list price."""
        named = [row.id for row in self.rows if row.kind == "estimated"]
        return [*named, f"price of {self.pod.price.date.isoformat()}"] if self.pod.price.kind == "estimate" else named

    def to_json(self) -> dict[str, Any]:
        """Return the estimate as JSON values."""
        return {
            "pod": self.pod.name,
            "seconds": round(self.seconds, 1),
            "phases": {name: round(seconds, 1) for name, seconds in self.phases.items()},
            "amount": round(self.money.amount, 4),
            "currency": self.money.currency,
            "measured": [row.id for row in self.rows if row.kind == "measured"],
            "estimated": self.assumptions,
        }


def estimate(workload: Workload, pod: Pod, throughput: Throughput) -> Estimate:
    """Add up what the parts of a workload take on a pod; one GPU works, however many it has.

    Raises:
        InputError: the table has no row for a part.
    """
    phases: dict[str, float] = {}
    rows: dict[str, Row] = {}
    for part in workload.parts:
        row = throughput.row(part.family, part.operation, pod.gpu.name)
        rows[row.id] = row
        side = part.side if part.side is not None else row.side
        call = throughput.seconds(row, pod.gpu, images=part.images, side=side, dtype=part.dtype)
        phases[part.phase] = phases.get(part.phase, 0.0) + part.calls * call
    return Estimate(pod, phases, tuple(rows.values()))


def estimate_inputs(inputs: "Inputs", pod: Pod) -> Estimate:
    """Estimate a release of these inputs on a pod.

    Raises:
        InputError: something that must be counted cannot be read, or the table does not know the family.
    """
    from lifeos.pods.throughput import load_throughput
    from lifeos.pods.workload import count_workload

    return estimate(count_workload(inputs), pod, load_throughput())


def cost_verdict(budget: str, pod: Callable[[], Pod], judged: Callable[[Pod], Estimate]) -> Verdict:
    """Compare the estimate with the budget.

    Args:
        budget: the setting; empty means that none was declared: the gate is not applicable then.
        pod: reads the pod.
        judged: estimates the run on it.

    Returns:
        Failed above the budget; not evaluated where something cannot be read, where no row of the table speaks of the
        family, or where budget and price have different currencies.
    """
    try:
        limit = parse_money(budget, "budget")
        if limit is None:
            return not_applicable("no budget was declared")
        rented = pod()
        payable = seconds_for(limit, rented)
        found = judged(rented)
    except InputError as error:
        return not_evaluated(str(error))
    within = found.seconds <= payable
    parts = ", ".join(f"{name} {_time(seconds)}" for name, seconds in found.phases.items())
    known = f"; estimated: {', '.join(found.assumptions)}" if found.assumptions else ""
    reason = (
        f"{_time(found.seconds)} and {found.money} on pod {rented.name} ({parts}), "
        f"{'within' if within else 'above'} {limit}{known}"
    )
    return (passed if within else failed)(
        reason, value=round(found.money.amount, 4), threshold=limit.amount, threshold_source="settings:budget"
    )


def _time(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min" if minutes else "1 min"
