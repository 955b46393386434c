"""What a day lost is judged from recorded facts: no restart, reorder or deposit changes it."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.daily_loss import (
    BY,
    MARKET_NAMES,
    DayFacts,
    DayLimits,
    Finding,
    LossVerdict,
    MarketDay,
    MarketPnl,
    Reference,
    holds,
    judge,
    latch,
    of_markets,
    scopes,
)
from desk.identity import MarketId
from desk.orders import Balance
from desk.records import Kill, KillEffect, kill_scopes
from desk.risk.limits import RiskLimits
from desk.trading_day import TradingDay

MARKET = MarketId("ocx", "main", "BTC-PERP")
DAY = TradingDay(begins_ms=1_763_683_200_000, ends_ms=1_763_769_600_000)
NEXT = TradingDay(begins_ms=DAY.ends_ms, ends_ms=DAY.ends_ms + 86_400_000)
HARDNESS = {LossVerdict.NONE: 0, LossVerdict.SOFT: 1, LossVerdict.HARD: 2}

amounts = st.decimals(min_value=-1_000, max_value=1_000, places=2)
limits = st.builds(
    lambda soft, more, drawdown: DayLimits(
        soft=soft, hard=None if soft is None or more is None else soft + more, drawdown=drawdown
    ),
    st.none() | st.decimals(min_value="0.01", max_value=500, places=2),
    st.none() | st.decimals(min_value=0, max_value=500, places=2),
    st.none() | st.decimals(min_value="0.01", max_value=500, places=2),
)


def facts(start: str = "100", peak: str = "150") -> DayFacts:
    return DayFacts(scope="fleet", day=DAY, start=Decimal(start), peak=Decimal(peak))


class Record:
    """The ledger's rule for a day's facts: the first start stands, the peak only grows."""

    def __init__(self, start: Decimal) -> None:
        self.facts = DayFacts(scope=scopes(MARKET)[0], day=DAY, start=start, peak=start)

    def note(self, seen: DayFacts) -> None:
        peak = max(self.facts.peak, seen.peak)
        self.facts = DayFacts(scope=seen.scope, day=DAY, start=self.facts.start, peak=peak)

    def session(self, given: DayLimits) -> MarketDay:
        return MarketDay(MARKET, given, DAY, self.facts)


@given(amounts, st.lists(st.tuples(amounts, st.booleans()), min_size=1), limits)
def test_restarts_between_marks_change_no_verdict(
    start: Decimal, marks: list[tuple[Decimal, bool]], given_limits: DayLimits
) -> None:
    steady, record = MarketDay(MARKET, given_limits, DAY, Record(start).facts), Record(start)
    session = record.session(given_limits)
    for pnl, restarted in marks:
        if restarted:
            session = record.session(given_limits)
        expected, found = steady.saw(pnl), session.saw(pnl)
        assert session.facts is not None
        record.note(session.facts)
        assert found == expected
    assert record.facts == steady.facts


@given(amounts, st.permutations([Decimal(item) for item in (-40, -5, 0, 7, 90)]), limits)
def test_the_order_of_marks_does_not_matter_for_the_worst_verdict_against_the_start(
    start: Decimal, marks: list[Decimal], given_limits: DayLimits
) -> None:
    from_start = DayLimits(soft=given_limits.soft, hard=given_limits.hard)
    day = MarketDay(MARKET, from_start, DAY, Record(start).facts)
    worst = max((day.saw(pnl).verdict for pnl in marks), key=HARDNESS.__getitem__)
    assert worst is judge(Record(start).facts, min(marks), from_start).verdict


@given(amounts, amounts, amounts, limits)
def test_only_differences_count_so_what_was_earned_before_does_not(
    start: Decimal, pnl: Decimal, before: Decimal, given_limits: DayLimits
) -> None:
    here = judge(facts(str(start), str(start)), pnl, given_limits)
    there = judge(facts(str(start + before), str(start + before)), pnl + before, given_limits)
    assert (here.verdict, here.lost, here.reference) == (there.verdict, there.lost, there.reference)


@given(amounts, amounts, limits)
def test_a_deeper_loss_is_never_judged_milder(
    pnl: Decimal, more: Decimal, given_limits: DayLimits
) -> None:
    milder = judge(facts(), pnl, given_limits).verdict
    deeper = judge(facts(), pnl - abs(more), given_limits).verdict
    assert HARDNESS[deeper] >= HARDNESS[milder]


def test_pnl_has_no_place_for_deposits() -> None:
    """It is made of fills, fees and the holding's price: nothing of the account's balance."""
    fields = set(MarketPnl.__dataclass_fields__)
    assert fields == {
        *("market", "cash", "fees", "quantity", "multiplier", "mid", "marked_at_ms"),
        *("marked_pnl", "priced", "funding"),
    }
    assert not fields & set(Balance.__dataclass_fields__)


@pytest.mark.parametrize(
    ("pnl", "verdict"),
    [("100", "none"), ("90", "none"), ("89.99", "soft"), ("80", "soft"), ("79.99", "hard")],
)
def test_a_limit_is_passed_by_more_than_it(pnl: str, verdict: str) -> None:
    given_limits = DayLimits(soft=Decimal(10), hard=Decimal(20))
    assert judge(facts(), Decimal(pnl), given_limits).verdict.value == verdict


def test_no_limit_is_no_verdict() -> None:
    finding = judge(facts(), Decimal(-10_000), DayLimits())
    assert finding == Finding(lost=Decimal(10_100))


def test_the_sentence_names_the_start_of_the_day_the_amount_and_the_limit() -> None:
    finding = judge(facts(), Decimal(70), DayLimits(hard=Decimal(20)), MARKET_NAMES)
    assert finding.reference is Reference.START
    assert finding.sentence == (
        "lost 30.00 since the start of the day, which began 2025-11-21 00:00 UTC at PnL 100.00; "
        "more than max_daily_loss 20"
    )


def test_the_sentence_names_the_peak_where_that_is_the_reference() -> None:
    finding = judge(facts(), Decimal(110), DayLimits(drawdown=Decimal(20)))
    assert finding.verdict is LossVerdict.HARD
    assert finding.sentence == (
        "fell 40.00 below the day's peak, which is PnL 150.00; more than the drawdown limit 20"
    )


def test_a_soft_limit_stays_for_the_day_and_ends_with_it() -> None:
    day = MarketDay(MARKET, DayLimits(soft=Decimal(10)), DAY, facts())
    day.saw(Decimal(91))
    seen = [day.reduction]
    for pnl in (85, 200):
        day.saw(Decimal(pnl))
        seen.append(day.reduction)
    before, found, later = seen
    assert before is None
    assert found is not None
    assert (found.effect, found.until_ms) == (KillEffect.REDUCE, DAY.ends_ms)
    assert found.covers(MARKET)
    assert later == found, "a better price does not lift it"
    day.begin(NEXT, None)
    day.saw(Decimal(85))
    assert day.reduction is None
    assert day.facts is not None
    assert (day.facts.start, day.facts.day) == (Decimal(85), NEXT)


def test_a_latch_covers_exactly_its_scope_and_ends_with_the_day() -> None:
    finding = judge(facts(), Decimal(0), DayLimits(hard=Decimal(20)))
    for scope in scopes(MARKET):
        kill = latch(scope, finding, DAY.ends_ms, 7)
        assert kill.scope in kill_scopes(MARKET)
        assert (kill.effect, kill.until_ms, kill.by) == (KillEffect.FLATTEN, DAY.ends_ms, BY)
    stranger = MarketId("ocx", "other", "BTC-PERP")
    assert not latch(scopes(MARKET)[1], finding, DAY.ends_ms, 7).covers(stranger)


@pytest.mark.parametrize(
    ("standing", "until_ms", "stays"),
    [
        (KillEffect.REDUCE, DAY.ends_ms, False),
        (KillEffect.FLATTEN, DAY.ends_ms, True),
        (KillEffect.FLATTEN, DAY.begins_ms, False),
        (KillEffect.FLATTEN, None, True),
    ],
)
def test_a_latch_gives_way_to_a_harder_or_longer_one_only(
    standing: KillEffect, until_ms: int | None, stays: bool
) -> None:
    wanted = latch("fleet", judge(facts(), Decimal(0), DayLimits(hard=Decimal(1))), DAY.ends_ms, 9)
    there = Kill(scope=wanted.scope, reason="", by="", at_ms=1, effect=standing, until_ms=until_ms)
    assert holds(there, wanted) is stays


@given(st.lists(st.tuples(amounts, amounts), min_size=1, max_size=5), amounts)
def test_a_market_that_joins_brings_only_what_it_made_today(
    markets: list[tuple[Decimal, Decimal]], start: Decimal
) -> None:
    def part(begin: Decimal, pnl: Decimal) -> tuple[DayFacts, Decimal]:
        return DayFacts(scope="market:x", day=DAY, start=begin, peak=begin), pnl

    parts = [part(*market) for market in markets]
    recorded, before = of_markets("fleet", DAY, None, parts)
    _, after = of_markets("fleet", DAY, recorded, [*parts, part(start, start)])
    assert after == before
    assert recorded.peak >= max(recorded.start, before)


@pytest.mark.parametrize(
    ("held", "mid", "priced", "pnl"),
    [
        ("0", None, True, "-1.5"),
        ("2", "50", True, "1998.5"),
        ("2", None, True, None),
        ("0", None, False, None),
    ],
)
def test_a_holding_without_a_price_has_no_pnl(
    held: str, mid: str | None, priced: bool, pnl: str | None
) -> None:
    item = MarketPnl(
        market=MARKET,
        cash=Decimal(-1),
        fees=Decimal(1),
        funding=Decimal("0.5"),
        quantity=Decimal(held),
        multiplier=Decimal(20),
        mid=None if mid is None else Decimal(mid),
        priced=priced,
    )
    assert item.pnl == (None if pnl is None else Decimal(pnl))


@pytest.mark.parametrize(
    ("given_limits", "words"),
    [
        ({"max_daily_loss": "0"}, "max_daily_loss: 0 is not above zero"),
        ({"soft_daily_loss": "-1"}, "soft_daily_loss: -1 is not above zero"),
        (
            {"soft_daily_loss": "3", "max_daily_loss": "2"},
            "soft_daily_loss: 3 is above max_daily_loss 2",
        ),
        ({"soft_daily_loss": "2", "max_daily_loss": "2"}, ""),
        ({}, ""),
    ],
)
def test_a_markets_limits_are_checked(given_limits: dict[str, str], words: str) -> None:
    chosen = {name: Decimal(value) for name, value in given_limits.items()}
    assert words in " ".join(RiskLimits(**chosen).problems())  # type: ignore[arg-type]
    assert bool(words) == bool(RiskLimits(**chosen).problems())  # type: ignore[arg-type]
