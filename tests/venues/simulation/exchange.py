"""A small engine to test against: one linear market, two priced accounts, a clock set by hand."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from desk.instrument import Instrument
from desk.orders import TimeInForce
from desk.units import NS_PER_S, Side
from venues.simulation.engine import Engine
from venues.simulation.orders import OrderReport, OrderRequest
from venues.simulation.rules import EngineRules, MarketRules, MarkRules, SelfTrade

SYMBOL = "BTC-PERP"
BUY, SELL = Side.BUY, Side.SELL
START_NS = 1_700_000_000 * NS_PER_S

INSTRUMENT = Instrument(
    venue="sim",
    symbol=SYMBOL,
    tick_size=Decimal("0.1"),
    lot_size=Decimal("0.001"),
    maker_fee_bps=Decimal(-1),
    taker_fee_bps=Decimal(5),
)


@dataclass(slots=True)
class HandClock:
    """Wall time that only moves when told."""

    at_ns: int = START_NS

    def __call__(self) -> int:
        return self.at_ns

    def pass_s(self, seconds: float) -> None:
        self.at_ns += round(seconds * NS_PER_S)


@dataclass(slots=True)
class Exchange:
    """The engine with short words for what tests do most."""

    engine: Engine
    clock: HandClock = field(default_factory=HandClock)

    def order(
        self, account: str, side: Side, price: int | None, lots: int, **more: Any
    ) -> OrderReport:
        return self.engine.submit(account, ask(side, price, lots, **more))


def ask(side: Side, price: int | None, lots: int, **more: Any) -> OrderRequest:
    return OrderRequest(symbol=SYMBOL, side=side, price=price, lots=lots, **more)


def market_rules(**more: Any) -> MarketRules:
    given: dict[str, Any] = {
        "instrument": INSTRUMENT,
        "index_price": Decimal(100),
        "mark": MarkRules(smoothing_ms=0),
    }
    return MarketRules(**(given | more))


def exchange(
    *, collateral: int = 1_000_000, rules: EngineRules | None = None, **market: Any
) -> Exchange:
    clock = HandClock()
    engine = Engine(clock, rules)
    engine.add_market(market_rules(**market))
    for name in ("ann", "bob", "cat"):
        engine.open_account(name, Decimal(collateral))
    return Exchange(engine=engine, clock=clock)


__all__ = [
    "BUY",
    "INSTRUMENT",
    "SELL",
    "START_NS",
    "SYMBOL",
    "Exchange",
    "HandClock",
    "SelfTrade",
    "TimeInForce",
    "ask",
    "exchange",
    "market_rules",
]
