"""Each rule of the judge of sets holds for an honest one, and fails for one that breaks it."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from desk.arbitrage_ports import ClaimedSize, ClaimStage, StandingClaim
from desk.arbitrage_records import (
    ArbitrageTrade,
    FiredLeg,
    HeldCapital,
    TradeFired,
    TradeKey,
    TradeStage,
)
from desk.identity import MarketId, OrderIdentity, Slot
from desk.orders import Fill, Liquidity
from desk.records import LedgerFacts
from desk.units import NS_PER_S, Side
from quoting.arbitrage.report import SetKind
from tests.chaos import arbitrage_pennies as money
from tests.chaos import arbitrage_verdict as rules
from tests.chaos.arbitrage_books import WHOLE, outcome_books, shares, triangle_books
from tests.chaos.arbitrage_claims import SeenClaims
from tests.chaos.arbitrage_facts import CAP, STATED_S, SetFacts, Told
from tests.chaos.arbitrage_log import Done, Leg, SetLog, Taken, longest_above, standings
from tests.chaos.arbitrage_plan import TROUBLES, batch_of
from venues.ocx.simulator.listing import rules_of
from venues.ocx.simulator.settings import Money
from workflows.arbitrage_messages import ArbitrageState, ArbitrageStatus

_LEGS = [
    Leg(instrument=rules_of(one.market, Money()).instrument)
    for one in outcome_books("CUP", (200, 300, 500)).legs
]
_MARKETS = [MarketId("ocx", "arb", leg.symbol) for leg in _LEGS]
_PRICES = (188, 288, 488)
_LOTS = 10
_KEY = TradeKey("cup", 2, 1)
_FEE_BPS = Decimal("0.0005")


def name_of(leg: int, *, cycle: int = 1, epoch: int = 7, side: Side = Side.BUY) -> str:
    return OrderIdentity(
        tag=_MARKETS[leg].tag,
        epoch=epoch,
        cycle=cycle,
        slot=Slot(side, 0),
        exit=side is Side.SELL,
    ).encode()


def taken_of(leg: int, at_s: float, lots: int = _LOTS, **more: Any) -> Taken:
    name = name_of(leg, side=Side.BUY if lots > 0 else Side.SELL, **more)
    identity = OrderIdentity.decode(name)
    assert identity is not None
    return Taken(
        at_ns=int(at_s * NS_PER_S),
        symbol=_LEGS[leg].symbol,
        name=name,
        identity=identity,
        lots=lots,
        price=_PRICES[leg],
        reduce_only=lots < 0,
    )


def done_of(leg: int, at_s: float, lots: int = _LOTS, **more: Any) -> Done:
    return Done(
        at_ns=int(at_s * NS_PER_S),
        symbol=_LEGS[leg].symbol,
        name=name_of(leg, side=Side.BUY if lots > 0 else Side.SELL, **more),
        lots=lots,
        price=_PRICES[leg],
        fee=_LEGS[leg].instrument.notional(_PRICES[leg], abs(lots)) * _FEE_BPS,
    )


def fill_of(number: int, done: Done) -> Fill:
    return Fill(
        venue="ocx",
        account="arb",
        symbol=done.symbol,
        trade_id=f"t{number}",
        side=Side.BUY if done.lots > 0 else Side.SELL,
        price=done.price,
        lots=abs(done.lots),
        liquidity=Liquidity.TAKER,
        fee=done.fee,
        fee_estimated=False,
        traded_at_ms=0,
        client_order_id=done.name or None,
        venue_order_id=None,
    )


def fold_of(leg: Leg, done: list[Done]) -> LedgerFacts:
    mine = [one for one in done if one.symbol == leg.symbol]
    cash = Decimal(0)
    for one in mine:
        worth = leg.instrument.notional(one.price, abs(one.lots))
        cash += -worth if one.lots > 0 else worth
    return LedgerFacts(
        fills=len(mine),
        position=sum(one.lots for one in mine),
        cash=cash,
        fees=sum((one.fee for one in mine), Decimal(0)),
        last_trade_ms=None,
        peak_pnl=None,
    )


def honest(done: list[Done] | None = None) -> SetFacts:
    """One trade: leg two came late and was hedged, and the complete sets are held."""
    found = done or [done_of(0, 10), done_of(2, 10), done_of(1, 12, cycle=2)]
    taken = [taken_of(0, 10), taken_of(1, 10), taken_of(2, 10), taken_of(1, 12, cycle=2)]
    folds = {leg.symbol: fold_of(leg, found) for leg in _LEGS}
    cost = -sum((fold.cash - fold.fees for fold in folds.values()), Decimal(0))
    locked = (HeldCapital(venue="ocx", account="arb", quote="USDC", amount=cost),)
    fired = TradeFired(
        key=_KEY,
        quote="USDC",
        units=Decimal(_LOTS),
        legs=tuple(
            FiredLeg(
                market=market,
                side=Side.BUY,
                lots=_LOTS,
                limit=_PRICES[place],
                client_order_id=name_of(place),
            )
            for place, market in enumerate(_MARKETS)
        ),
        capital=(HeldCapital(venue="ocx", account="arb", quote="USDC", amount=Decimal(10)),),
        edge_expected=Decimal(0),
        payout_expected=Decimal(_LOTS),
        by="arbitrage/cup/1",
        fired_at_ms=0,
    )
    trade = ArbitrageTrade(
        fired=fired,
        stage=TradeStage.BALANCED,
        rounds=1,
        progress=(),
        locked=locked,
        payout=None,
        edge=Decimal(_LOTS) - cost,
        steps=(),
    )
    fills: dict[str, list[Fill]] = {leg.symbol: [] for leg in _LEGS}
    for number, one in enumerate(found):
        fills[one.symbol].append(fill_of(number, one))
    claim = StandingClaim(
        key=_KEY, owner="o", stage=ClaimStage.HELD, left_ms=0, sizes=(), capital=locked
    )
    return SetFacts(
        name="cup",
        kind=SetKind.OUTCOME_SET,
        legs=_LEGS,
        log=SetLog(taken=tuple(taken), done=tuple(found)),
        booked=fills,
        history=fills,
        folds=folds,
        trades=(trade,),
        claims=(claim,),
        seen={_KEY: sized(_LOTS)},
        status=status(),
        until_ns=100 * NS_PER_S,
    )


def sized(lots: int, *, shown: int = 20, name: str = "cup") -> StandingClaim:
    sizes = tuple(
        ClaimedSize(market=market, side=Side.BUY, shown=shown, lots=lots) for market in _MARKETS
    )
    return StandingClaim(
        key=TradeKey(name, 2, 1),
        owner="o",
        stage=ClaimStage.ALIVE,
        left_ms=1,
        sizes=sizes,
        capital=(HeldCapital(venue="ocx", account="arb", quote="USDC", amount=Decimal(lots)),),
    )


def status(**changes: Any) -> ArbitrageStatus:
    given: dict[str, Any] = {
        "name": "cup",
        "kind": SetKind.OUTCOME_SET,
        "legs": (),
        "state": ArbitrageState.STOPPED,
        "reason": "",
        "epoch": 2,
        "complete": Decimal(_LOTS),
    }
    return ArbitrageStatus(**{**given, **changes})


def with_trade(facts: SetFacts, **changes: Any) -> SetFacts:
    return replace(facts, trades=(replace(facts.trades[0], **changes),))


def with_leg(facts: SetFacts, **changes: Any) -> SetFacts:
    fired = facts.trades[0].fired
    first = replace(fired.legs[0], **changes)
    return with_trade(facts, fired=replace(fired, legs=(first, *fired.legs[1:])))


def after(facts: SetFacts, *more: Done, taken: tuple[Taken, ...] = ()) -> SetFacts:
    """More happened at the venue, and everybody else knows it."""
    again = honest([*facts.log.done, *more])
    log = SetLog(taken=(*facts.log.taken, *taken), done=again.log.done)
    return replace(again, log=log)


def test_an_honest_set_is_above_the_cap_for_a_moment_and_breaks_nothing() -> None:
    facts = honest()
    assert rules.breaches(facts) == []
    assert facts.longest_s == 2.0
    assert facts.standings[-2].worth == Decimal("0.188") * 10 + Decimal("0.488") * 10 > CAP


def test_what_was_left_over_before_may_go_with_the_next_trade_but_no_more() -> None:
    left = done_of(0, 5, lots=1, epoch=1)
    facts = honest()
    back = done_of(0, 30, lots=-_LOTS - 1, cycle=2)
    with_dust = replace(facts, log=replace(facts.log, done=(left, *facts.log.done, back)))
    assert rules.more_than_planned(with_dust) == []
    more = replace(back, lots=back.lots - 1)
    short = replace(facts, log=replace(facts.log, done=(left, *facts.log.done, more)))
    assert len(rules.more_than_planned(short)) == 1


def _late(facts: SetFacts) -> SetFacts:
    done = [*facts.log.done[:2], done_of(1, 11 + STATED_S, cycle=2)]
    return replace(facts, log=replace(facts.log, done=tuple(done)))


def _paid_by_halves(facts: SetFacts) -> SetFacts:
    paid = [replace(done_of(leg, 50, lots=-_LOTS), name="", fee=Decimal(0)) for leg in (0, 1)]
    return replace(after(facts, *paid), status=status(state=ArbitrageState.SETTLED))


_BROKEN: dict[str, tuple[Callable[[SetFacts], list[str]], Callable[[SetFacts], SetFacts]]] = {
    "too long above the cap": (rules.exposed_too_long, _late),
    "a leg is over in the end": (
        rules.apart_at_the_end,
        lambda facts: after(facts, done_of(0, 50, lots=-3, cycle=3)),
    ),
    "a leg outlives its payout": (rules.apart_at_the_end, _paid_by_halves),
    "dust is told where none is": (
        rules.dust_untold,
        lambda facts: replace(facts, status=status(dust=Decimal(1))),
    ),
    "an id is taken twice": (
        rules.ids_taken_twice,
        lambda facts: after(facts, taken=(taken_of(0, 30),)),
    ),
    "an order is taken after a kill": (
        rules.taken_while_killed,
        lambda facts: replace(facts, kills=(Told(from_ns=11 * NS_PER_S, until_ns=10**12),)),
    ),
    "a leg is doubled": (
        rules.more_than_planned,
        lambda facts: after(facts, done_of(0, 30, cycle=2), done_of(0, 31, lots=-_LOTS, cycle=3)),
    ),
    "a leg is sold short": (
        rules.more_than_planned,
        lambda facts: after(facts, done_of(0, 30, lots=-11, cycle=2), done_of(0, 31, 11, cycle=3)),
    ),
    "more is taken than fired": (rules.more_than_claimed, lambda facts: with_leg(facts, lots=9)),
    "more is fired than claimed": (
        rules.more_than_claimed,
        lambda facts: replace(facts, seen={_KEY: sized(9)}),
    ),
    "more is spent than claimed": (
        rules.more_than_claimed,
        lambda facts: with_trade(
            facts,
            fired=replace(
                facts.trades[0].fired,
                capital=(HeldCapital(venue="ocx", account="arb", quote="USDC", amount=Decimal(5)),),
            ),
        ),
    ),
    "an execution is not booked": (
        money.booked_otherwise,
        lambda facts: replace(facts, booked={**facts.booked, _LEGS[0].symbol: []}),
    ),
    "a fee is booked otherwise": (
        money.booked_otherwise,
        lambda facts: replace(
            facts,
            booked={
                **facts.booked,
                _LEGS[0].symbol: [
                    replace(facts.booked[_LEGS[0].symbol][0], fee=Decimal("0.00094001"))
                ],
            },
        ),
    ),
    "an id is booked otherwise": (
        money.booked_otherwise,
        lambda facts: replace(
            facts,
            booked={
                **facts.booked,
                _LEGS[0].symbol: [replace(facts.booked[_LEGS[0].symbol][0], trade_id="other")],
            },
        ),
    ),
    "a filled order is on no record": (
        money.unrecorded,
        lambda facts: with_leg(facts, client_order_id=name_of(0, epoch=8)),
    ),
    "a trade is still under way": (
        money.not_over,
        lambda facts: with_trade(facts, stage=TradeStage.HEDGING),
    ),
    "the set did not end": (
        money.not_over,
        lambda facts: replace(facts, status=status(state=ArbitrageState.HANDED_OVER)),
    ),
    "Redis forgot": (money.claims_apart, lambda facts: replace(facts, claims=())),
    "Redis kept sizes": (
        money.claims_apart,
        lambda facts: replace(facts, claims=(replace(facts.claims[0], stage=ClaimStage.LAPSED),)),
    ),
    "a penny is missing in the ledger": (
        money.pennies,
        lambda facts: replace(
            facts,
            folds={
                **facts.folds,
                _LEGS[0].symbol: replace(facts.folds[_LEGS[0].symbol], cash=Decimal("-1.88000001")),
            },
        ),
    ),
    "a trade brought something else": (
        money.pennies,
        lambda facts: with_trade(facts, edge=Decimal("0.35")),
    ),
}


@pytest.mark.parametrize("how", _BROKEN)
def test_a_broken_set_fails_its_rule(how: str) -> None:
    rule, breaks = _BROKEN[how]
    assert rule(honest()) == []
    assert rule(breaks(honest())) != []


def test_what_is_excused_is_not_counted_and_the_rest_is() -> None:
    facts = _late(honest())
    found = facts.standings
    assert facts.longest_s == 1 + STATED_S
    away = (20 * NS_PER_S, 25 * NS_PER_S)
    assert longest_above(found, CAP, facts.until_ns, (away,)) == 1 + STATED_S - 5
    again = (22 * NS_PER_S, 26 * NS_PER_S)
    assert longest_above(found, CAP, facts.until_ns, (again, away)) == 1 + STATED_S - 6
    outside = (60 * NS_PER_S, 70 * NS_PER_S)
    assert longest_above(found, CAP, facts.until_ns, (outside,)) == 1 + STATED_S


def test_a_set_that_never_came_back_is_counted_to_the_end() -> None:
    log = SetLog(taken=(), done=(done_of(0, 10),))
    found = standings(log, SetKind.OUTCOME_SET, _LEGS, ())
    assert longest_above(found, Decimal(1), 50 * NS_PER_S) == 40.0


def test_a_triangle_is_apart_by_the_share_that_each_leg_went() -> None:
    books = triangle_books("COIN")
    legs = [
        Leg(
            instrument=rules_of(one.market, Money()).instrument, worth=books.worth[one.market.quote]
        )
        for one in books.legs
    ]
    markets = [MarketId("ocx", "arb", leg.symbol) for leg in legs]
    names = [
        OrderIdentity(tag=one.tag, epoch=3, cycle=1, slot=Slot(leg.side, 0)).encode()
        for one, leg in zip(markets, books.legs, strict=True)
    ]
    fired = replace(
        honest().trades[0].fired,
        legs=tuple(
            FiredLeg(market=one, side=leg.side, lots=100, limit=1, client_order_id=name)
            for one, leg, name in zip(markets, books.legs, names, strict=True)
        ),
    )
    trades = (replace(honest().trades[0], fired=fired),)

    def apart(*lots: int) -> dict[str, int]:
        done = [
            Done(at_ns=1, symbol=leg.symbol, name=name, lots=n, price=1, fee=Decimal(0))
            for leg, name, n in zip(legs, names, lots, strict=True)
            if n
        ]
        log = SetLog(taken=(), done=tuple(done))
        return dict(standings(log, SetKind.TRIANGLE, legs, trades)[-1].excess)

    signs = [leg.side.sign for leg in books.legs]
    whole = [100 * sign for sign in signs]
    assert not any(apart(*whole).values())
    assert apart(whole[0], whole[1], 0) == {
        legs[0].symbol: whole[0],
        legs[1].symbol: whole[1],
        legs[2].symbol: 0,
    }
    part = [50 * signs[0], 51 * signs[1], 50 * signs[2]]
    assert apart(*part)[legs[1].symbol] == signs[1]


def test_claims_are_held_against_what_is_shown_and_against_caps() -> None:
    seen = SeenClaims(account_cap=Decimal(25), set_cap=Decimal(20))
    seen.judge([sized(10), sized(10, name="other")])
    assert seen.breaches == []
    seen.judge([sized(11), sized(10, name="other")])
    assert len(seen.breaches) == len(_LEGS), seen.breaches
    seen.breaches.clear()
    seen.judge([sized(13, shown=40), sized(13, shown=40, name="other")])
    assert seen.breaches == ["ocx/arb holds 26 USDC"]
    assert set(seen.by_key) == {_KEY, TradeKey("other", 2, 1)}


def test_a_batch_is_the_same_for_the_same_seed_and_uses_every_trouble() -> None:
    one, again, other = batch_of(3, 4, 80, 20), batch_of(3, 4, 80, 20), batch_of(4, 4, 80, 20)
    assert one == again != other
    assert [run for event in one.events for run in event.runs] == list(range(80, 100))
    names = {
        trouble.name
        for number in range(20)
        for event in batch_of(1, number, 0, 20).events
        for trade in event.trades
        for trouble in trade.troubles
    }
    assert names == set(TROUBLES)


@pytest.mark.parametrize("legs", [2, 3, 4, 5])
def test_books_show_an_edge_and_are_never_crossed(legs: int) -> None:
    rng = Random(legs)
    for _ in range(200):
        fair = shares(rng, legs)
        books = outcome_books("E", fair, rng=rng)
        assert sum(fair) == WHOLE
        assert all(0 < leg.back < leg.edge < leg.deep < WHOLE for leg in books.legs)
        assert sum(leg.edge for leg in books.legs) < WHOLE - 15
        assert sum(leg.back for leg in books.legs) < WHOLE < sum(leg.deep for leg in books.legs)
