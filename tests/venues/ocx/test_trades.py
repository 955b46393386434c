"""One fill has one id, on the stream and on REST, however often the venue repeats it."""

import itertools
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.instrument import Instrument
from desk.orders import Liquidity
from desk.units import Side
from venues.ocx.config import OcxConfig
from venues.ocx.instruments import Catalog
from venues.ocx.trades import RecentTrades, fill_of, number
from venues.ocx.wire import WireTrade

TRADES = st.lists(
    st.builds(
        WireTrade,
        market_id=st.sampled_from(["A", "B"]),
        side=st.sampled_from(["buy", "sell"]),
        price=st.sampled_from(["1.0", "1.00", "2"]),
        quantity=st.sampled_from(["0.1", "0.10", "3"]),
        created_at=st.integers(min_value=1, max_value=4),
    ),
    max_size=25,
).map(lambda trades: sorted(trades, key=lambda trade: trade.created_ms))


@given(TRADES, st.lists(st.integers(min_value=0, max_value=25), max_size=4))
def test_ids_are_the_same_on_the_stream_and_on_rest(
    trades: list[WireTrade], cuts: list[int]
) -> None:
    """The stream is cut into a snapshot and deltas anywhere, with repeated snapshots between."""
    edges = sorted({min(cut, len(trades)) for cut in (0, *cuts, len(trades))})
    recent = RecentTrades(by_venue=False)
    told = [trade_id for trade_id, _ in recent.snapshot(trades[: edges[0]])]
    for start, end in itertools.pairwise(edges):
        told += [trade_id for trade_id, _ in recent.change(trades[start:end])]
        assert recent.snapshot(trades[:end]) == []
    on_rest = [trade_id for trade_id, _ in number(trades, by_venue=False)]
    assert told == on_rest
    assert len(set(told)) == len(trades)


@given(TRADES, st.integers(min_value=0, max_value=25))
def test_a_snapshot_after_a_gap_gives_exactly_what_was_missed(
    trades: list[WireTrade], cut: int
) -> None:
    recent = RecentTrades(by_venue=False)
    before = recent.snapshot(trades[:cut])
    after = recent.snapshot(trades)
    assert [one[0] for one in before + after] == [one[0] for one in number(trades, by_venue=False)]


def test_the_venues_ids_are_used_only_when_told_to() -> None:
    trade = WireTrade(
        market_id="A", side="buy", price="1", quantity="2", created_at=5, trade_id="T"
    )
    assert [one[0] for one in number([trade], by_venue=True)] == ["T"]
    assert [one[0] for one in number([trade], by_venue=False)] == ["A:5:b:1:2:0"]


@pytest.mark.parametrize(("fee", "paid", "guess"), [(None, "0.402", True), ("-0.1", "-0.1", False)])
def test_a_missing_fee_is_estimated_from_the_tier(fee: str | None, paid: str, guess: bool) -> None:
    instrument = Instrument(
        venue="ocx",
        symbol="A",
        tick_size=Decimal("0.5"),
        lot_size=Decimal("0.1"),
        maker_fee_bps=Decimal(2),
        taker_fee_bps=Decimal(4),
    )
    trade = WireTrade(
        market_id="A",
        side="sell",
        price="100.5",
        quantity="10",
        created_at="2026-04-24T10:00:00.000Z",
        liquidity="taker",
        fee=fee,
    )
    (numbered,) = number([trade], by_venue=False)
    grids = Catalog(OcxConfig(base_url="https://localhost")).grids(instrument)
    fill = fill_of(numbered, instrument, "main", grids)
    assert (fill.side, fill.price, fill.lots) == (Side.SELL, 201, 100)
    assert fill.liquidity is Liquidity.TAKER
    assert fill.fee_estimated is guess
    assert fill.fee == Decimal(paid)
    assert fill.traded_at_ms == 1777024800000
