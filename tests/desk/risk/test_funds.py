"""Gates on the account's funds: at the limit they pass, beyond they deny, exits always go."""

from decimal import Decimal
from typing import Any

import pytest

from desk.orders import Balance
from desk.risk.gate import DenialReason, GateContext
from desk.units import NS_PER_MS, Side
from tests.desk.risk.samples import approved, batch, context, denial, leave, limits, quote

# One lot is worth 1,000 at the mid.
FUNDS = Balance(equity=Decimal(100_000), available=Decimal(500), exposure=Decimal(50_000))
SET: dict[str, Any] = {
    "min_margin_fraction": Decimal("0.18"),
    "min_free_collateral": Decimal(100),
    "max_market_exposure": Decimal("0.3"),
    "max_total_exposure": Decimal("0.6"),
}


def given(funds: Balance | None = FUNDS, *, position: int = 0, **wanted: Any) -> GateContext:
    return context(
        limits=limits(**wanted), funds=funds, funds_age_ns=0 if funds else None, position=position
    )


def test_nothing_is_asked_while_no_limit_is_set() -> None:
    assert approved(batch(quote()), given(None))


@pytest.mark.parametrize(("name", "limit"), SET.items())
def test_unknown_funds_mean_no_and_an_exit_still_goes(name: str, limit: Any) -> None:
    unknown = given(None, position=10, **{name: limit})
    denied = denial(batch(quote()), unknown)
    assert denied.reason is DenialReason.FUNDS
    assert approved(batch(leave(lots=10)), unknown)
    assert approved(batch(quote(Side.SELL, lots=20)), unknown), "ends no larger than it is"
    assert denial(batch(quote(Side.SELL, lots=21)), unknown).reason is DenialReason.FUNDS


@pytest.mark.parametrize(("name", "limit"), SET.items())
def test_old_funds_mean_no(name: str, limit: Any) -> None:
    fresh = context(limits=limits(**{name: limit}), funds=FUNDS, funds_age_ns=15_000 * NS_PER_MS)
    assert approved(batch(quote()), fresh)
    old = context(limits=limits(**{name: limit}), funds=FUNDS, funds_age_ns=15_001 * NS_PER_MS)
    assert "15001 ms old" in denial(batch(quote()), old).message


def test_free_collateral() -> None:
    assert approved(batch(quote()), given(min_free_collateral=Decimal(500)))
    denied = denial(batch(quote()), given(min_free_collateral=Decimal(501)))
    assert (denied.limit, denied.value) == (501, 500)


def test_margin_fraction() -> None:
    assert approved(batch(quote()), given(min_margin_fraction=Decimal(2)))
    denied = denial(batch(quote()), given(min_margin_fraction=Decimal("2.01")))
    assert denied.value == 2
    flat = Balance(equity=Decimal(1), available=Decimal(1), exposure=Decimal(0))
    assert approved(batch(quote()), given(flat, min_margin_fraction=Decimal("0.18")))
    untold = Balance(equity=Decimal(1), available=Decimal(1))
    denied = denial(batch(quote()), given(untold, min_margin_fraction=Decimal("0.18")))
    assert "does not tell" in denied.message


@pytest.mark.parametrize("side", Side)
def test_one_market_may_hold_a_share_of_equity(side: Side) -> None:
    start = given(position=10 * side.sign, max_market_exposure=Decimal("0.3"))
    assert approved(batch(quote(side, lots=20)), start)
    denied = denial(batch(quote(side, lots=21)), start)
    assert (denied.limit, denied.value) == (30_000, 31_000)


def test_all_markets_may_hold_a_share_of_equity() -> None:
    start = given(position=10, max_total_exposure=Decimal("0.6"))
    assert approved(batch(quote(lots=10)), start), "50,000 held, of which 10,000 here"
    denied = denial(batch(quote(lots=11)), start)
    assert (denied.limit, denied.value) == (60_000, 61_000)
