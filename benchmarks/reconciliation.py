"""What one comparison of an account costs in processor time and venue requests.

50 markets with 100 resting orders each, venue and record in memory: no network, no SQL, no waiting
between readings is counted.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from time import process_time_ns
from types import SimpleNamespace
from typing import Any, cast

from activities.ports import ActivityPorts
from activities.reconciliation_account import AccountLook
from activities.reconciliation_messages import ReconcileInput, ReconcileKind
from activities.reconciliation_orders import OrdersLook
from activities.reconciliation_side import Compared, as_text
from benchmarks.results import Row, Table, percentile
from desk.book_ports import AccountBooks, BookedOrder
from desk.breaks import Break
from desk.daily_loss import MarketPnl
from desk.identity import MarketId, OrderIdentity, Slot
from desk.instrument import Instrument
from desk.orders import Balance, Fill, VenueOrder
from desk.ownership import BookedExposure
from desk.payments import PaymentKind
from desk.ports import Venue
from desk.sources import Authority, Source, SourceView
from desk.units import Side
from infra.clock import SystemClock

_MARKETS = 50
_ORDERS = 100
_FILLS = 200
_SOURCES = (
    Source(name="account endpoint", authority=Authority.ENDPOINT),
    Source(name="account stream", authority=Authority.STREAM),
)


class _Account:
    """A venue that has everything in memory and counts what it is asked."""

    def __init__(self) -> None:
        self.requests = 0
        self.markets = [MarketId("ocx", "main", f"M{number:02}-PERP") for number in range(_MARKETS)]
        self.listed = [self.order(market, level) for market in self.markets for level in _levels()]
        self.sources = _SOURCES
        self._instruments = [
            Instrument(
                venue="ocx",
                symbol=market.symbol,
                tick_size=Decimal("0.5"),
                lot_size=Decimal("0.001"),
            )
            for market in self.markets
        ]
        self._history = {market.symbol: _fills(market) for market in self.markets}

    @staticmethod
    def order(market: MarketId, level: int, epoch: int = 3) -> VenueOrder:
        """One order of ours, as the venue lists it."""
        side = Side.BUY if level % 2 else Side.SELL
        slot = Slot(side, level // 2)
        identity = OrderIdentity(tag=market.tag, epoch=epoch, cycle=41_000 + level, slot=slot)
        return VenueOrder(
            symbol=market.symbol,
            side=side,
            price=100_000 + level,
            remaining=10,
            venue_order_id=str(level),
            client_order_id=identity.encode(),
        )

    async def open_orders(self, instrument: Instrument | None) -> Sequence[VenueOrder]:
        del instrument
        self.requests += 1
        return list(self.listed)

    async def instruments(self) -> Sequence[Instrument]:
        self.requests += 1
        return self._instruments

    async def views(self) -> Sequence[SourceView]:
        self.requests += 1
        held = {market.symbol: 5 for market in self.markets}
        return [SourceView(source=one, positions=held, asked_ns=0) for one in _SOURCES]

    async def balance(self) -> Balance:
        self.requests += 1
        return Balance(equity=Decimal(100_000), available=Decimal(50_000), exposure=Decimal(9_000))

    async def fills(self, instrument: Instrument, since_ms: int) -> Sequence[Fill]:
        del since_ms
        self.requests += 1
        return self._history[instrument.symbol]

    def ports(self) -> ActivityPorts:
        """Our side, which agrees with the venue's."""
        booked = [
            BookedOrder(symbol=one.symbol, client_order_id=str(one.client_order_id), sent_at_ms=0)
            for one in self.listed
        ]
        quantity = Decimal("0.005")
        books = AccountBooks(
            positions={market.symbol: quantity for market in self.markets},
            orders=booked,
            last_trade_ms={market.symbol: 1_700_000_000_000 for market in self.markets},
        )
        given = SimpleNamespace(
            clock=SystemClock(),
            writer=SimpleNamespace(behind_s=lambda: 0.0),
            reconciliations=SimpleNamespace(books=_always(books)),
            ownership=SimpleNamespace(
                exposures=_always(
                    [BookedExposure(market=one, quantity=quantity) for one in self.markets]
                )
            ),
            holders=SimpleNamespace(holders=_always(dict.fromkeys(self.markets, "worker/1"))),
            breaks=SimpleNamespace(standing=_always(cast("list[Break]", []))),
            payments=SimpleNamespace(last_ms=_always(None), book=_always(0)),
            ledger=SimpleNamespace(fills=self._booked),
            losses=SimpleNamespace(
                pnl=_always(
                    [
                        MarketPnl(
                            market=market,
                            quantity=quantity,
                            multiplier=Decimal(1),
                            mid=Decimal(50_000),
                        )
                        for market in self.markets
                    ]
                )
            ),
        )
        return cast("ActivityPorts", given)

    def venue(self) -> Venue:
        """This, as a venue."""
        capabilities = SimpleNamespace(settling_ms=0, tells_payments=frozenset[PaymentKind]())
        given = SimpleNamespace(
            account=self, capabilities=capabilities, instruments=self.instruments
        )
        return cast("Venue", given)

    async def _booked(self, market: MarketId, since_ms: int) -> Sequence[Fill]:
        del since_ms
        return self._history[market.symbol]


