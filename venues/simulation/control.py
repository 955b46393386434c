"""Levers of a simulator under /_sim/: for tests, drills and the demo, loopback only.

None of this is part of any venue's protocol; a venue's client never calls it.
"""

from typing import Annotated, Any, Protocol

import msgspec
from aiohttp import web

from desk.instrument import Instrument
from desk.units import Lots, Side, Ticks
from venues.simulation.book_levers import BookLevers
from venues.simulation.faultfile import decode_faults
from venues.simulation.hand import CROWD, crowd_trade
from venues.simulation.lever import (
    LeverRefused,
    LeverTable,
    bad,
    decode,
    positive,
    register,
    signed,
)
from venues.simulation.orders import OrderReport
from venues.simulation.pump import Pump
from venues.simulation.stage import Stage

Positive = Annotated[int, msgspec.Meta(gt=0)]


class Shock(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Push a market one way, or against an account's position."""

    market_id: str
    bps_per_second: Positive
    duration_s: Positive
    direction: int | None = None
    against: str | None = None


class CrowdTrade(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Let the crowd take liquidity; without a price at any."""

    market_id: str
    side: Side
    quantity: str
    price: str | None = None


class CrowdLevel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """What the crowd is to rest at one price, in all; nothing where the quantity is 0."""

    side: Side
    price: str
    quantity: str


class CrowdLevels(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Set what the crowd rests, besides what a counter-flow rests; nobody fills it up again."""

    market_id: str
    levels: list[CrowdLevel]


class Switch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Halt or quieten a market, or end that."""

    market_id: str
    on: bool = True


class Index(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Tell the index; null makes it stale."""

    market_id: str
    price: str | None


class Display(Protocol):
    """How a venue writes accounts and orders."""

    def account(self, name: str) -> dict[str, Any]:
        """An account's state, JSON-ready."""
        ...

    def report(self, instrument: Instrument, report: OrderReport) -> dict[str, Any]:
        """What became of an order, JSON-ready."""
        ...


class Control:
    """Handlers of the levers."""

    def __init__(self, stage: Stage, pump: Pump, display: Display) -> None:
        self._stage = stage
        self._pump = pump
        self._display = display

    def register(self, router: web.UrlDispatcher) -> None:
        """Add the routes."""
        register(router, self._table())
        register(router, BookLevers(self._stage, self._display).table())

    def _table(self) -> LeverTable:
        return (
            ("GET", "/_sim/events", self._events),
            ("GET", "/_sim/state", self._state),
            ("GET", "/_sim/faults", self._list_faults),
            ("POST", "/_sim/faults", self._add_faults),
            ("DELETE", "/_sim/faults", self._clear_faults),
            ("POST", "/_sim/shock", self._shock),
            ("POST", "/_sim/trade", self._trade),
            ("POST", "/_sim/levels", self._levels),
            ("POST", "/_sim/halt", self._halt),
            ("POST", "/_sim/quiet", self._quiet),
            ("POST", "/_sim/expire", self._expire),
            ("POST", "/_sim/index", self._index),
        )

    def _events(self, request: web.Request, _raw: bytes) -> Any:
        since = request.query.get("since", "0")
        if not since.isdecimal():
            raise bad("since must be a whole number")
        return self._stage.engine.events(int(since))

    def _state(self, _request: web.Request, _raw: bytes) -> Any:
        return {name: self._display.account(name) for name in self._stage.accounts()}

    def _list_faults(self, _request: web.Request, _raw: bytes) -> Any:
        return self._stage.faults.listing()

    def _add_faults(self, _request: web.Request, raw: bytes) -> Any:
        try:
            faults = decode_faults(raw)
        except ValueError as fault:
            raise bad(str(fault)) from None
        return {"ids": [self._stage.faults.add(fault) for fault in faults]}

    def _clear_faults(self, request: web.Request, _raw: bytes) -> Any:
        number = request.query.get("id")
        if number is None:
            return {"removed": self._stage.faults.clear()}
        if not number.isdecimal():
            raise bad("id must be a whole number")
        return {"removed": int(self._stage.faults.remove(int(number)))}

    def _shock(self, _request: web.Request, raw: bytes) -> Any:
        order = decode(raw, Shock)
        self._instrument(order.market_id)
        flow = self._pump.flow(order.market_id)
        if flow is None:
            raise LeverRefused(409, "NO_FLOW", f"{order.market_id} has no counter-flow to push")
        direction = self._direction(order)
        flow.shock(order.bps_per_second, direction, order.duration_s)
        return {"direction": direction}

    def _direction(self, order: Shock) -> int:
        if order.against is None:
            if order.direction not in {1, -1}:
                raise bad("direction must be 1 or -1, or against must name an account")
            return int(order.direction or 0)
        if order.against not in self._stage.accounts():
            raise LeverRefused(404, "UNKNOWN_ACCOUNT", f"no account {order.against}")
        held = self._stage.engine.position(order.against, order.market_id).lots
        return 1 if held < 0 else -1

    def _trade(self, _request: web.Request, raw: bytes) -> Any:
        order = decode(raw, CrowdTrade)
        instrument = self._instrument(order.market_id)
        lots = instrument.lots(positive(order.quantity))
        price = None
        if order.price is not None:
            price = instrument.price_ticks(positive(order.price), order.side)
        report = crowd_trade(self._stage.engine, order.market_id, order.side, lots, price)
        return self._display.report(instrument, report)

    def _levels(self, _request: web.Request, raw: bytes) -> Any:
        order = decode(raw, CrowdLevels)
        instrument = self._instrument(order.market_id)
        levels = [_level(instrument, level) for level in order.levels]
        self._stage.engine.set_levels(CROWD, order.market_id, levels)
        return {"levels": len(levels)}

    def _halt(self, _request: web.Request, raw: bytes) -> Any:
        switch = decode(raw, Switch)
        self._instrument(switch.market_id)
        self._stage.engine.halt(switch.market_id, halted=switch.on)
        return {"halted": switch.on}

    def _quiet(self, _request: web.Request, raw: bytes) -> Any:
        switch = decode(raw, Switch)
        self._instrument(switch.market_id)
        self._pump.set_quiet(switch.market_id, quiet=switch.on)
        return {"quiet": switch.on}

    def _expire(self, _request: web.Request, raw: bytes) -> Any:
        switch = decode(raw, Switch)
        self._instrument(switch.market_id)
        self._stage.expire(switch.market_id)
        return {"expired": True}

    def _index(self, _request: web.Request, raw: bytes) -> Any:
        order = decode(raw, Index)
        self._instrument(order.market_id)
        price = None if order.price is None else positive(order.price)
        self._stage.engine.set_index(order.market_id, price)
        return {"index": order.price}

    def _instrument(self, symbol: str) -> Instrument:
        if symbol not in self._stage.listed():
            raise LeverRefused(404, "UNKNOWN_MARKET", f"there is no market {symbol}")
        return self._stage.engine.market_rules(symbol).instrument


def _level(instrument: Instrument, level: CrowdLevel) -> tuple[Side, Ticks, Lots]:
    quantity = signed(level.quantity)
    if quantity < 0:
        raise bad(f"{level.quantity} is below zero")
    try:
        ticks, lots = instrument.exact_ticks(positive(level.price)), instrument.exact_lots(quantity)
    except ValueError as fault:
        raise bad(str(fault)) from None
    return level.side, ticks, lots
