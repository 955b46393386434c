"""The folds of a session give the same books as PostgreSQL's, however the venue told them.

Both are held against one plain sum over what happened (`histories.books`).
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from desk.identity import MarketId
from desk.instrument import Instrument
from desk.orders import Fill
from desk.position import Position, apply_fill, apply_funding
from desk.records import FillSeen, LedgerFacts
from quoting.opening import overlap_start_ms
from quoting.standing import Standing
from tests.infra.postgres.histories import (
    Sums,
    Telling,
    Truth,
    books,
    instruments,
    market_of,
    tellings,
    truths,
)

_MIDS = st.integers(1, 10**7)


def fills_of(told: Iterable[Telling]) -> list[Fill]:
    """Fills in the order they were told, as often as they were."""
    fills = []
    for one in told:
        match one:
            case Fill():
                fills.append(one)
            case FillSeen(fill=fill):
                fills.append(fill)
            case _:
                pass
    return fills


def first_words(told: Iterable[Fill]) -> Sequence[Fill]:
    """The first word on each trade."""
    first: dict[tuple[str, str], Fill] = {}
    for fill in told:
        first.setdefault((fill.account, fill.trade_id), fill)
    return tuple(first.values())


def worth(sums: Sums, instrument: Instrument, mid_x2: int) -> Decimal:
    mid = mid_x2 * instrument.tick_size / 2
    return sums.cash + sums.quantity * instrument.multiplier * mid - sums.fees + sums.funding


def facts(fills: int, sums: Sums, instrument: Instrument) -> LedgerFacts:
    return LedgerFacts(
        fills=fills,
        position=int(sums.quantity / instrument.lot_size),
        cash=sums.cash,
        fees=sums.fees,
        funding=sums.funding,
        last_trade_ms=sums.last_ms,
        peak_pnl=None,
    )


@given(st.data(), _MIDS)
def test_a_position_is_the_same_in_whatever_order_its_fills_come(
    data: st.DataObject, mid_x2: int
) -> None:
    truth = data.draw(truths())
    expected = books(truth)
    for instrument in instruments(truth.venue):
        for account in ("main", "spare"):
            market = MarketId(truth.venue, account, instrument.symbol)
            position = Position.flat(instrument)
            for fill in data.draw(st.permutations(truth.fills)):
                if market_of(fill) == market:
                    position = apply_fill(position, fill, instrument)
            for paid in data.draw(st.permutations(truth.payments)):
                if (paid.account, paid.symbol) == (account, instrument.symbol):
                    position = apply_funding(position, paid.amount)
            sums = expected.positions[market]
            assert position.lots * instrument.lot_size == sums.quantity
            assert (position.cash, position.fees) == (sums.cash, sums.fees)
            assert position.funding == sums.funding
            assert position.pnl(mid_x2) == worth(sums, instrument, mid_x2)


@given(st.data(), _MIDS)
def test_a_session_that_hears_late_twice_and_out_of_order_stands_where_the_books_do(
    data: st.DataObject, mid_x2: int
) -> None:
    truth = data.draw(truths())
    told = fills_of(data.draw(tellings(truth)))
    # An estimate counts in the session that heard it; the venue's own fee reaches only the books.
    heard = books(Truth(venue=truth.venue, fills=tuple(first_words(told))))
    for instrument in instruments(truth.venue):
        market = MarketId(truth.venue, "main", instrument.symbol)
        standing = Standing(
            instrument, facts(0, Sums(), instrument), known_since_ms=0, known=frozenset()
        )
        for fill in told:
            if market_of(fill) == market:
                standing.hear(fill)
        sums = heard.positions[market]
        assert standing.folded * instrument.lot_size == sums.quantity
        assert standing.fills == sums.fills
        assert standing.seen(mid_x2).pnl == worth(sums, instrument, mid_x2)


@given(st.data(), _MIDS)
def test_a_session_opened_on_the_books_at_any_moment_is_told_the_past_again_in_vain(
    data: st.DataObject, mid_x2: int
) -> None:
    truth = data.draw(truths(most=16))
    now_ms = data.draw(st.sampled_from([0, *(fill.traded_at_ms for fill in truth.fills)]))
    past = tuple(fill for fill in truth.fills if fill.traded_at_ms <= now_ms)
    booked = books(Truth(venue=truth.venue, fills=past, payments=truth.payments))
    expected = books(truth)
    order = data.draw(st.permutations(truth.fills * 2))
    for instrument in instruments(truth.venue):
        market = MarketId(truth.venue, "main", instrument.symbol)
        of_past = [fill for fill in past if market_of(fill) == market]
        found = facts(len(of_past), booked.positions[market], instrument)
        since_ms = overlap_start_ms(found)
        standing = Standing(
            instrument,
            found,
            known_since_ms=since_ms,
            known=frozenset(one.trade_id for one in of_past if one.traded_at_ms >= since_ms),
        )
        for fill in order:
            if market_of(fill) == market:
                standing.hear(fill)
        sums = expected.positions[market]
        assert standing.folded * instrument.lot_size == sums.quantity
        assert standing.fills == sums.fills - len(of_past)
        assert standing.seen(mid_x2).pnl == worth(sums, instrument, mid_x2)
