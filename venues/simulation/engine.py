"""The one matching engine behind every simulated venue.

A plain synchronous object: each call is one indivisible step; time comes from outside.
"""

from collections.abc import Callable, Collection, Sequence
from decimal import Decimal
from itertools import islice
from typing import Any

from desk.orders import RejectReason
from desk.units import Level, Lots, Side, Ticks
from venues.simulation.accounts import Account
from venues.simulation.admission import Plan, Rejection, judge, rejected
from venues.simulation.batch import Batches
from venues.simulation.clockwork import pass_time
from venues.simulation.crowd import set_level
from venues.simulation.deadman import Timers
from venues.simulation.events import CancelReason, OrderRejected
from venues.simulation.exposure import Exposures
from venues.simulation.ladder import Manner, replace_ladder
from venues.simulation.legs import Legs
from venues.simulation.log import EventLog, Listener, as_json
from venues.simulation.margin import standing
from venues.simulation.market import Market
from venues.simulation.matching import execute
from venues.simulation.orders import (
    CancelScope,
    OnReject,
    Order,
    OrderReport,
    OrderRequest,
    Preview,
    RejectMode,
    ReplaceReport,
    SwapReport,
)
from venues.simulation.reading import balance_view, position_view, preview
from venues.simulation.rules import EngineRules, MarketRules
from venues.simulation.settlement import Settlements, expire
from venues.simulation.spot import Assets
from venues.simulation.state import State
from venues.simulation.swap import swap_order
from venues.simulation.tampering import Tampering
from venues.simulation.treasury import Treasury
from venues.simulation.views import (
    AccountTrade,
    BalanceView,
    FundingView,
    PositionView,
    PublicTrade,
)


