"""The demo of arbitrage says that a thing happened only when the record, or the run, shows it."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.arbitrage_caps import read_cap_rules, scopes_without
from desk.arbitrage_ports import ClaimStage, StandingClaim
from desk.arbitrage_records import (
    ArbitrageTrade,
    HeldCapital,
    TradeFired,
    TradeKey,
    TradeStage,
    TradeStep,
)
from flotilla.demo.arbitrage.judging import Refusals, hedged, over, taken
from flotilla.demo.arbitrage.run import SetsOutcome
from flotilla.demo.arbitrage.scenes import NOT_PLAYED, Shown
from flotilla.demo.arbitrage.sets import OUTCOMES, Scene, ShownSet, caps, shown_sets
from flotilla.demo.arbitrage.verify import LegFacts, SetVerdict
from flotilla.simulated.arbitrage import with_arbitrage
from quoting.arbitrage.report import RunLook
from tests.flotilla.test_cli import USAGE, complaint, flotilla
from venues.ocx.simulator.settings import SimulatorSettings
from workflows.arbitrage_messages import ArbitrageState, ArbitrageStatus

FIRED, HEDGING, BALANCED = TradeStage.FIRED, TradeStage.HEDGING, TradeStage.BALANCED
HANDED_OVER, SETTLED = TradeStage.HANDED_OVER, TradeStage.SETTLED
MIN_EDGE = Decimal("0.005")
ONE = ShownSet(scene=Scene.WHOLE, account="demo1")
HELD = (HeldCapital(venue="ocx", account="demo1", quote="USDC", amount=Decimal(97)),)


def trade(
    *stages: TradeStage, edge: str | None = "2", locked: tuple[HeldCapital, ...] = HELD
) -> ArbitrageTrade:
    return ArbitrageTrade(
        fired=TradeFired(
            key=TradeKey(ONE.name, 1, 1),
            quote="USDC",
            units=Decimal(100),
            legs=(),
            capital=HELD,
            edge_expected=Decimal(2),
            payout_expected=Decimal(100),
            by="arbitrage/x/y",
            fired_at_ms=1,
        ),
        stage=stages[-1],
        rounds=0,
        progress=(),
        locked=locked,
        payout=None,
        edge=None if edge is None else Decimal(edge),
        steps=tuple(TradeStep(stage=stage, by="fills", reason="", at_ms=1) for stage in stages),
    )


def test_a_set_is_taken_when_it_is_held_and_pays_more_than_it_cost() -> None:
    assert taken([trade(FIRED, BALANCED)]) is not None
    assert taken([]) is None
    assert taken([trade(FIRED, edge=None)]) is None
    assert taken([trade(FIRED, BALANCED, edge="0")]) is None
    assert taken([trade(FIRED, BALANCED, edge="-1")]) is None
    assert taken([trade(FIRED, SETTLED, locked=())]) is None, "traded back"
    assert taken([trade(FIRED, HANDED_OVER)]) is None


def test_a_leg_is_hedged_when_something_was_owed_and_no_more() -> None:
    assert hedged([trade(FIRED, HEDGING, BALANCED)]) is not None
    assert hedged([trade(FIRED, HEDGING, SETTLED, locked=(), edge="-1")]) is not None
    assert hedged([trade(FIRED, BALANCED)]) is None, "nothing was missed"
    assert hedged([trade(FIRED, HEDGING)]) is None
    assert hedged([trade(FIRED, HEDGING, HANDED_OVER)]) is None, "a person has it"


def test_a_trade_under_way_is_not_over() -> None:
    assert over([])
    assert over([trade(FIRED, BALANCED)])
    assert not over([trade(FIRED, BALANCED), trade(FIRED)])
    assert not over([trade(FIRED, HEDGING)])


def look(stale: int, edge: str | None, epoch: int = 1) -> RunLook:
    best = None if edge is None else Decimal(edge)
    return RunLook(epoch=epoch, passed=(("no_edge", 9), ("stale_leg", stale)), best_edge=best)


def test_a_stale_leg_counts_only_while_the_prices_pay() -> None:
    def counted(*looks: RunLook) -> int:
        refusals = Refusals(min_edge=MIN_EDGE)
        return [refusals.take(one) for one in looks][-1]

    assert counted(look(3, "0.02")) == 0, "nothing says when these were"
    assert counted(look(3, "0.02"), look(5, "0.005")) == 2
    assert counted(look(3, "0.02"), look(5, "0.02"), look(5, "0.02")) == 2, "told twice"
    assert counted(look(3, "0.004"), look(5, "0.02")) == 0, "not worth it before"
    assert counted(look(3, "0.02"), look(5, "0.004")) == 0
    assert counted(look(3, "0.02"), look(5, None)) == 0
    assert counted(look(3, "0.02", epoch=1), look(9, "0.02", epoch=2)) == 0, "another run's count"


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.sampled_from(["0.001", "0.005", "0.03", None])),
        max_size=30,
    )
)
def test_never_more_refusals_than_there_were(steps: list[tuple[int, str | None]]) -> None:
    refusals, told, paid = Refusals(min_edge=MIN_EDGE), 0, 0
    for more, edge in steps:
        told += more
        before, after = paid, refusals.take(look(told, edge))
        assert before <= after <= told
        assert after == before or edge in {"0.005", "0.03"}
        paid = after


# --- what the demo asks for --------------------------------------------------------------------


def test_the_sets_are_whole_events_of_the_simulated_venue() -> None:
    bare = SimulatorSettings(accounts=())
    venue = with_arbitrage(bare, events=len(Scene), outcomes=OUTCOMES, pairs=False)
    listed = {market.symbol: market for market in venue.markets}
    sets = shown_sets("demo1")
    assert [one.scene for one in sets] == list(Scene)
    for one in sets:
        told = [listed[leg.symbol].settlement for leg in one.legs]
        assert len({settlement.event for settlement in told if settlement}) == 1
        assert {settlement.outcomes for settlement in told if settlement} == {len(one.legs)}
        assert one.cheap != one.troubled
        assert one.start().markets == one.legs
    assert len({leg for one in sets for leg in one.legs}) == OUTCOMES * len(Scene)
    assert len({one.name for one in (*sets, *shown_sets("demo2"))}) == 2 * len(Scene)


def test_nothing_lacks_a_cap_and_none_is_below_what_a_set_may_lock() -> None:
    rules = read_cap_rules(caps("demo1"))
    for one in shown_sets("demo1"):
        places = [("ocx", "demo1", "USDC"), ("ocx", "main", "USDC")]
        assert scopes_without(rules, one.name, places) == ()
        assert all(rule.amount >= len(Scene) * one.start().max_capital for rule in rules)


@pytest.mark.parametrize(
    ("option", "value"),
    [("--markets", "2"), ("--venue", "x10"), ("--drawdown-at", "5"), ("--replay", __file__)],
)
def test_options_of_quoted_markets_are_refused_with_arb(
    option: str, value: str, tmp_path: Path
) -> None:
    done = flotilla("demo", "--arb", option, value, folder=tmp_path)
    assert done.returncode == USAGE, done.stderr
    assert complaint(done).startswith(f"error: {option}: --arb ")
    assert not (tmp_path / "data").exists()


def test_only_the_simulated_ocx_has_events(tmp_path: Path) -> None:
    key = str(tmp_path / "key")
    done = flotilla("sim", "x10", "--events", "1", "--key-file", key, folder=tmp_path)
    assert done.returncode == USAGE
    assert "--events" in done.stderr


# --- what is read back -------------------------------------------------------------------------


def leg(number: int, position: int = 100) -> LegFacts:
    return LegFacts(
        market=ONE.legs[number],
        open_orders=0,
        position=Decimal(position),
        ledger_position=Decimal(position),
        fills=1,
        ledger_equals_venue=True,
        difference="",
    )


def claim(stage: ClaimStage, amount: int = 97) -> StandingClaim:
    return StandingClaim(
        key=TradeKey(ONE.name, 1, 1),
        owner="arbitrage/x/y",
        stage=stage,
        left_ms=0,
        sizes=(),
        capital=(replace(HELD[0], amount=Decimal(amount)),),
    )


STATUS = ArbitrageStatus(
    name=ONE.name,
    kind=ONE.start().kind,
    legs=ONE.start().legs,
    state=ArbitrageState.STOPPED,
    reason="stopped",
    epoch=1,
    owed=(0, 0, 0),
    locked=Decimal(97),
)
GOOD = SetVerdict(
    shown_set=ONE,
    shown=Shown(happened=True, what="taken"),
    status=STATUS,
    legs=(leg(0), leg(1), leg(2)),
    trades=(trade(FIRED, BALANCED),),
    claims=(claim(ClaimStage.HELD),),
)
NOTHING = replace(
    GOOD,
    legs=(leg(0, 0), leg(1, 0), leg(2, 0)),
    claims=(),
    status=STATUS.model_copy(update={"locked": Decimal(0)}),
)


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        (replace(GOOD, shown=NOT_PLAYED), "not shown"),
        (replace(GOOD, legs=(leg(0), leg(1, 101), leg(2))), "OUT2: 1 more than complete sets"),
        (replace(GOOD, legs=(leg(0), leg(1, -3), leg(2))), "OUT1: 103 more than complete sets"),
        (replace(GOOD, legs=(leg(0), replace(leg(1), open_orders=2), leg(2))), "lists 2 orders"),
        (
            replace(
                GOOD,
                legs=(leg(0), leg(1), replace(leg(2), ledger_equals_venue=False, difference="x")),
            ),
            "differ: x",
        ),
        (replace(GOOD, status=STATUS.model_copy(update={"owed": (0, -5, 0)})), "still owed"),
        (replace(GOOD, claims=(claim(ClaimStage.ALIVE),)), "still claimed (alive)"),
        (replace(GOOD, claims=(claim(ClaimStage.LAPSED),)), "still claimed (lapsed)"),
        (replace(GOOD, claims=(claim(ClaimStage.HELD, 98),)), "98 is claimed and 97 locked"),
        (replace(GOOD, claims=()), "0 is claimed and 97 locked"),
        (NOTHING, "no complete set"),
    ],
)
def test_whatever_is_left_open_is_said(verdict: SetVerdict, words: str) -> None:
    assert GOOD.holds
    assert not verdict.holds
    assert any(words in trouble for trouble in verdict.troubles), verdict.troubles
    assert verdict.as_json()["troubles"] == list(verdict.troubles)


def test_a_claim_rounded_up_to_millionths_is_what_is_locked() -> None:
    locked = Decimal(97) - Decimal("0.0000005")
    assert replace(GOOD, status=STATUS.model_copy(update={"locked": locked})).holds
    more = Decimal(97) + Decimal("0.0000005")
    assert not replace(GOOD, status=STATUS.model_copy(update={"locked": more})).holds


def test_a_refused_set_holds_nothing_and_that_is_well() -> None:
    stale = ShownSet(scene=Scene.STALE, account="demo1")
    assert replace(NOTHING, shown_set=stale).holds


def test_all_three_must_have_been_shown() -> None:
    good = [
        replace(GOOD, shown_set=ONE),
        replace(GOOD, shown_set=ShownSet(scene=Scene.MISSED, account="demo1")),
        replace(NOTHING, shown_set=ShownSet(scene=Scene.STALE, account="demo1")),
    ]
    assert SetsOutcome(services={}, verdicts=good).ok
    assert not SetsOutcome(services={}, verdicts=good[:2]).ok
    assert not SetsOutcome(services={}, verdicts=good, failures=["x"]).ok
    worse = replace(good[1], shown=NOT_PLAYED)
    assert not SetsOutcome(services={}, verdicts=[good[0], worse, good[2]]).ok
