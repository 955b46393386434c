"""The venue's state around the engine: markets, users, fault plan, bands, and held-back fills.

Everything here is synchronous, so one handler call is one indivisible step.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from random import Random

from desk.instrument import Instrument
from desk.units import NS_PER_S, Side, Ticks
from venues.ocx.simulator.answers import ApiError, unknown_market
from venues.ocx.simulator.credentials import Doorkeeper
from venues.ocx.simulator.listing import check_events, rules_of
from venues.ocx.simulator.ratelimit import RateLimiter
from venues.ocx.simulator.sessions import Nonces, Sessions
from venues.ocx.simulator.settings import SimMarket, SimulatorSettings
from venues.ocx.simulator.users import Directory, User
from venues.simulation.clock import VenueClock
from venues.simulation.engine import Engine
from venues.simulation.events import Event, PositionChanged, Trade
from venues.simulation.faults import Fault, FaultKind, FaultPlan, Site
from venues.simulation.hand import CROWD, crowd_trade, fill_first
from venues.simulation.leg_faults import arrive
from venues.simulation.orders import Order, OrderReport, OrderRequest
from venues.simulation.rules import EngineRules
from venues.simulation.tape import Tape
from venues.simulation.untold import Untold


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
        self.users = Directory(self.clock, random)
        self.nonces = Nonces(settings.sign_in, self.clock, random)
        self.sessions = Sessions(settings.sign_in, self.clock, random)
        self.door = Doorkeeper(settings, self.users, self.sessions, self.clock)
        self.limits = RateLimiter(settings, self.clock)
        rules = EngineRules(margin_after_release=settings.bulk.margin_after_release)
        self.engine = engine or Engine(now_ns, rules)
        self.untold = Untold(self.engine, self.faults, self.accounts)
        self.markets: dict[str, SimMarket] = {}
        self.expired: set[str] = set()
        self.paid: dict[str, Ticks] = {}
        """What a share of each settled outcome was paid."""
        self.tapes: dict[str, Tape] = {}
        self.versions: dict[str, int] = {}
        self._held_until_ns: dict[str, int] = {}

    def open(self) -> None:
        """List the markets and open the seeded accounts."""
        self.untold.open()
        self.engine.subscribe(self._on_event)
        self.engine.open_account(CROWD, Decimal(0), house=True)
        check_events(self.settings.markets)
        for market in self.settings.markets:
            self._list(market)
        for seed in self.settings.accounts:
            self.engine.open_account(seed.name, seed.perps_collateral, wallet=seed.wallet)
            for currency, amount in seed.spot.items():
                self.engine.assets.deposit(seed.name, currency, amount)
            user = self.users.add_user(
                seed.name,
                wallet_address=seed.wallet_address,
                rate_per_minute=seed.rate_per_minute,
            )
            if seed.api_key_secret is not None:
                self.users.add_key(
                    user, name="seed", scope=seed.api_key_scope, secret=seed.api_key_secret
                )

    def sign_up(self, address: str) -> User:
        """The user of a wallet; a new one without money when the venue lets anybody in."""
        user = self.users.by_wallet(address)
        if user is not None:
            return user
        if not self.settings.sign_in.open_signup:
            raise ApiError(403, "FORBIDDEN", "this wallet has no account")
        account = address.lower()
        self.engine.open_account(account, Decimal(0))
        invited = self.settings.sign_in.invite_code is None
        return self.users.add_user(account, wallet_address=address, invited=invited)

    def instrument(self, symbol: str) -> Instrument:
        """A listed market's instrument; ApiError 404 when there is none."""
        if symbol not in self.markets or symbol in self.expired:
            raise unknown_market(symbol)
        return self.engine.market_rules(symbol).instrument

    def listed(self) -> list[str]:
        """Markets that have not expired; outcomes stay when they are settled."""
        return [symbol for symbol in self.markets if symbol not in self.expired]

    def accounts(self) -> list[str]:
        """Engine accounts of all users."""
        return self.users.accounts()

    def expire(self, symbol: str) -> None:
        """End a market: it settles at its mark and leaves the lists."""
        self.instrument(symbol)
        self.engine.settlements.at_mark(symbol)
        self.expired.add(symbol)

    def settle(self, paid: Mapping[str, Ticks]) -> None:
        """End outcomes, as one step, with what a share of each is paid."""
        self.engine.settlements.at(paid)
        self.paid.update(paid)

    def mark(self, symbol: str) -> Decimal | None:
        """The mark as clients are shown it; what is settled has none."""
        if symbol in self.paid:
            return None
        if self.faults.active(FaultKind.MARK_MISSING, Site(market=symbol)) is not None:
            return None
        return self.engine.mark(symbol)

    def band(self, symbol: str) -> tuple[Decimal | None, Decimal | None]:
        """Lowest and highest order price now, in quote currency."""
        moved = self.faults.active(FaultKind.BAND_MOVE, Site(market=symbol))
        if moved is not None:
            return (
                None if moved.low is None else Decimal(moved.low),
                None if moved.high is None else Decimal(moved.high),
            )
        instrument = self.engine.market_rules(symbol).instrument
        low, high = instrument.band_low, instrument.band_high
        return (
            None if low is None else instrument.price(low),
            None if high is None else instrument.price(high),
        )

    def hold_fills(self, account: str, seconds: float) -> None:
        """Keep an account's stream from telling fills and positions for a while."""
        self._held_until_ns[account] = self.clock.now_ns() + int(seconds * NS_PER_S)

    def held(self, account: str) -> bool:
        """Whether the account's stream keeps quiet about fills now."""
        until = self._held_until_ns.get(account)
        return until is not None and self.clock.now_ns() < until

    def arrive(self, site: Site, account: str, request: OrderRequest) -> None:
        """Let an order meet the faults of its leg, before it is placed."""
        arrive(self.engine, self.faults, site, account, request)

    def crowd_trade(self, symbol: str, side: Side, lots: int, price: int | None) -> OrderReport:
        """The crowd takes liquidity: at most so many lots, down to a price if one is given."""
        return crowd_trade(self.engine, symbol, side, lots, price)

    def race(self, account: str, orders: Sequence[Order], fault: Fault) -> None:
        """Fill the fault's share of these orders now and tell of it `delay_s` later."""
        self.hold_fills(account, fault.delay_s)
        fill_first(self.engine, account, orders, fault.fraction)

    def _list(self, market: SimMarket) -> None:
        self.engine.add_market(rules_of(market, self.settings.money))
        self.markets[market.symbol] = market
        self.tapes[market.symbol] = Tape()

    def _on_event(self, event: Event) -> None:
        if isinstance(event, PositionChanged):
            self._touch(event.account)
        if not isinstance(event, Trade):
            return
        self._touch(event.maker)
        self._touch(event.taker)
        tape = self.tapes.get(event.symbol)
        if tape is not None:
            instrument = self.engine.market_rules(event.symbol).instrument
            price, quantity = instrument.price(event.price), instrument.quantity(event.lots)
            tape.add(event.at_ns // NS_PER_S, price, quantity)

    def _touch(self, account: str) -> None:
        self.versions[account] = self.versions.get(account, 0) + 1

    def _skew_s(self) -> float:
        fault = self.faults.active(FaultKind.CLOCK_SKEW, Site())
        return 0.0 if fault is None else fault.skew_s
