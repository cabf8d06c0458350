"""An amount of money, and how long it pays for a pod."""

import re
from dataclasses import dataclass

from lifeos.errors import InputError
from lifeos.pods.spec import Pod

PATTERN = r"\d{1,9}(?:\.\d{1,4})?(?: [A-Z]{3})?"


@dataclass(frozen=True)
class Money:
    """``amount`` of ``currency`` (ISO 4217; empty: that of the pod)."""

    amount: float
    currency: str

    def __str__(self) -> str:
        return f"{self.amount:.2f} {self.currency}".rstrip()


def parse_money(text: str, name: str) -> Money | None:
    """Read ``"20 USD"`` or ``"20"``; an empty text is None: nothing declared.

    Args:
        text: what was written.
        name: the setting or option, for the message.

    Raises:
        InputError: anything else.
    """
    if not text.strip():
        return None
    if re.fullmatch(PATTERN, text.strip()) is None:
        raise InputError(f"{name}: accepted an amount such as '20' or '20 USD', got {text!r}; next: correct {name}")
    amount, _, currency = text.strip().partition(" ")
    return Money(float(amount), currency)


def seconds_for(money: Money, pod: Pod) -> float:
    """Return how many seconds of the pod the money pays for; infinite for a pod that costs nothing.

    Raises:
        InputError: the pod is priced in another currency.
    """
    if money.currency not in ("", pod.currency):
        raise InputError(
            f"budget: accepted {pod.currency}, in which pod {pod.name} is priced, got {money.currency}; "
            "next: state the budget in that currency"
        )
    return float("inf") if pod.price_per_hour == 0 else money.amount / pod.price_per_hour * 3600
