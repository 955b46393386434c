"""The arbitrage markets the program offers at the simulated OCX: they fit together."""

from decimal import Decimal

import pytest

from flotilla.simulated.arbitrage import (
    OUTCOME_TICK,
    SPOT_ASSETS,
    outcome_set,
    triangle,
    with_arbitrage,
)
from venues.ocx.simulator.settings import SeedAccount, SimulatorSettings


@pytest.mark.parametrize("outcomes", range(2, 31))
def test_outcomes_are_a_whole_set_whose_prices_add_up_to_one(outcomes: int) -> None:
    markets = outcome_set("CUP", outcomes)
    prices = [market.price for market in markets]
    assert sum(prices) == 1
    assert prices == sorted(prices, reverse=True)
    assert min(prices) > 3 * OUTCOME_TICK
    assert not any(price % OUTCOME_TICK for price in prices)
    told = [market.settlement for market in markets]
    assert {(one.event, one.outcomes) for one in told if one} == {("CUP", outcomes)}
    assert len({one.outcome for one in told if one}) == outcomes == len(told)


def test_one_outcome_is_no_set() -> None:
    with pytest.raises(ValueError, match="two or more"):
        outcome_set("CUP", 1)


def test_the_pairs_make_a_triangle_at_prices_that_fit() -> None:
    btc, eth, cross = triangle()
    assert [one.currencies for one in (btc, eth, cross)] == [
        ("BTC", "USDC"),
        ("ETH", "USDC"),
        ("ETH", "BTC"),
    ]
    assert cross.price * btc.price == eth.price
    assert all(one.spot for one in (btc, eth, cross))
    assert cross.lot == eth.lot
    assert not any(one.price % one.tick for one in (btc, eth, cross))


def test_a_venue_gets_the_markets_and_its_accounts_what_they_trade_with() -> None:
    bare = SimulatorSettings(accounts=(SeedAccount(name="main"),))
    more = with_arbitrage(bare, events=2, outcomes=3, pairs=True)
    assert len(more.markets) == len(bare.markets) + 2 * 3 + 3
    assert len({market.symbol for market in more.markets}) == len(more.markets)
    assert more.accounts[0].spot == SPOT_ASSETS
    assert all(amount > Decimal(0) for amount in SPOT_ASSETS.values())
    fewer = with_arbitrage(bare, events=1, outcomes=2, pairs=False)
    assert fewer.accounts == bare.accounts
