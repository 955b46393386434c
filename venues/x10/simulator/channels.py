"""What each stream says, path by path (x10.md sections 12.3 and 12.4)."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from desk.units import NS_PER_S
from venues.simulation.faults import FaultKind
from venues.x10.simulator import shapes
from venues.x10.simulator.customers import Customer
from venues.x10.simulator.outbox import Message
from venues.x10.simulator.views import BookView
from venues.x10.simulator.wire import Wire
from venues.x10.simulator.world import World


class Channel(Protocol):
    """The content of one connection."""

    async def run(self, wire: Wire) -> None:
        """Speak until the connection ends."""
        ...


class BookChannel:
    """Full books: a snapshot, changes at a fixed cadence, a new snapshot now and then."""

    def __init__(self, world: World, symbols: Sequence[str]) -> None:
        self._world = world
        self._symbols = symbols

    async def run(self, wire: Wire) -> None:
        """Speak until the connection ends."""
        rules = self._world.settings.streams
        views = [BookView(self._world, symbol, None, wire.site) for symbol in self._symbols]
        due_ns = 0
        while True:
            if wire.silent:
                await asyncio.sleep(rules.book_interval_s)
                continue
            now_ns = self._world.clock.now_ns()
            if now_ns >= due_ns:
                due_ns = now_ns + int(rules.snapshot_interval_s * NS_PER_S)
                for view in views:
                    await wire.send("SNAPSHOT", view.snapshot())
            else:
                await self._tell_changes(wire, views)
            await asyncio.sleep(rules.book_interval_s)

    async def _tell_changes(self, wire: Wire, views: Sequence[BookView]) -> None:
        if self._world.faults.take(wire.site, FaultKind.SNAPSHOT_REPEATS) is not None:
            for view in views:
                await wire.send("SNAPSHOT", view.snapshot())
            return
        for view in views:
            changes = view.changes()
            if changes is not None:
                await wire.send("DELTA", changes)


class TopChannel:
    """Best bid and ask; every message is a snapshot."""

    def __init__(self, world: World, symbols: Sequence[str]) -> None:
        self._world = world
        self._symbols = symbols

    async def run(self, wire: Wire) -> None:
        """Speak until the connection ends."""
        views = [BookView(self._world, symbol, 1, wire.site) for symbol in self._symbols]
        for view in views:
            await wire.send("SNAPSHOT", view.snapshot())
        while True:
            await asyncio.sleep(self._world.settings.streams.top_interval_s)
            for view in () if wire.silent else views:
                fresh = view.fresh()
                if fresh is not None:
                    await wire.send("SNAPSHOT", fresh)


class TradeChannel:
    """Executions of one market or of all, several to a message."""

    def __init__(self, world: World, symbols: Sequence[str]) -> None:
        self._world = world
        self._symbols = symbols

    async def run(self, wire: Wire) -> None:
        """Speak until the connection ends."""
        backlog = Backlog(self._world.settings.streams.backlog, wire.cut)
        undo = [self._world.public.listen(symbol, backlog.push) for symbol in self._symbols]
        try:
            while True:
                together = [data for _, data in await backlog.take_all()]
                await wire.send("TRADES", together)
        finally:
            for stop in undo:
                stop()


class PriceChannel:
    """Mark or index price, when it changed."""

    def __init__(self, world: World, kind: str, symbols: Sequence[str]) -> None:
        self._world = world
        self._kind = kind
        self._symbols = symbols

    async def run(self, wire: Wire) -> None:
        """Speak until the connection ends."""
        told: dict[str, str] = {}
        engine = self._world.engine
        read = engine.mark if self._kind == "MP" else engine.index
        while True:
            for symbol in () if wire.silent else self._symbols:
                price = read(symbol)
                shown = None if price is None else shapes.plain(price)
                if shown is not None and told.get(symbol) != shown:
                    told[symbol] = shown
                    now_ms = self._world.clock.told_ms()
                    await wire.send(self._kind, {"m": symbol, "p": shown, "ts": now_ms})
            await asyncio.sleep(self._world.settings.streams.price_interval_s)


class FundingChannel:
    """The funding rate as it stands, at a fixed cadence."""

    def __init__(self, world: World, symbols: Sequence[str]) -> None:
        self._world = world
        self._symbols = symbols

    async def run(self, wire: Wire) -> None:
        """Speak until the connection ends."""
        while True:
            for symbol in () if wire.silent else self._symbols:
                rate = self._world.engine.funding(symbol).rate
                now_ms = self._world.clock.told_ms()
                shown = {"m": symbol, "f": shapes.plain(rate, 9), "T": now_ms}
                await wire.send("FUNDING_RATE", shown)
            await asyncio.sleep(self._world.settings.streams.funding_interval_s)


class AccountChannel:
    """Orders, money and positions as they stand, then whatever changes."""

    def __init__(self, world: World, customer: Customer) -> None:
        self._world = world
        self._customer = customer

    async def run(self, wire: Wire) -> None:
        """Speak until the connection ends."""
        backlog = Backlog(self._world.settings.streams.backlog, wire.cut)
        undo = self._world.outbox.listen(self._customer.name, backlog.push)
        try:
            for kind, data in self._snapshots(wire):
                await wire.send(kind, data)
            while True:
                for kind, data in await backlog.take_all():
                    await wire.send(kind, data)
        finally:
            undo()

    def _snapshots(self, wire: Wire) -> list[Message]:
        world, account = self._world, self._customer.name
        records = list(world.register.of(account).open.values())
        if world.faults.take(wire.site, FaultKind.EMPTY_SNAPSHOT) is not None:
            records = []
        orders = [world.reporter.order(each) for each in records]
        held = [world.reporter.position(account, each.symbol) for each in self._positions()]
        money = world.reporter.balance(account)
        return [
            ("ORDER", {"isSnapshot": True, "orders": orders}),
            ("BALANCE", {"isSnapshot": True, "balance": money}),
            ("POSITION", {"isSnapshot": True, "positions": held}),
        ]

    def _positions(self) -> list[Any]:
        return list(self._world.engine.positions(self._customer.name))


class Backlog:
    """Messages a connection has still to write; too many end it at once."""

    def __init__(self, most: int, cut: Callable[[], None]) -> None:
        self._most = most
        self._cut = cut
        self._waiting: deque[Message] = deque()
        self._some = asyncio.Event()

    def push(self, message: Message) -> None:
        """Add one; beyond the bound the connection is cut."""
        if len(self._waiting) >= self._most:
            self._cut()
            return
        self._waiting.append(message)
        self._some.set()

    async def take_all(self) -> list[Message]:
        """What waits, at least one."""
        await self._some.wait()
        self._some.clear()
        taken = list(self._waiting)
        self._waiting.clear()
        return taken