def run(*, quick: bool) -> Table:
    """Median and worst of some runs, milliseconds of processor time, and requests of each."""
    times = 5 if quick else 25
    account = _Account()
    rows = [
        asyncio.run(_measured("orders: both sides agree", account, ReconcileKind.ORDERS, times)),
        asyncio.run(_measured("account: both sides agree", account, ReconcileKind.ACCOUNT, times)),
    ]
    rows.append(
        asyncio.run(
            _measured("orders: read twice", account, ReconcileKind.ORDERS, times, differs_once=True)
        )
    )
    return Table(
        name=f"reconciliation: {_MARKETS} markets with {_ORDERS} orders each",
        rows=tuple(rows),
        notes=("requests: of the venue, in one run; fills are read of 20 markets in each run",),
    )


async def _measured(
    what: str, account: _Account, kind: ReconcileKind, times: int, *, differs_once: bool = False
) -> Row:
    spent, asked = [], 0
    ports = account.ports()
    for number in range(times):
        request = ReconcileInput(
            venue="ocx",
            account="main",
            kind=kind,
            run_id=f"run {number}",
            began_ms=number * 60_000,
            every_s=60,
            lag_ms=0,
        )
        before = account.requests
        venue = _one_short(account) if differs_once else account.venue()
        began = process_time_ns()
        seen = await _look(ports, request, venue)
        as_text([seen.ours, seen.theirs, seen.differences])
        spent.append(process_time_ns() - began)
        asked = account.requests - before
        assert not seen.differences, seen.differences
    ordered = sorted(spent)
    return Row(
        what=what,
        figures={
            "p50 ms": percentile(ordered, 50) / 1e6,
            "worst ms": ordered[-1] / 1e6,
            "requests": asked,
            "runs": times,
        },
    )


async def _look(ports: ActivityPorts, request: ReconcileInput, venue: Venue) -> Compared:
    if request.kind is ReconcileKind.ORDERS:
        return await OrdersLook(ports, request, venue).run()
    before: tuple[Mapping[str, Any], Mapping[str, Any]] = ({}, {})
    return await AccountLook(ports, request, venue, before).run()


def _one_short(account: _Account) -> Venue:
    """The first listing lacks an order that the second has: both readings are made."""
    whole, short = list(account.listed), account.listed[1:]
    listings = iter([short, whole])

    async def open_orders(instrument: Instrument | None) -> Sequence[VenueOrder]:
        account.requests += 1
        del instrument
        return next(listings)

    venue = account.venue()
    cast("Any", venue).account = SimpleNamespace(open_orders=open_orders)
    return venue


def _levels() -> range:
    return range(_ORDERS)


def _fills(market: MarketId) -> list[Fill]:
    one = Fill(
        venue=market.venue,
        account=market.account,
        symbol=market.symbol,
        trade_id="",
        side=Side.BUY,
        price=100_000,
        lots=1,
        liquidity=cast("Any", "maker"),
        fee=Decimal(0),
        fee_estimated=False,
        traded_at_ms=1_700_000_000_000,
    )
    return [replace(one, trade_id=f"{market.tag}-{number}") for number in range(_FILLS)]


def _always(answer: object) -> Any:
    async def give(*_: object) -> Any:
        return answer

    return give
