"""What really happened in an account, drawn at random, and how it may be told.

The rule: what is told may come late, twice, in pieces and in any order, but never says what did
not happen; so the books at the end depend on what happened alone. `books` says what they must be.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TypeAlias

from hypothesis import strategies as st

from desk.identity import MarketId
from desk.instrument import Instrument
from desk.orders import Fill, Liquidity, OutcomeKind
from desk.payments import Payment, PaymentKind
from desk.records import FillSeen, OrderAnswered, OrderEnded, OrderSent
from desk.units import Side

START_MS = 1_700_000_000_000
_SPAN_MS = 7_200_000
_ZERO = Decimal(0)
_SYMBOLS = ("BTC-PERP", "ETH-PERP")
_ACCOUNTS = ("main", "spare")

OrderWord: TypeAlias = OrderSent | OrderAnswered | OrderEnded
Telling: TypeAlias = OrderWord | FillSeen | Fill | Payment
"""A fill alone is one of the venue's history; one that was seen comes from a session's writer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """The venue's whole history, and of our orders every word that was ever said."""

    venue: str
    fills: tuple[Fill, ...] = ()
    payments: tuple[Payment, ...] = ()
    words: tuple[OrderWord, ...] = ()


@dataclass(slots=True, kw_only=True)
class Sums:
    """The fold of one market, quantities in base units."""

    fills: int = 0
    quantity: Decimal = _ZERO
    cash: Decimal = _ZERO
    fees: Decimal = _ZERO
    funding: Decimal = _ZERO
    last_ms: int | None = None


@dataclass(slots=True, kw_only=True)
class OrderBooks:
    """What the books must say of one order in the end."""

    sent_ms: int | None = None
    outcome: str | None = None
    venue_order_id: str | None = None
    message: str | None = None
    answered_ms: int | None = None
    ended_ms: int | None = None
    ending: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """What the books must say of a whole truth."""

    positions: dict[MarketId, Sums] = field(default_factory=lambda: defaultdict(Sums))
    orders: dict[tuple[MarketId, str], OrderBooks] = field(
        default_factory=lambda: defaultdict(OrderBooks)
    )


def instruments(venue: str) -> tuple[Instrument, ...]:
    """The markets of the venue; ticks, lots and multipliers that are not ones."""
    return (
        Instrument(
            venue=venue,
            symbol="BTC-PERP",
            tick_size=Decimal("0.5"),
            lot_size=Decimal("0.001"),
            multiplier=Decimal(2),
        ),
        Instrument(
            venue=venue, symbol="ETH-PERP", tick_size=Decimal("0.05"), lot_size=Decimal("0.01")
        ),
    )


def books(truth: Truth) -> Books:
    """Add everything up once, in the plainest way."""
    known = {each.symbol: each for each in instruments(truth.venue)}
    found = Books()
    for fill in truth.fills:
        instrument, sums = known[fill.symbol], found.positions[market_of(fill)]
        quantity = fill.side.sign * fill.lots * instrument.lot_size
        sums.fills += 1
        sums.quantity += quantity
        sums.cash -= quantity * fill.price * instrument.tick_size * instrument.multiplier
        sums.fees += fill.fee
        sums.last_ms = max(fill.traded_at_ms, sums.last_ms or 0)
    for paid in truth.payments:
        if paid.symbol is not None:
            found.positions[MarketId(paid.venue, paid.account, paid.symbol)].funding += paid.amount
    for word in sorted(truth.words, key=_weight):
        _hear(found.orders[word.market, word.client_order_id], word)
    return found


def market_of(fill: Fill) -> MarketId:
    return MarketId(fill.venue, fill.account, fill.symbol)


def _weight(word: OrderWord) -> tuple[bool, int, str, str]:
    """Whose word stands comes last: a certain answer, a later one, the first sending."""
    match word:
        case OrderSent():
            return False, -word.sent_at_ms, "", ""
        case OrderAnswered():
            certain = word.kind is not OutcomeKind.UNRESOLVED
            return certain, word.answered_at_ms, word.kind.value, word.message
        case OrderEnded():
            return False, word.ended_at_ms, "", word.how


def _hear(order: OrderBooks, word: OrderWord) -> None:
    match word:
        case OrderSent():
            order.sent_ms = word.sent_at_ms
        case OrderAnswered():
            order.outcome, order.message = word.kind.value, word.message
            order.answered_ms = word.answered_at_ms
            order.venue_order_id = word.venue_order_id or order.venue_order_id
        case OrderEnded():
            # The earliest word on an end stands.
            if order.ended_ms is None:
                order.ended_ms, order.ending = word.ended_at_ms, word.how


# --- what happened -------------------------------------------------------------------------------

_moments = st.integers(START_MS, START_MS + _SPAN_MS)
_money = st.decimals(Decimal(-5), Decimal(5), places=6)
_markets = st.tuples(st.sampled_from(_ACCOUNTS), st.sampled_from(_SYMBOLS))


