"""The one matching engine behind every simulated venue.

A plain synchronous object: each call is one indivisible step; time comes from outside.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from desk.orders import RejectReason
from desk.units import Level, Lots, Side, Ticks
from venues.simulation.events import Event
from venues.simulation.orders import (
    CancelScope,
    OnReject,
    Order,
    OrderReport,
    OrderRequest,
    Preview,
    RejectMode,
    ReplaceReport,
)
from venues.simulation.rules import EngineRules, MarketRules
from venues.simulation.views import (
    AccountTrade,
    BalanceView,
    Bucket,
    FundingView,
    PositionView,
    PublicTrade,
)

Listener = Callable[[Event], None]


class Engine:
    """Markets, accounts and their orders. Unknown accounts raise KeyError (a wiring error)."""

    def __init__(self, now_ns: Callable[[], int], rules: EngineRules | None = None) -> None:
        self._now_ns = now_ns
        self._rules = rules or EngineRules()

    # --- setting up -------------------------------------------------------------------------

    def add_market(self, rules: MarketRules) -> None:
        """List a market; ValueError when the symbol is already listed."""
        raise NotImplementedError

    def open_account(
        self,
        account: str,
        collateral: Decimal,
        *,
        wallet: Decimal = Decimal(0),
        house: bool = False,
    ) -> None:
        """Open an account with so much quote currency in its perps bucket (and wallet).

        A `house` account (the crowd) has no margin test, is never liquidated, keeps no trade
        history, and its orders are not told in events. ValueError when it is already open.
        """
        raise NotImplementedError

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Have every event delivered when the call that caused it is complete; returns an undo.

        A listener may call the engine; what it causes is delivered after the current events.
        """
        raise NotImplementedError

    # --- orders -----------------------------------------------------------------------------

    def submit(self, account: str, request: OrderRequest) -> OrderReport:
        """Place one order."""
        raise NotImplementedError

    def preview(self, account: str, request: OrderRequest) -> Preview:
        """Say what `submit` would answer, changing nothing."""
        raise NotImplementedError

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
        raise NotImplementedError

    def cancel(
        self,
        account: str,
        *,
        symbol: str | None = None,
        order_id: str | None = None,
        client_order_id: str | None = None,
        tag: str | None = None,
        margin_mode: str | None = None,
    ) -> list[Order]:
        """Cancel the orders that match every field given (none given: all); returns them."""
        raise NotImplementedError

    def set_levels(
        self, account: str, symbol: str, levels: Sequence[tuple[Side, Ticks, Lots]]
    ) -> None:
        """Make a house account's total at each of these prices so many lots (0: none).

        Shrinking takes from the back of the queue; growing joins the back, and first trades with
        whatever rests across the price. The account's own crossed orders are cancelled.
        """
        raise NotImplementedError

    # --- reads ------------------------------------------------------------------------------

    def open_orders(self, account: str, symbol: str | None = None) -> list[Order]:
        """Resting orders, oldest first."""
        raise NotImplementedError

    def find_order(
        self, account: str, *, order_id: str | None = None, client_order_id: str | None = None
    ) -> Order | None:
        """The resting order with this id, or None."""
        raise NotImplementedError

    def position(self, account: str, symbol: str) -> PositionView:
        """Position in one market; zero lots when there never was one."""
        raise NotImplementedError

    def positions(self, account: str) -> list[PositionView]:
        """Positions that are not flat."""
        raise NotImplementedError

    def balance(self, account: str) -> BalanceView:
        """Buckets, equity and margins."""
        raise NotImplementedError

    def trades(
        self, account: str, symbol: str | None = None, since_ms: int = 0
    ) -> list[AccountTrade]:
        """Own executions at or after a wall time, oldest first."""
        raise NotImplementedError

    def public_trades(self, symbol: str, limit: int = 100) -> list[PublicTrade]:
        """Latest executions of a market, oldest first."""
        raise NotImplementedError

    def book(self, symbol: str, depth: int | None = None) -> tuple[list[Level], list[Level]]:
        """Bids and asks as (ticks, lots) aggregated by price, best first."""
        raise NotImplementedError

    def book_sequence(self, symbol: str) -> int:
        """A number that grows with every change of the market's book."""
        raise NotImplementedError

    def market_rules(self, symbol: str) -> MarketRules:
        """Rules of a market; KeyError when it is not listed."""
        raise NotImplementedError

    def symbols(self) -> list[str]:
        """Listed markets, in the order they were added."""
        raise NotImplementedError

    def tradable(self, symbol: str) -> bool:
        """Whether a market is neither halted nor expired."""
        raise NotImplementedError

    def mark(self, symbol: str) -> Decimal | None:
        """Mark price in quote currency; None when the index is missing or stale."""
        raise NotImplementedError

    def index(self, symbol: str) -> Decimal | None:
        """Index price in quote currency; None when missing or stale."""
        raise NotImplementedError

    def funding(self, symbol: str) -> FundingView:
        """Current and last funding rate, and the next time it is paid."""
        raise NotImplementedError

    def open_interest(self, symbol: str) -> Lots:
        """Sum of all long positions."""
        raise NotImplementedError

    @property
    def insurance_fund(self) -> Decimal:
        """What is left for shortfalls of liquidations."""
        raise NotImplementedError

    @property
    def fees_collected(self) -> Decimal:
        """Fees less rebates since the start."""
        raise NotImplementedError

    # --- the log ----------------------------------------------------------------------------

    def events(self, since_sequence: int = 0) -> list[dict[str, Any]]:
        """Logged events with a sequence above this, as JSON-ready values (`event` names each)."""
        raise NotImplementedError

    def resting_between(self, account: str, start_ns: int, end_ns: int) -> list[str]:
        """Ids of orders of the account that rested at some moment of [start, end), by the log."""
        raise NotImplementedError

    def resting_at_end(self, account: str) -> list[str]:
        """Ids of the account's orders that rest now."""
        raise NotImplementedError

    # --- the world --------------------------------------------------------------------------

    def set_index(self, symbol: str, price: Decimal | None) -> None:
        """Tell the index in quote currency; None says it is stale, so there is no mark."""
        raise NotImplementedError

    def halt(self, symbol: str, *, halted: bool) -> None:
        """Stop or resume taking orders; resting orders stay and can be cancelled."""
        raise NotImplementedError

    def expire(self, symbol: str) -> None:
        """End a market: cancel its orders and settle positions at the mark (or last index)."""
        raise NotImplementedError

    def transfer(
        self, account: str, source: Bucket, target: Bucket, amount: Decimal
    ) -> RejectReason | None:
        """Move money between buckets; the reason when it is refused (INVALID or MARGIN)."""
        raise NotImplementedError

    def tick(self) -> None:
        """Let time pass up to now: mark, funding, liquidations. Call it a few times a second."""
        raise NotImplementedError
