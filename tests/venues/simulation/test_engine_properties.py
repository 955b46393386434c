from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from desk.orders import RejectReason
from desk.units import Side
from tests.venues.simulation.exchange import (
    SYMBOL,
    HandClock,
    SelfTrade,
    TimeInForce,
    ask,
    market_rules,
)
from venues.simulation.engine import Engine
from venues.simulation.orders import (
    CancelScope,
    OnReject,
    Order,
    OrderKind,
    OrderReport,
    OrderSource,
    RejectMode,
)
from venues.simulation.views import Bucket

NAMES = ("ann", "bob", "cat")
CROWD = "crowd"
names = st.sampled_from(NAMES)
sides = st.sampled_from(Side)
prices = st.integers(990, 1010)
sizes = st.integers(1, 400)
flags = st.booleans()
START = Decimal(100)


class AnyExchange(RuleBasedStateMachine):
    """Any sequence of calls by three margined accounts and a crowd."""

    mode = SelfTrade.NONE

    def __init__(self) -> None:
        super().__init__()
        self.clock = HandClock()
        self.engine = Engine(self.clock)
        self.engine.add_market(market_rules(self_trade=self.mode, funding_interval_ms=5_000))
        for name in NAMES:
            self.engine.open_account(name, START)
        self.engine.open_account(CROWD, Decimal(0), house=True)
        self.wealth = self.total()
        self.tampered = dict.fromkeys(NAMES, Decimal(0))
        self.used: dict[str, set[str]] = {name: set() for name in NAMES}

    def total(self) -> Decimal:
        money = self.engine.insurance_fund + self.engine.fees_collected
        for name in (*NAMES, CROWD):
            balance = self.engine.balance(name)
            money += balance.equity + balance.wallet
        return money

    def held(self, name: str) -> int:
        return self.engine.position(name, SYMBOL).lots

    # --- what may happen --------------------------------------------------------------------

    @rule(
        name=names,
        side=sides,
        price=prices,
        lots=sizes,
        tif=st.sampled_from(TimeInForce),
        post_only=flags,
        reduce_only=flags,
        number=st.integers(0, 60),
    )
    def submit(
        self,
        *,
        name: str,
        side: Side,
        price: int,
        lots: int,
        tif: TimeInForce,
        post_only: bool,
        reduce_only: bool,
        number: int,
    ) -> None:
        client_id = f"c{number}"
        before, log = self.held(name), self.engine.events()
        margin = self.engine.balance(name)
        report = self.engine.submit(
            name,
            ask(
                side,
                price,
                lots,
                time_in_force=tif,
                post_only=post_only,
                reduce_only=reduce_only,
                client_order_id=client_id,
            ),
        )
        if client_id in self.used[name]:
            assert not report.accepted
        if not report.accepted:
            assert [each["event"] for each in self.engine.events()[len(log) :]] == ["OrderRejected"]
            return
        self.used[name].add(client_id)
        self.check_fill(name, report, tif, lots, reduce_only=reduce_only, before=before)
        assert not (post_only and report.filled)
        after = self.engine.balance(name)
        if not report.filled and after.initial_margin > margin.initial_margin:
            assert after.initial_margin <= after.equity

    def check_fill(
        self,
        name: str,
        report: OrderReport,
        tif: TimeInForce,
        lots: int,
        *,
        reduce_only: bool,
        before: int,
    ) -> None:
        if tif is TimeInForce.FOK:
            wanted = min(lots, abs(before)) if reduce_only else lots
            assert report.filled in {0, wanted}
        if tif is not TimeInForce.GTC:
            assert report.remaining == 0
        if reduce_only:
            after = self.held(name)
            assert abs(after) <= abs(before)
            assert after * before >= 0

    @rule(name=names, side=sides, lots=sizes)
    def market_order(self, name: str, side: Side, lots: int) -> None:
        report = self.engine.submit(name, ask(side, None, lots, kind=OrderKind.MARKET))
        assert report.remaining == 0

    @rule(
        name=names, price=prices, lots=sizes, batch=flags, keep_old=flags, spread=st.integers(-2, 6)
    )
    def replace(
        self, *, name: str, price: int, lots: int, batch: bool, keep_old: bool, spread: int
    ) -> None:
        old = self.engine.open_orders(name, SYMBOL)
        quotes = [
            ask(Side.BUY, price - level, lots, post_only=True, source=OrderSource.QUOTE)
            for level in range(2)
        ] + [ask(Side.SELL, price + spread, lots, post_only=True, source=OrderSource.QUOTE)]
        report = self.engine.replace(
            name,
            SYMBOL,
            quotes,
            tag="q",
            reject_mode=RejectMode.BATCH if batch else RejectMode.PER_LEVEL,
            on_reject=OnReject.KEEP_OLD if keep_old else OnReject.CANCEL_OLD,
            cancel_scope=CancelScope.QUOTES_ONLY,
        )
        self.check_replace(name, old, [each.accepted for each in report.reports], keep_old, batch)

    def check_replace(
        self, name: str, old: list[Order], taken: list[bool], keep_old: bool, batch: bool
    ) -> None:
        now = {order.order_id for order in self.engine.open_orders(name, SYMBOL)}
        quotes = {order.order_id for order in old if order.source is OrderSource.QUOTE}
        others = {order.order_id for order in old} - quotes
        assert others <= now
        if batch:
            assert all(taken) or not any(taken)
        if any(taken) or not keep_old:
            assert not quotes & now
            assert len(now) == len(others) + sum(taken)
        else:
            assert now == others | quotes

    @rule(name=names)
    def cancel(self, name: str) -> None:
        self.engine.cancel(name, symbol=SYMBOL)
        assert self.engine.open_orders(name) == []

    @rule(side=sides, price=prices, lots=st.integers(0, 300))
    def crowd(self, side: Side, price: int, lots: int) -> None:
        self.engine.set_levels(CROWD, SYMBOL, [(side, price, lots)])

    @rule(index=st.integers(90, 110))
    def index(self, index: int) -> None:
        self.engine.set_index(SYMBOL, Decimal(index))

    @rule(seconds=st.integers(1, 8))
    def time(self, seconds: int) -> None:
        self.clock.pass_s(seconds)
        self.engine.tick()

    @rule(name=names, amount=st.integers(1, 50))
    def transfer(self, name: str, amount: int) -> None:
        refused = self.engine.treasury.move(name, Bucket.PERPS, Bucket.WALLET, Decimal(amount))
        assert refused in {None, RejectReason.MARGIN}

    @rule(name=names, amount=st.integers(1, 50))
    def deposit(self, name: str, amount: int) -> None:
        self.engine.treasury.deposit(name, Decimal(amount))
        self.wealth += amount

    @rule(name=names, amount=st.integers(1, 50))
    def withdraw(self, name: str, amount: int) -> None:
        if self.engine.treasury.withdraw(name, Decimal(amount)) is None:
            self.wealth -= amount

    @rule(rate=st.integers(-20, 20))
    def funding(self, rate: int) -> None:
        self.engine.treasury.pay_funding(SYMBOL, Decimal(rate) / 10_000)

    @rule(name=names, lots=st.integers(-300, 300), told=flags)
    def tamper(self, *, name: str, lots: int, told: bool) -> None:
        fills, payments = len(self.engine.trades(name)), self.engine.treasury.payments(name)
        self.engine.tampering.set_position(name, SYMBOL, lots, against=CROWD, told=told)
        self.engine.tampering.move_balance(name, Decimal(lots) / 100, against=CROWD)
        self.tampered[name] += Decimal(lots) / 100
        assert self.held(name) == lots
        assert len(self.engine.trades(name)) == fills
        assert self.engine.treasury.payments(name) == payments

    # --- what always holds ------------------------------------------------------------------

    @invariant()
    def the_book_is_never_crossed(self) -> None:
        bids, asks = self.engine.book(SYMBOL)
        assert bids == sorted(bids, reverse=True)
        assert asks == sorted(asks)
        assert all(lots > 0 for _, lots in bids + asks)
        assert not bids or not asks or bids[0][0] < asks[0][0]

    @invariant()
    def positions_sum_to_zero(self) -> None:
        assert sum(self.held(name) for name in (*NAMES, CROWD)) == 0

    @invariant()
    def no_money_is_made_or_lost(self) -> None:
        assert self.total() == self.wealth

    @invariant()
    def the_histories_explain_every_account(self) -> None:
        insured = dict.fromkeys(NAMES, Decimal(0))
        for event in self.engine.events():
            if event["event"] == "Liquidated":
                insured[event["account"]] += Decimal(event["shortfall"])
        for name in NAMES:
            payments = self.engine.treasury.payments(name)
            assert len({one.number for one in payments}) == len(payments)
            assert self.engine.balance(name).collateral == (
                START
                + self.engine.position(name, SYMBOL).realized_pnl
                - sum(trade.fee for trade in self.engine.trades(name))
                + sum(payment.amount for payment in payments)
                + self.tampered[name]
                + insured[name]
            )

    @invariant()
    def resting_reduce_only_orders_can_only_reduce(self) -> None:
        for name in NAMES:
            for order in self.engine.open_orders(name):
                assert order.remaining > 0
                if order.reduce_only:
                    assert order.remaining <= -self.held(name) * order.side.sign

    @invariant()
    def the_log_agrees_with_the_book(self) -> None:
        for name in NAMES:
            now = self.clock.at_ns
            logged = self.engine.resting_between(name, now, now + 1)
            assert set(self.engine.resting_at_end(name)) == set(logged)