@st.composite
def truths(draw: st.DrawFn, *, venue: str = "ocx", most: int = 8) -> Truth:
    """A history of fills, payments and orders over two accounts with two markets each."""
    counts: Counter[str] = Counter()
    fills = [_fill(draw, venue, counts) for _ in range(draw(st.integers(0, most)))]
    payments = [_payment(draw, venue, number) for number in range(draw(st.integers(0, 4)))]
    words = [word for n in range(draw(st.integers(0, 4))) for word in _order(draw, venue, n)]
    return Truth(venue=venue, fills=tuple(fills), payments=tuple(payments), words=tuple(words))


def _fill(draw: st.DrawFn, venue: str, counts: Counter[str]) -> Fill:
    account, symbol = draw(_markets)
    # Two accounts have trades of the same id: the account is part of what tells them apart.
    counts[account] += 1
    number = counts[account]
    return Fill(
        venue=venue,
        account=account,
        symbol=symbol,
        trade_id=f"t{number}",
        side=draw(st.sampled_from(Side)),
        price=draw(st.integers(1, 10**7)),
        lots=draw(st.integers(1, 10**6)),
        liquidity=draw(st.sampled_from(Liquidity)),
        fee=draw(_money),
        fee_estimated=False,
        traded_at_ms=draw(_moments),
        client_order_id=f"c{number}",
        venue_order_id=f"v{number}",
    )


def _payment(draw: st.DrawFn, venue: str, number: int) -> Payment:
    account, symbol = draw(_markets)
    kind = draw(st.sampled_from(PaymentKind))
    return Payment(
        venue=venue,
        account=account,
        payment_id=f"p{number}",
        kind=kind,
        amount=draw(_money),
        paid_at_ms=draw(_moments),
        symbol=symbol if kind is PaymentKind.FUNDING else None,
    )


def _order(draw: st.DrawFn, venue: str, number: int) -> list[OrderWord]:
    """An order sent, perhaps answered several times, perhaps ended in several words."""
    market = MarketId(venue, *draw(_markets))
    name = f"c{number}"
    moments = draw(st.lists(st.integers(START_MS, START_MS + 5), min_size=1, max_size=2))
    words: list[OrderWord] = [_sent(market, name, at_ms) for at_ms in moments]
    for at_ms in draw(st.lists(st.integers(START_MS, START_MS + 5), max_size=3)):
        told = OrderAnswered(
            market=market,
            client_order_id=name,
            kind=draw(st.sampled_from(OutcomeKind)),
            venue_order_id=draw(st.sampled_from([None, f"v{number}"])),
            message=draw(st.sampled_from(["", "post only", "Later"])),
            answered_at_ms=at_ms,
        )
        words.append(told)
    for at_ms in draw(st.lists(st.integers(START_MS, START_MS + 5), max_size=2)):
        how = draw(st.sampled_from(["filled", "Cancelled", "cleared"]))
        words.append(OrderEnded(market=market, client_order_id=name, how=how, ended_at_ms=at_ms))
    return words


def _sent(market: MarketId, name: str, at_ms: int) -> OrderSent:
    return OrderSent(
        market=market,
        epoch=3,
        client_order_id=name,
        batch_id=f"b{name}",
        side=Side.BUY,
        price=100,
        lots=7,
        reduce_only=False,
        sent_at_ms=at_ms,
    )


# --- how it is told ------------------------------------------------------------------------------


@st.composite
def tellings(draw: st.DrawFn, truth: Truth) -> list[Telling]:
    """Everything that happened, each thing once or more, in any order."""
    told: list[Telling] = []
    for fill in truth.fills:
        told.append(fill if draw(st.booleans()) else _seen(draw, fill))
        told += [_partly(draw, fill) for _ in range(draw(st.integers(0, 2)))]
    for thing in (*truth.payments, *truth.words):
        told += [thing] * draw(st.integers(1, 2))
    return draw(st.permutations(told))


def _partly(draw: st.DrawFn, fill: Fill) -> Telling:
    """The same trade by another way, which may know less: an estimated fee, no names of orders."""
    known = fill
    if draw(st.booleans()):
        known = replace(known, fee=fill.fee + Decimal("0.25"), fee_estimated=True)
    if draw(st.booleans()):
        known = replace(known, client_order_id=None)
    if draw(st.booleans()):
        known = replace(known, venue_order_id=None)
    return known if draw(st.booleans()) else _seen(draw, known)


def _seen(draw: st.DrawFn, fill: Fill) -> FillSeen:
    mid = draw(st.sampled_from([None, Decimal("50.25")]))
    return FillSeen(market=market_of(fill), fill=fill, mid=mid)


def mids(told: Iterable[Telling]) -> dict[tuple[str, str], Decimal | None]:
    """The mid of each trade, by account and trade id, if anybody told it."""
    found: dict[tuple[str, str], Decimal | None] = {}
    for one in told:
        match one:
            case FillSeen(fill=fill, mid=mid) if mid is not None:
                found[fill.account, fill.trade_id] = mid
            case _:
                pass
    return found
