"""A process that trades through the real background writer until it is killed, and starts again.

The rule: what the venue knows is in the venue's file before we hear of it, and an order's intent is
with the writer before its bytes leave; so the file says afterwards what the books must hold.
"""

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec

from desk.errors import Unavailable
from desk.identity import MarketId, OrderIdentity, Slot
from desk.instrument import Instrument
from desk.orders import Fill, Liquidity, OutcomeKind, VenueOrder
from desk.payments import Payment, PaymentKind
from desk.permit import Permit
from desk.records import FillSeen, OrderAnswered, OrderEnded, OrderSent
from desk.units import NS_PER_MS, Side
from infra.clock import SystemClock
from infra.postgres.alerts import PostgresAlerts
from infra.postgres.payments import PostgresPayments
from infra.postgres.reader import PostgresLedger
from infra.postgres.writer import PostgresLedgerWriter
from quoting.journal import record_found
from quoting.opening import overlap_start_ms
from tests.chaos.books_mortal import Fate, MortalDatabase, MortalSpool

BOUND: Final = Permit(max_clock_offset_ms=0, max_ledger_behind_s=0).max_unrecorded_intents
MARKETS: Final = tuple(MarketId("ocx", "main", name) for name in ("BTC-PERP", "ETH-PERP"))
CLEARED: Final = "cleared"
_START_MS: Final = 1_700_000_000_000
_LINE_MS: Final = 100
_OVERLAP_MS: Final = 60_000
_KINDS: Final[dict[str, Any]] = {
    kind.__name__: kind for kind in (OrderSent, OrderAnswered, OrderEnded, Fill, Payment)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """One life of the process. `dies` names a step and at which time it comes to it.

    `trades` says how many turns it trades before it ends in good order; None for ever.
    """

    number: int
    seed: int
    folder: Path
    url: str
    dies: tuple[str, int] | None = None
    trades: int | None = None
    drain_s: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the venue's file: what happened, in whose life, and the intents not recorded."""

    life: int
    what: OrderSent | OrderAnswered | OrderEnded | Fill | Payment
    unrecorded: int = 0


class VenueFile:
    """What the venue knows, and what we said of it; every line is written before it returns."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None
        self.count = 0

    def read(self) -> list[Line]:
        """All lines, oldest first."""
        if not self._path.exists():
            return []
        told = (msgspec.json.decode(line) for line in self._path.read_bytes().splitlines())
        lines = [
            Line(
                life=one["life"],
                what=msgspec.convert(one["what"], _KINDS[one["kind"]]),
                unrecorded=one["unrecorded"],
            )
            for one in told
        ]
        self.count = len(lines)
        return lines

    def write(self, line: Line) -> None:
        """Add one line."""
        if self._file is None:
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        told = {
            "life": line.life,
            "kind": type(line.what).__name__,
            "what": line.what,
            "unrecorded": line.unrecorded,
        }
        os.write(self._file, msgspec.json.encode(told) + b"\n")
        self.count += 1


class VenueClock(SystemClock):
    """Runs as the venue's file grows, so that a minute is long and a restart loses no time."""

    def __init__(self, venue: VenueFile) -> None:
        self._venue = venue

    def wall_ns(self) -> int:
        return (_START_MS + _LINE_MS * self._venue.count) * NS_PER_MS


def instrument(market: MarketId) -> Instrument:
    return Instrument(
        venue=market.venue,
        symbol=market.symbol,
        tick_size=Decimal("0.5"),
        lot_size=Decimal("0.001"),
        multiplier=Decimal(2),
    )


@dataclass(slots=True, kw_only=True)
class Recorder:
    """One life: recovers, then trades at a venue that is the file."""

    life: Life
    venue: VenueFile
    writer: PostgresLedgerWriter
    ledger: PostgresLedger
    payments: PostgresPayments
    clock: VenueClock
    fate: Fate
    rng: Random
    epochs: dict[MarketId, int] = field(default_factory=dict)
    unheard: list[tuple[int, Callable[[], None]]] = field(default_factory=list)
    recent: list[Payment] = field(default_factory=list)
    turn: int = 0

    async def recover(self) -> None:
        """What the opening of a session and a reconciliation do, on the file; again until done."""
        while True:
            try:
                await self._recover(self.venue.read())
                return
            except Unavailable:
                await asyncio.sleep(0.05)

    async def _recover(self, past: Sequence[Line]) -> None:
        paid = [line.what for line in past if isinstance(line.what, Payment)]
        last = [await self.payments.last_ms("ocx", "main", kind) or 0 for kind in PaymentKind]
        await self.payments.book([one for one in paid if one.paid_at_ms >= min(last) - _OVERLAP_MS])
        for market in MARKETS:
            await self.ledger.remember_instrument(instrument(market))
            self.epochs[market] = await self.ledger.open_epoch(market, "recorder", "run")
            facts = await self.ledger.facts(market, 0)
            since_ms = overlap_start_ms(facts)
            fills = [line.what for line in past if isinstance(line.what, Fill)]
            mine = [one for one in fills if one.symbol == market.symbol]
            self.fate.come("between two back-fills")
            await self.ledger.book_fills(
                market, [one for one in mine if one.traded_at_ms >= since_ms]
            )
        await self._clear(past)

    async def _clear(self, past: Sequence[Line]) -> None:
        """Find what rests at the venue by its client order ids, keep it in the books, cancel it."""
        for market in MARKETS:
            resting = resting_at(past, market)
            record_found(self.writer, self.clock, market, map(listed, resting), CLEARED)
        if not await self.writer.flush(3.0):
            raise Unavailable("not written yet")
        for market in MARKETS:
            for order in resting_at(past, market):
                self._say(self._ended(order, CLEARED))
            at_ms = self.clock.wall_ns() // NS_PER_MS
            await self.ledger.end_orders(market, self.epochs[market] - 1, CLEARED, at_ms)

    async def trade(self) -> None:
        """Send, be answered, be filled, be paid, as long as this life lasts."""
        while self.life.trades is None or self.turn < self.life.trades:
            self.turn += 1
            market = self.rng.choice(MARKETS)
            if self.writer.unrecorded(market) < BOUND:
                self._send(market)
            self._hear()
            if self.turn % 40 == 0:
                await self._be_paid(market)
            # Now and then nothing happens for a moment, and the writer has all written.
            await asyncio.sleep(self.rng.choice((0, 0, 0, 0, 0, 0, 0, 0.001, 0.004)))
            if self.rng.random() < 0.002:
                await asyncio.sleep(0.08)
        while self.unheard:
            self.turn += 1
            self._hear()

    def _send(self, market: MarketId) -> None:
        side = self.rng.choice(list(Side))
        identity = OrderIdentity(
            tag=market.tag,
            epoch=self.epochs[market],
            cycle=self.turn,
            slot=Slot(side, 0),
        )
        order = OrderSent(
            market=market,
            epoch=self.epochs[market],
            client_order_id=identity.encode(),
            batch_id=f"{self.life.number}-{self.turn}",
            side=side,
            price=self.rng.randint(900, 1_100),
            lots=self.rng.randint(2, 9),
            reduce_only=False,
            sent_at_ms=self.clock.wall_ns() // NS_PER_MS,
        )
        self.writer.record(order)
        self.fate.come("recorded, not sent")
        self._say(order, unrecorded=self.writer.unrecorded(market))
        self._match(order)

    def _match(self, order: OrderSent) -> None:
        """What the venue does with it; we hear of it later, and of fills perhaps twice."""
        if self.rng.random() < 0.2:
            self._later(lambda: self._answer(order, OutcomeKind.UNRESOLVED))
        self._later(lambda: self._answer(order, OutcomeKind.ACCEPTED), 13)
        for _ in range(self.rng.randint(0, 2)):
            fill = self._fill(order)
            self._say(fill)
            for _ in range(self.rng.randint(1, 2)):
                self._later(lambda fill=fill: self.writer.record(_seen(order, fill)))  # type: ignore[misc]
        if self.rng.random() < 0.7:
            self._later(lambda: self._hand_over(self._ended(order, "filled")), 16)

    def _fill(self, order: OrderSent) -> Fill:
        return Fill(
            venue="ocx",
            account="main",
            symbol=order.market.symbol,
            trade_id=f"t{self.venue.count}",
            side=order.side,
            price=order.price,
            lots=1,
            liquidity=Liquidity.MAKER,
            fee=Decimal(self.rng.randint(-20, 50)) / 10_000,
            fee_estimated=False,
            traded_at_ms=self.clock.wall_ns() // NS_PER_MS,
            client_order_id=order.client_order_id,
        )

    async def _be_paid(self, market: MarketId) -> None:
        kind = self.rng.choice(list(PaymentKind))
        paid = Payment(
            venue="ocx",
            account="main",
            payment_id=f"p{self.venue.count}",
            kind=kind,
            amount=Decimal(self.rng.randint(-500, 500)) / 1_000,
            paid_at_ms=self.clock.wall_ns() // NS_PER_MS,
            symbol=market.symbol if kind is PaymentKind.FUNDING else None,
        )
        self._say(paid)
        self.recent.append(paid)
        with suppress(Unavailable):  # the next time, or the next life, books it
            await self.payments.book(self.recent)
            del self.recent[:-8]

    def _answer(self, order: OrderSent, kind: OutcomeKind) -> None:
        self._hand_over(
            OrderAnswered(
                market=order.market,
                client_order_id=order.client_order_id,
                kind=kind,
                venue_order_id=f"v-{order.client_order_id}",
                message="",
                answered_at_ms=self.clock.wall_ns() // NS_PER_MS,
            )
        )

    def _ended(self, order: OrderSent, how: str) -> OrderEnded:
        return OrderEnded(
            market=order.market,
            client_order_id=order.client_order_id,
            how=how,
            ended_at_ms=self.clock.wall_ns() // NS_PER_MS,
        )

    def _hand_over(self, record: OrderAnswered | OrderEnded) -> None:
        self.writer.record(record)
        self._say(record)

    def _say(self, what: Any, *, unrecorded: int = 0) -> None:
        self.venue.write(Line(life=self.life.number, what=what, unrecorded=unrecorded))

    def _later(self, call: Callable[[], None], least: int = 0) -> None:
        self.unheard.append((self.turn + least + self.rng.randint(0, 12), call))

    def _hear(self) -> None:
        due = [call for at, call in self.unheard if at <= self.turn]
        self.unheard = [(at, call) for at, call in self.unheard if at > self.turn]
        self.rng.shuffle(due)
        for call in due:
            call()


def resting_at(past: Sequence[Line], market: MarketId) -> list[OrderSent]:
    """Orders of a market that by the venue's file still rest."""
    ended = {line.what.client_order_id for line in past if isinstance(line.what, OrderEnded)}
    sent = [line.what for line in past if isinstance(line.what, OrderSent)]
    return [one for one in sent if one.market == market and one.client_order_id not in ended]


def listed(order: OrderSent) -> VenueOrder:
    """The order as the venue would list it."""
    return VenueOrder(
        symbol=order.market.symbol,
        side=order.side,
        price=order.price,
        remaining=order.lots,
        venue_order_id=f"v-{order.client_order_id}",
        client_order_id=order.client_order_id,
    )


def _seen(order: OrderSent, fill: Fill) -> FillSeen:
    return FillSeen(market=order.market, fill=fill, mid=Decimal(500))


def run(life: Life) -> None:
    """Live, until killed, told to stop (SIGTERM), or done."""
    asyncio.run(_live(life))


async def _live(life: Life) -> None:
    venue, fate = VenueFile(life.folder / "venue.jsonl"), Fate(life.dies)
    database, clock = MortalDatabase(life.url, fate), VenueClock(venue)
    writer = PostgresLedgerWriter(
        database=database,
        spool=MortalSpool(life.folder / "spool", fate),
        clock=clock,
        alerts=PostgresAlerts(database),
        drain_s=life.drain_s,
    )
    recorder = Recorder(
        life=life,
        venue=venue,
        writer=writer,
        ledger=PostgresLedger(database),
        payments=PostgresPayments(database),
        clock=clock,
        fate=fate,
        rng=Random(f"{life.seed}-{life.number}"),
    )
    writing = asyncio.create_task(writer.run())
    living = asyncio.create_task(_recorded(recorder))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, living.cancel)
    await asyncio.wait((writing, living), return_when=asyncio.FIRST_COMPLETED)
    writing.cancel()
    await asyncio.wait((writing, living))
    await database.close()
    for task in (living, writing):
        if not task.cancelled():
            task.result()


async def _recorded(recorder: Recorder) -> None:
    await asyncio.sleep(0)  # the writer loads the spool first
    await recorder.recover()
    (recorder.life.folder / "recovered").write_text(f"{recorder.life.number}")
    await recorder.trade()