class AnyExchangeWithoutSelfTrades(AnyExchange):
    """The same where the older of two own orders gives way."""

    mode = SelfTrade.CANCEL_OLDEST


_SETTINGS = settings(max_examples=40, stateful_step_count=40, deadline=None)
TestAnyExchange = AnyExchange.TestCase
TestAnyExchange.settings = _SETTINGS
TestWithoutSelfTrades = AnyExchangeWithoutSelfTrades.TestCase
TestWithoutSelfTrades.settings = _SETTINGS


@given(
    resting=st.lists(st.tuples(names, st.integers(1000, 1004), st.integers(1, 9)), max_size=12),
    takers=st.lists(st.tuples(st.integers(1000, 1004), st.integers(1, 20)), max_size=6),
)
def test_price_then_time_decides_who_trades(
    resting: list[tuple[str, int, int]], takers: list[tuple[int, int]]
) -> None:
    """Makers trade in the order of price, then arrival, whoever they are."""
    engine = Engine(HandClock())
    engine.add_market(market_rules())
    for name in (*NAMES, "taker"):
        engine.open_account(name, Decimal(10**9))
    queue: list[tuple[int, int, str | None]] = []
    left: dict[int, int] = {}
    for at, (name, price, lots) in enumerate(resting):
        queue.append((price, at, engine.submit(name, ask(Side.SELL, price, lots)).order_id))
        left[at] = lots
    expected = []
    for limit, lots in takers:
        engine.submit("taker", ask(Side.BUY, limit, lots, time_in_force=TimeInForce.IOC))
        wanted = lots
        for price, at, order_id in sorted(queue):
            done = min(wanted, left[at]) if price <= limit else 0
            left[at] -= done
            wanted -= done
            expected += [(order_id, done)] if done else []
    trades = [each for each in engine.events() if each["event"] == "Trade"]
    assert [(each["maker_order_id"], each["lots"]) for each in trades] == expected