class Engine:
    """Markets, accounts and their orders. Unknown accounts raise KeyError (a wiring error)."""

    def __init__(self, now_ns: Callable[[], int], rules: EngineRules | None = None) -> None:
        given = rules or EngineRules()
        self._state = State(
            now_ns=now_ns,
            rules=given,
            log=EventLog(given.history),
            insurance=given.insurance_fund,
        )
        self.assets = Assets(self._state)
        self.legs = Legs(self._state)
        self.settlements = Settlements(self._state)
        self.timers = Timers(self._state)
        self.batches = Batches(self._state)
        self.exposures = Exposures(self._state)
        self.treasury = Treasury(self._state)
        self.tampering = Tampering(self._state)

    # --- setting up -------------------------------------------------------------------------

    def add_market(self, rules: MarketRules) -> None:
        """List a market; ValueError when the symbol is already listed."""
        if rules.instrument.symbol in self._state.markets:
            raise ValueError(f"market {rules.instrument.symbol} is already listed")
        market = Market(rules, self._state.now_ns(), self._state.rules.public_history)
        self._state.markets[market.symbol] = market

    def open_account(
        self,
        account: str,
        collateral: Decimal,
        *,
        wallet: Decimal = Decimal(0),
        house: bool = False,
        owner: str | None = None,
    ) -> None:
        """Open an account with so much quote currency in its perps bucket (and wallet).

        Accounts of one `owner` (None: the account itself) can be kept from trading together.

        A `house` account (the crowd) has no margin test, is never liquidated, keeps no trade
        history, and its orders are not told in events. ValueError when it is already open.
        """
        if account in self._state.accounts:
            raise ValueError(f"account {account} is already open")
        self._state.accounts[account] = Account(
            account,
            collateral,
            wallet,
            owner=owner or account,
            cash=self._state.rules.collateral,
            house=house,
            history=self._state.rules.history,
            remembered=self._state.rules.remembered_client_ids,
        )

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Have every event delivered when the call that caused it is complete; returns an undo.

        A listener may call the engine; what it causes is delivered after the current events.
        """
        return self._state.log.subscribe(listener)

    # --- orders -----------------------------------------------------------------------------

    def submit(self, account: str, request: OrderRequest) -> OrderReport:
        """Place one order."""
        owner = self._state.accounts[account]
        verdict = judge(self._state, owner, request, Plan())
        report = (
            rejected(request, verdict)
            if isinstance(verdict, Rejection)
            else execute(self._state, owner, request, verdict)
        )
        self._tell_rejections(owner, report)
        self._state.finish()
        return report

    def reject(
        self, account: str, request: OrderRequest, reason: RejectReason, message: str
    ) -> OrderReport:
        """Turn an order away without judging it, as a fault may want; it is told like any other."""
        report = rejected(request, Rejection(reason=reason, message=message))
        self._tell_rejections(self._state.accounts[account], report)
        self._state.finish()
        return report

    def swap(
        self,
        account: str,
        order_id: str,
        request: OrderRequest,
        *,
        fatal: Collection[RejectReason] = (RejectReason.POST_ONLY,),
    ) -> SwapReport:
        """Replace one resting order of the same market as one step; KeyError when it rests no more.

        A refused replacement leaves the old order, unless the reason is `fatal`: then both go.
        """
        owner = self._state.accounts[account]
        done = swap_order(self._state, owner, owner.orders[order_id], request, fatal)
        self._tell_rejections(owner, done.report)
        self._state.finish()
        return done

    def preview(self, account: str, request: OrderRequest) -> Preview:
        """Say what `submit` would answer, changing nothing."""
        return preview(self._state, self._state.accounts[account], request)

    def replace(
        self,
        account: str,
        symbol: str,
        requests: Sequence[OrderRequest],
        *,
        tag: str | None = None,
        keep: bool = False,
        cancel_scope: CancelScope = CancelScope.QUOTES_ONLY,
        reject_mode: RejectMode = RejectMode.PER_LEVEL,
        on_reject: OnReject = OnReject.KEEP_OLD,
    ) -> ReplaceReport:
        """Take the old ladder away and place the new one as one step.

        `keep` leaves the old ladder (a plain batch of orders). Requests are placed in the order
        given; `tag`, when not None, is put on each. Every request must name `symbol`, otherwise
        it is rejected as INVALID. An empty ladder only cancels.
        """
        owner = self._state.accounts[account]
        manner = Manner(
            tag=tag,
            keep=keep,
            cancel_scope=cancel_scope,
            reject_mode=reject_mode,
            on_reject=on_reject,
        )
        report = replace_ladder(self._state, owner, symbol, requests, manner)
        self._tell_rejections(owner, *report.reports)
        self._state.finish()
        return report

    def cancel(
        self,
        account: str,
        *,
        symbol: str | None = None,
        order_id: str | None = None,
        client_order_id: str | None = None,
        tag: str | None = None,
        margin_mode: str | None = None,
        reason: CancelReason = CancelReason.ASKED,
    ) -> list[Order]:
        """Cancel the orders that match every field given (none given: all); returns them.

        `reason` is what the event says.
        """
        gone = []
        for order in self._state.accounts[account].resting(symbol, order_id, client_order_id):
            if tag in (None, order.tag) and margin_mode in (None, order.margin_mode):
                gone.append(order.view())
                self._state.withdraw(self._state.markets[order.symbol], order, reason)
        self._state.finish()
        return gone

    def set_levels(
        self, account: str, symbol: str, levels: Sequence[tuple[Side, Ticks, Lots]]
    ) -> None:
        """Make a house account's total at each of these prices so many lots (0: none).

        Shrinking takes from the back of the queue; growing joins the back, and first trades with
        whatever rests across the price. The account's own crossed orders are cancelled.
        Ignored while the market is halted or expired.
        """
        owner, market = self._state.accounts[account], self._state.markets[symbol]
        if not owner.house:
            raise ValueError(f"account {account} is not a house account")
        if market.tradable:
            for level in levels:
                set_level(self._state, market, owner, level)
        self._state.finish()

    # --- reads ------------------------------------------------------------------------------

    def open_orders(self, account: str, symbol: str | None = None) -> list[Order]:
        """Resting orders, oldest first."""
        return [order.view() for order in self._state.accounts[account].resting(symbol)]

    def find_order(
        self, account: str, *, order_id: str | None = None, client_order_id: str | None = None
    ) -> Order | None:
        """The resting order with this id, or None."""
        found = self._state.accounts[account].resting(None, order_id, client_order_id)
        return found[0].view() if found else None

    def position(self, account: str, symbol: str) -> PositionView:
        """Position in one market; zero lots when there never was one."""
        market, owner = self._state.markets[symbol], self._state.accounts[account]
        return position_view(market, owner.holding(market.instrument), self._state.now_ns())

    def positions(self, account: str) -> list[PositionView]:
        """Positions that are not flat."""
        now = self._state.now_ns()
        return [
            position_view(self._state.markets[symbol], holding, now)
            for symbol, holding in self._state.accounts[account].holdings.items()
            if holding.lots
        ]

    def balance(self, account: str) -> BalanceView:
        """Buckets, equity and margins."""
        owner = self._state.accounts[account]
        return balance_view(owner, standing(self._state, owner))

    def trades(
        self, account: str, symbol: str | None = None, since_ms: int = 0
    ) -> list[AccountTrade]:
        """Own executions at or after a wall time, oldest first."""
        found = []
        for trade in reversed(self._state.accounts[account].trades):
            if trade.at_ms < since_ms:
                break
            if symbol in (None, trade.symbol):
                found.append(trade)
        return found[::-1]

    def public_trades(self, symbol: str, limit: int = 100) -> list[PublicTrade]:
        """Latest executions of a market, oldest first."""
        trades = self._state.markets[symbol].trades
        return list(islice(reversed(trades), limit))[::-1]

    def book(self, symbol: str, depth: int | None = None) -> tuple[list[Level], list[Level]]:
        """Bids and asks as (ticks, lots) aggregated by price, best first."""
        book = self._state.markets[symbol].book
        return book.bids.levels(depth), book.asks.levels(depth)

    def book_sequence(self, symbol: str) -> int:
        """A number that grows with every change of the market's book."""
        return self._state.markets[symbol].book.sequence

    def market_rules(self, symbol: str) -> MarketRules:
        """Rules of a market; KeyError when it is not listed."""
        return self._state.markets[symbol].rules

    def symbols(self) -> list[str]:
        """Listed markets, in the order they were added."""
        return list(self._state.markets)

    def tradable(self, symbol: str) -> bool:
        """Whether a market is neither halted nor expired."""
        return self._state.markets[symbol].tradable

    def mark(self, symbol: str) -> Decimal | None:
        """Mark price in quote currency; None when the index is missing or stale."""
        return self._state.markets[symbol].mark(self._state.now_ns())

    def index(self, symbol: str) -> Decimal | None:
        """Index price in quote currency; None when missing or stale."""
        return self._state.markets[symbol].index(self._state.now_ns())

    def funding(self, symbol: str) -> FundingView:
        """Current and last funding rate, and the next time it is paid."""
        return self._state.markets[symbol].funding_view()

    def open_interest(self, symbol: str) -> Lots:
        """Sum of all long positions."""
        holdings = (each.holdings.get(symbol) for each in self._state.accounts.values())
        return sum(max(0, holding.lots) for holding in holdings if holding is not None)

    @property
    def insurance_fund(self) -> Decimal:
        """What is left for shortfalls of liquidations."""
        return self._state.insurance

    @property
    def fees_collected(self) -> Decimal:
        """Fees less rebates since the start."""
        return self._state.fees

    # --- the log ----------------------------------------------------------------------------

    def events(self, since_sequence: int = 0) -> list[dict[str, Any]]:
        """Logged events with a sequence above this, as JSON-ready values (`event` names each)."""
        return [as_json(event) for event in self._state.log.since(since_sequence)]

    def resting_between(self, account: str, start_ns: int, end_ns: int) -> list[str]:
        """Ids of orders of the account that rested at some moment of [start, end), by the log."""
        return self._state.log.resting_between(account, start_ns, end_ns)

    def resting_at_end(self, account: str) -> list[str]:
        """Ids of the account's orders that rest now."""
        return list(self._state.accounts[account].orders)

    # --- the world --------------------------------------------------------------------------

    def set_index(self, symbol: str, price: Decimal | None) -> None:
        """Tell the index in quote currency; None says it is stale, so there is no mark."""
        self._state.markets[symbol].set_index(price, self._state.now_ns())

    def halt(self, symbol: str, *, halted: bool) -> None:
        """Stop or resume taking orders; resting orders stay and can be cancelled."""
        self._state.markets[symbol].halted = halted

    def expire(self, symbol: str) -> None:
        """End a market: cancel its orders and settle positions at the mark (or last index)."""
        expire(self._state, self._state.markets[symbol])
        self._state.finish()

    def tick(self) -> None:
        """Let time pass up to now: timers, mark, funding, liquidations. Call it often."""
        pass_time(self._state)
        self._state.finish()

    def set_initial_margin(self, account: str, symbol: str, fraction: Decimal | None) -> None:
        """Choose an account's initial margin in a market (None: the market's own)."""
        market = self._state.markets[symbol]
        self._state.accounts[account].holding(market.instrument).initial_margin = fraction

    # --- own steps --------------------------------------------------------------------------

    def _tell_rejections(self, account: Account, *reports: OrderReport) -> None:
        for report in reports:
            if report.reason is None or report.accepted or account.house:
                continue
            self._state.log.record(
                OrderRejected(
                    sequence=self._state.log.next_sequence(),
                    at_ns=self._state.now_ns(),
                    account=account.name,
                    symbol=report.symbol,
                    client_order_id=report.client_order_id,
                    reason=report.reason,
                    message=report.message,
                )
            )
