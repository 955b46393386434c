"""What is a set, and what is refused, in which words."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from desk.arbitrage.sets import Member, NotASet, outcome_set, triangles
from desk.identity import MarketId
from desk.instrument import Settlement
from desk.units import Side
from tests.desk.arbitrage.samples import PAIRS, both_ways, outcome, outcomes, pair


def changed(member: Member, **changes: Any) -> Member:
    market, instrument = member
    return market, replace(instrument, **changes)


def test_every_outcome_once_is_a_set_that_buys_all_legs() -> None:
    found = outcomes(count=4)
    assert (found.name, found.event, found.quote) == ("E", "E", "USDC")
    assert [leg.side for leg in found.legs] == [Side.BUY] * 4
    assert len({leg.market for leg in found.legs}) == 4


def test_legs_may_be_at_several_venues_that_name_the_event_alike() -> None:
    members = [outcome(0, 2), outcome(1, 2, venue="zo")]
    assert [leg.market.venue for leg in outcome_set("E", members).legs] == ["ocx", "zo"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"settlement": None}, "carries no settlement identity"),
        (
            {"settlement": Settlement(event="F", outcome="2", outcomes=3)},
            "settles event 'F' and not 'E'",
        ),
        (
            {"settlement": Settlement(event="E", outcome="2", outcomes=4)},
            "one of 4 outcomes, but 3 legs are given",
        ),
        (
            {"settlement": Settlement(event="E", outcome="1", outcomes=3)},
            "2 legs are for the outcome '1'",
        ),
        ({"quote": "EUR"}, "quoted in 'EUR' and not in 'USDC'"),
        ({"quote": ""}, "nobody says in what"),
        ({"multiplier": Decimal(10)}, "only a multiplier of 1"),
        ({"active": False}, "is not active"),
    ],
)
def test_what_is_no_outcome_set_is_refused_with_the_leg_named(
    changes: dict[str, Any], sentence: str
) -> None:
    members = [outcome(0), outcome(1), changed(outcome(2), **changes)]
    with pytest.raises(NotASet, match=sentence) as refused:
        outcome_set("E", members)
    assert str(refused.value).startswith("E: ")


@pytest.mark.parametrize("count", [0, 1, 2, 4])
def test_an_outcome_missing_or_too_many_is_refused(count: int) -> None:
    with pytest.raises(NotASet):
        outcome_set("E", [outcome(number) for number in range(count)])


def test_all_legs_of_a_larger_event_are_missing_one() -> None:
    with pytest.raises(NotASet, match="one of 3 outcomes, but 2 legs"):
        outcome_set("E", [outcome(0), outcome(1)])


def test_the_same_market_twice_is_refused_on_any_account() -> None:
    market, instrument = outcome(1)
    again = (MarketId("ocx", "second", market.symbol), instrument)
    with pytest.raises(NotASet, match="ocx/E-1 is given 2 times"):
        outcome_set("E", [outcome(0), (market, instrument), again])


def test_a_triangle_goes_round_both_ways_from_the_currency_most_are_quoted_in() -> None:
    first, second = both_ways()
    assert (first.way, second.way) == ("USDC>BTC>ETH", "USDC>ETH>BTC")
    assert first.name == second.name == "T"
    sides = [(leg.market.symbol, leg.side) for leg in first.legs]
    assert sides == [
        ("BTC-USDC-SPOT", Side.BUY),
        ("ETH-BTC-SPOT", Side.BUY),
        ("ETH-USDC-SPOT", Side.SELL),
    ]
    sides = [(leg.market.symbol, leg.side) for leg in second.legs]
    assert sides == [
        ("ETH-USDC-SPOT", Side.BUY),
        ("ETH-BTC-SPOT", Side.SELL),
        ("BTC-USDC-SPOT", Side.SELL),
    ]


@pytest.mark.parametrize("start", ["USDC", "BTC", "ETH"])
def test_each_leg_turns_a_currency_into_the_next(start: str) -> None:
    for triangle in triangles("T", PAIRS, start):
        assert triangle.start == start
        after = (*triangle.currencies[1:], start)
        for leg, given, wanted in zip(triangle.legs, triangle.currencies, after, strict=True):
            bought = (leg.instrument.quote, leg.instrument.base)
            assert (given, wanted) == (bought if leg.side is Side.BUY else bought[::-1])


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        (PAIRS[:2], "2 pairs are given"),
        ((*PAIRS[:2], pair("SOL", "USDC")), "a triangle has three currencies"),
        ((*PAIRS[:2], pair("SOL", "EUR")), "a triangle has three currencies"),
        ((*PAIRS[:2], pair("USDC", "BTC")), "a triangle has three currencies"),
        ((*PAIRS[:2], changed(PAIRS[2], base="")), "not a pair of two known currencies"),
        ((*PAIRS[:2], changed(PAIRS[2], quote="ETH")), "not a pair of two known currencies"),
        ((*PAIRS[:2], changed(PAIRS[2], multiplier=Decimal(2))), "only a multiplier of 1"),
        ((*PAIRS[:2], changed(PAIRS[2], active=False)), "is not active"),
        (
            (
                *PAIRS[:2],
                changed(PAIRS[2], settlement=Settlement(event="E", outcome="1", outcomes=3)),
            ),
            "exchanges no currencies",
        ),
        ((PAIRS[0], PAIRS[0], PAIRS[1]), "is given 2 times"),
    ],
)
def test_what_is_no_triangle_is_refused(members: tuple[Member, ...], sentence: str) -> None:
    with pytest.raises(NotASet, match=sentence):
        triangles("T", members)


def test_a_start_nobody_trades_is_refused() -> None:
    with pytest.raises(NotASet, match="start from one of BTC, ETH, USDC"):
        triangles("T", PAIRS, "SOL")
