"""The venue's state around the engine: markets, accounts, orders, messages, faults and clock.

Everything here is synchronous, so one handler call is one indivisible step.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from random import Random

from desk.instrument import Instrument
from desk.units import BPS, NS_PER_S, Lots, Side, Ticks
from venues.simulation.agenda import Agenda
from venues.simulation.clock import VenueClock
from venues.simulation.engine import Engine
from venues.simulation.events import CancelReason, Event, Trade
from venues.simulation.faults import Fault, FaultKind, FaultPlan, Site
from venues.simulation.hand import CROWD, crowd_trade, fill_first
from venues.simulation.orders import OrderReport
from venues.simulation.ratelimit import Budget, FixedWindow, SlidingWindow
from venues.simulation.rules import EngineRules, MarketRules, SelfTrade
from venues.simulation.tape import Tape
from venues.simulation.untold import Untold
from venues.simulation.views import PublicTrade
from venues.x10.simulator import shapes
from venues.x10.simulator.codes import ApiRefused, Code
from venues.x10.simulator.customers import Customers
from venues.x10.simulator.numbers import Numbers
from venues.x10.simulator.outbox import Outbox
from venues.x10.simulator.register import OrderRecord, Register
from venues.x10.simulator.reporter import Reporter
from venues.x10.simulator.settings import MarketStatus, RateWindow, SimMarket, SimulatorSettings

_REMEMBERED_IDS = 200_000
_ENGINE_HISTORY = 1_000_000


class World:
    """One running venue. `now_ns` is wall time."""

    def __init__(
        self,
        settings: SimulatorSettings,
        *,
        now_ns: Callable[[], int],
        random: Random,
        engine: Engine | None = None,
    ) -> None:
        self.settings = settings
        self.random = random
        self.faults = FaultPlan(now_ns, random)
        self.clock = VenueClock(now_ns, self._skew_s)
        self.agenda = Agenda(now_ns)
        self.numbers = Numbers()
        self.customers = Customers(self.numbers)
        self.register = Register(
            history=settings.orders.history, maker_history=settings.orders.maker_history
        )
        self.outbox = Outbox(self.agenda, now_ns, settings.answers.event_delay_s)
        self.public = Outbox(self.agenda, now_ns, 0)
        sliding = settings.rate_window is RateWindow.SLIDING
        window = SlidingWindow if sliding else FixedWindow
        self.budget: Budget = window(settings.rate_window_ns, now_ns)
        self.engine = engine or Engine(now_ns, _engine_rules(settings))
        self.untold = Untold(self.engine, self.faults, self.accounts)
        self.reporter = Reporter(
            settings,
            self.engine,
            self.customers,
            self.register,
            self.outbox,
            self.numbers,
            self.clock,
            self.untold,
        )
        self.markets: dict[str, SimMarket] = {}
        self.tapes: dict[str, Tape] = {}
        self._expired: set[str] = set()

    def open(self) -> None:
        """List the markets and open the seeded accounts; ConfigurationFault for a bad key."""
        self.engine.open_account(CROWD, Decimal(0), house=True)
        for market in self.settings.markets:
            self.engine.add_market(_market_rules(self.settings, market))
            self.markets[market.symbol] = market
            self.tapes[market.symbol] = Tape()
        for seed in self.settings.accounts:
            customer = self.customers.add(seed)
            self.engine.open_account(seed.name, seed.collateral, owner=customer.owner)
            customer.leverage.update({each.symbol: each.leverage for each in self.settings.markets})
        self.untold.open()
        self.reporter.open()
        self.engine.subscribe(self._on_event)

    # --- what every part of a simulated venue may ask ---------------------------------------

    def listed(self) -> Sequence[str]:
        """Markets that have not expired."""
        return [symbol for symbol in self.markets if symbol not in self._expired]

    def accounts(self) -> Sequence[str]:
        """Names of the customers' accounts."""
        return self.customers.names()

    def expire(self, symbol: str) -> None:
        """Delist a market: it settles and takes no more orders."""
        self.engine.expire(symbol)
        self._expired.add(symbol)

    # --- markets ----------------------------------------------------------------------------

    def market(self, symbol: str) -> SimMarket:
        """A market; ApiRefused 1001 when there is none."""
        market = self.markets.get(symbol)
        if market is None:
            raise ApiRefused(Code.MARKET_NOT_FOUND, symbol)
        return market

    def instrument(self, symbol: str) -> Instrument:
        """A listed market's instrument; KeyError when there is none."""
        return self.engine.market_rules(symbol).instrument

    def status(self, symbol: str) -> MarketStatus:
        """A market's state as told."""
        if symbol in self._expired:
            return MarketStatus.DELISTED
        if not self.engine.tradable(symbol):
            return MarketStatus.DISABLED
        if self.faults.active(FaultKind.REDUCE_ONLY_MODE, Site(market=symbol)) is not None:
            return MarketStatus.REDUCE_ONLY
        return self.markets[symbol].status

    def crowd_trade(
        self, symbol: str, side: Side, lots: Lots, price: Ticks | None = None
    ) -> OrderReport:
        """The crowd takes liquidity: at most so many lots, down to a price if one is given."""
        return crowd_trade(self.engine, symbol, side, lots, price)

    # --- orders -----------------------------------------------------------------------------

    def race(self, account: str, record: OrderRecord, fault: Fault) -> None:
        """Fill the fault's share of an order now and tell of it `delay_s` later."""
        self.outbox.hold(account, fault.delay_s)
        order = self.engine.find_order(account, order_id=record.engine_id)
        if order is not None:
            fill_first(self.engine, account, [order], fault.fraction)

    def cancel(self, record: OrderRecord, reason: CancelReason) -> None:
        """Take an order out of the engine; nothing happens when it rests no more."""
        if record.engine_id is not None:
            self.engine.cancel(record.account, order_id=record.engine_id, reason=reason)

    # --- own steps --------------------------------------------------------------------------

    def _on_event(self, event: Event) -> None:
        if not isinstance(event, Trade):
            return
        instrument = self.instrument(event.symbol)
        price, quantity = instrument.price(event.price), instrument.quantity(event.lots)
        self.tapes[event.symbol].add(event.at_ns // NS_PER_S, price, quantity)
        shown = shapes.public_trade(instrument, _public(event))
        self.public.post(event.symbol, ("TRADES", shown))

    def _skew_s(self) -> float:
        fault = self.faults.active(FaultKind.CLOCK_SKEW, Site())
        return 0.0 if fault is None else fault.skew_s


def _engine_rules(settings: SimulatorSettings) -> EngineRules:
    return EngineRules(
        margin_after_release=not settings.orders.replace_counts_both,
        remembered_client_ids=_REMEMBERED_IDS,
        history=_ENGINE_HISTORY,
    )


def _market_rules(settings: SimulatorSettings, market: SimMarket) -> MarketRules:
    money = settings.money
    instrument = Instrument(
        venue="x10",
        symbol=market.symbol,
        tick_size=market.min_price_change,
        lot_size=market.min_order_size_change,
        min_lots=int(market.min_order_size / market.min_order_size_change),
        maker_fee_bps=money.maker_fee * BPS,
        taker_fee_bps=money.taker_fee * BPS,
    )
    return MarketRules(
        instrument=instrument,
        index_price=market.price,
        funding_interval_ms=money.funding_interval_ms,
        funding_cap_bps=money.funding_cap * BPS,
        initial_margin=1 / market.leverage,
        maintenance_margin=market.risk_factor / 2,
        self_trade=SelfTrade.CANCEL_OLDEST,
        mark=money.mark,
    )


def _public(event: Trade) -> PublicTrade:
    return PublicTrade(
        trade_id=event.trade_id,
        symbol=event.symbol,
        price=event.price,
        lots=event.lots,
        aggressor=event.aggressor,
        at_ms=event.at_ns // 1_000_000,
    )
