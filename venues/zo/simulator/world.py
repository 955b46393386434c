"""The venue's state around the engine: users, sessions, actions, streams, faults.

Everything here is synchronous, so one handler call is one indivisible step.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from random import Random

from desk.units import NS_PER_S, Side
from venues.simulation.clock import VenueClock
from venues.simulation.engine import Engine
from venues.simulation.events import (
    CancelReason,
    Event,
    MoneyMoved,
    OrderAccepted,
    OrderCancelled,
    Trade,
)
from venues.simulation.faults import Fault, FaultKind, FaultPlan, Site
from venues.simulation.hand import CROWD, crowd_trade, fill_first
from venues.simulation.orders import Order, OrderReport
from venues.simulation.ratelimit import SlidingWindow
from venues.simulation.rules import EngineRules
from venues.simulation.untold import Untold
from venues.zo.simulator.feeds import Feeds
from venues.zo.simulator.history import History
from venues.zo.simulator.journal import Journal
from venues.zo.simulator.ledger import Ledger
from venues.zo.simulator.listing import Listing
from venues.zo.simulator.margins import Margins, margins_of
from venues.zo.simulator.register import Register
from venues.zo.simulator.sessions import Sessions
from venues.zo.simulator.settings import ClientIds, SimulatorSettings
from venues.zo.simulator.users import Directory


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
        self.schema = settings.schema
        self.paused = settings.paused
        self.faults = FaultPlan(now_ns, random)
        self.clock = VenueClock(now_ns, self._skew_s)
        self.users = Directory()
        self.sessions = Sessions(settings.sessions, self.engine_s)
        self.seconds = SlidingWindow(NS_PER_S, now_ns)
        self.minutes = SlidingWindow(60 * NS_PER_S, now_ns)
        self.engine = engine or Engine(now_ns, _rules(settings))
        self.listing = Listing(settings, self.engine, self.clock)
        self.register = Register(settings.reads.history)
        self.history = History()
        self.ledger = Ledger(self.listing, self.users, settings.reads.history)
        self.untold = Untold(self.engine, self.faults, self.accounts)
        self.feeds = Feeds(self.listing, self.users, self.register, self.untold)
        actions = settings.actions
        self.journal = Journal(actions.first_action_id, actions.duplicate_window_s, now_ns)
        self.acting = False

    def open(self) -> None:
        """List the markets and open the seeded accounts."""
        self.untold.open()
        self.engine.subscribe(self._on_event)
        self.engine.open_account(CROWD, Decimal(0), house=True)
        for market in self.settings.markets:
            self.listing.add(market)
        for seed in self.settings.accounts:
            self.users.add(seed)
            self.engine.open_account(seed.name, seed.collateral, owner=seed.wallet)

    # --- clock and state --------------------------------------------------------------------

    def engine_s(self) -> int:
        """The engine's clock as everybody is told it, unix seconds."""
        return self.clock.told_ms() // 1000

    def is_paused(self) -> bool:
        """Whether actions are refused for maintenance."""
        return self.paused or self.faults.active(FaultKind.MAINTENANCE_MODE, Site()) is not None

    def mark(self, symbol: str) -> Decimal | None:
        """The mark as clients are shown it."""
        if self.faults.active(FaultKind.MARK_MISSING, Site(market=symbol)) is not None:
            return None
        return self.engine.mark(symbol)

    def band(self, symbol: str) -> tuple[Decimal | None, Decimal | None]:
        """Lowest and highest order price a fault allows now, in quote currency."""
        moved = self.faults.active(FaultKind.BAND_MOVE, Site(market=symbol))
        if moved is None:
            return None, None
        return (
            None if moved.low is None else Decimal(moved.low),
            None if moved.high is None else Decimal(moved.high),
        )

    def margins(self, account: str) -> Margins:
        """An account's margins now."""
        return margins_of(
            self.engine,
            account,
            self.listing.market,
            gains_back_risk=self.settings.money.gains_back_risk,
        )

    def below_cmf(self, account: str) -> bool:
        """Whether an account may only reduce, its orders gone: by its margins, or by a fault."""
        forced = self.faults.active(FaultKind.REDUCE_ONLY_MODE, Site(account=account))
        return forced is not None or not self.margins(account).healthy

    # --- levers -----------------------------------------------------------------------------

    def listed(self) -> list[str]:
        """Markets that have not expired."""
        markets = self.listing.markets()
        return [one.symbol for one in markets if one.symbol not in self.listing.expired]

    def expire(self, symbol: str) -> None:
        """End a market: it settles and is found no more."""
        self.engine.expire(symbol)
        self.listing.expired.add(symbol)

    def accounts(self) -> list[str]:
        """Engine accounts of the customers."""
        return [account.name for account in self.users.accounts()]

    def crowd_trade(self, symbol: str, side: Side, lots: int, price: int | None) -> OrderReport:
        """The crowd takes liquidity: at most so many lots, down to a price if one is given."""
        return crowd_trade(self.engine, symbol, side, lots, price)

    def race(self, account: str, orders: Sequence[Order], fault: Fault) -> None:
        """Fill the fault's share of these orders now and tell of it `delay_s` later."""
        self.feeds.hold(account, self.clock.now_ns() + int(fault.delay_s * NS_PER_S))
        fill_first(self.engine, account, orders, fault.fraction)

    def sweep_margins(self) -> None:
        """Cancel the open orders of accounts below `cmf`, if the settings say so."""
        if not self.settings.money.cmf_cancels:
            return
        for account in self.users.accounts():
            resting = self.engine.open_orders(account.name)
            if resting and not self.margins(account.name).healthy:
                self.engine.cancel(account.name, reason=CancelReason.UNFUNDED)

    # --- events -----------------------------------------------------------------------------

    def _on_event(self, event: Event) -> None:
        action_id = self.journal.next_id if self.acting else self.journal.last_id
        if isinstance(event, OrderAccepted | OrderCancelled | Trade):
            self.register.take(event, action_id)
        self.history.take(event, action_id)
        if isinstance(event, MoneyMoved):
            balance = self.engine.balance(event.account).collateral
            self.history.transferred(event, self.journal.bridged(), balance)
        if isinstance(event, Trade):
            self.ledger.take(event, action_id)
            instrument = self.listing.instrument(event.symbol)
            price, quantity = instrument.price(event.price), instrument.quantity(event.lots)
            self.listing.tapes[event.symbol].add(event.at_ns // NS_PER_S, price, quantity)
        self.feeds.take(event)

    def _skew_s(self) -> float:
        fault = self.faults.active(FaultKind.CLOCK_SKEW, Site())
        return self.settings.clock_offset_s + (0.0 if fault is None else fault.skew_s)


def _rules(settings: SimulatorSettings) -> EngineRules:
    kept = 0 if settings.actions.client_ids is ClientIds.WHILE_OPEN else None
    return EngineRules(remembered_client_ids=kept)
