import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeos.errors import InputError
from lifeos.pods.budget import Money, parse_money, seconds_for
from lifeos.pods.spec import load_pod

POD = load_pod("a40")


@pytest.mark.parametrize(
    ("text", "money"),
    [("", None), ("  ", None), ("20", Money(20, "")), ("20 USD", Money(20, "USD")), ("0.05 EUR", Money(0.05, "EUR"))],
)
def test_an_amount(text, money):
    assert parse_money(text, "budget") == money


@pytest.mark.parametrize("text", ["twenty", "20 usd", "$20", "-1", "1e3", "nan", "inf", "20 USD 5", "20,00"])
def test_what_is_no_amount(text):
    with pytest.raises(InputError, match="accepted an amount"):
        parse_money(text, "budget")


@given(st.text(max_size=20))
def test_any_text_is_an_amount_nothing_or_an_input_error(text):
    try:
        money = parse_money(text, "budget")
    except InputError:
        return
    assert money is None or math.isfinite(money.amount)


def test_what_it_pays_for():
    assert seconds_for(Money(0.44, "USD"), POD) == pytest.approx(3600)
    assert seconds_for(Money(0.44, ""), POD) == pytest.approx(3600)
    own = POD.model_copy(update={"price": POD.price.model_copy(update={"per_hour": 0.0})})
    assert seconds_for(Money(0.0, ""), own) == math.inf
    with pytest.raises(InputError, match="got EUR"):
        seconds_for(Money(1, "EUR"), POD)
