"""Turns the engine's events into stream messages, one message each for what one action did.

Whoever listens is pushed to and never waited for.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from desk.units import NS_PER_S
from venues.simulation.events import (
    BookChanged,
    Event,
    FundingPaid,
    Liquidated,
    MoneyMoved,
    OrderAccepted,
    OrderCancelled,
    Trade,
)
from venues.simulation.untold import Untold
from venues.zo.simulator import numbers
from venues.zo.simulator.accountfeed import AccountFeed, FillPart, Pending, side_word
from venues.zo.simulator.bookfeed import BookFeed
from venues.zo.simulator.candles import RESOLUTIONS, candle
from venues.zo.simulator.listing import Listing
from venues.zo.simulator.marketframes import MarketFrames
from venues.zo.simulator.register import Entry, Register
from venues.zo.simulator.settings import BalanceKey, FillKey, FillSide
from venues.zo.simulator.users import Account, Directory


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One message of one stream. It is told at `due_ns` (wall time) or later."""

    stream: str
    body: dict[str, Any]
    raw: bytes
    due_ns: int = 0


Push: TypeAlias = Callable[[Frame], None]


class Feeds:
    """All streams of the venue by name, such as `deltas@BTCUSD`."""

    def __init__(
        self, listing: Listing, users: Directory, register: Register, untold: Untold
    ) -> None:
        self._listing = listing
        self._rules = listing.settings.streams
        self._users = users
        self._register = register
        self._untold = untold
        self._frames = MarketFrames(listing)
        self._books: dict[str, BookFeed] = {}
        self._accounts: dict[str, AccountFeed] = {}
        self._pending: dict[str, Pending] = {}
        self._trades: dict[str, list[Trade]] = {}
        self._listeners: dict[str, list[Push]] = {}
        self._held_until_ns: dict[str, int] = {}

    def listen(self, stream: str, push: Push) -> Callable[[], None]:
        """Have a stream's messages pushed from now on; returns an undo."""
        kind, _, name = stream.partition("@")
        if kind == "deltas":
            self.book(name).refresh()
        listeners = self._listeners.setdefault(stream, [])
        listeners.append(push)

        def undo() -> None:
            if push in listeners:
                listeners.remove(push)

        return undo

    def hold(self, account: str, until_ns: int) -> None:
        """Tell of an account's doings no earlier than a wall time."""
        self._held_until_ns[account] = until_ns

    def book(self, symbol: str) -> BookFeed:
        """A market's chain."""
        if symbol not in self._books:
            self._books[symbol] = BookFeed(self._listing.engine, symbol)
        return self._books[symbol]

    def account(self, account: Account) -> AccountFeed:
        """An account's chain."""
        if account.name not in self._accounts:
            self._accounts[account.name] = AccountFeed(account.account_id, self._rules)
        return self._accounts[account.name]

    def take(self, event: Event) -> None:
        """Learn from an event the register knows already."""
        match event:
            case OrderAccepted():
                self._note(event.account).placed.update(self._entry(event.order_id))
            case OrderCancelled():
                self._cancelled(event)
            case Trade():
                self._traded(event)
            case FundingPaid() | MoneyMoved() | Liquidated():
                self._note(event.account).money = True
                self._flush()
            case BookChanged():
                self._flush()
                self._tell_book(event.symbol)
            case _:
                pass

    # --- gathering --------------------------------------------------------------------------

    def _note(self, account: str) -> Pending:
        return self._pending.setdefault(account, Pending())

    def _entry(self, order_id: str) -> dict[str, Entry]:
        entry = self._register.order(order_id)
        return {} if entry is None else {order_id: entry}

    def _cancelled(self, event: OrderCancelled) -> None:
        pending = self._note(event.account)
        for order_id, entry in self._entry(event.order_id).items():
            if event.remaining:
                pending.placed[order_id] = entry
            elif pending.placed.pop(order_id, None) is None:
                pending.cancelled[order_id] = (entry, event.lots)

    def _traded(self, event: Trade) -> None:
        self._trades.setdefault(event.symbol, []).append(event)
        sides = (
            (event.maker, event.maker_trade_id, True),
            (event.taker, event.taker_trade_id, False),
        )
        for account, trade_id, maker in sides:
            hidden = self._untold.hides(trade_id)
            if self._users.named(account) is not None and not hidden:
                self._note(account).fills.append(self._fill(event, maker=maker))

    def _fill(self, event: Trade, *, maker: bool) -> FillPart:
        own = event.aggressor.opposite if maker else event.aggressor
        order = event.maker_order_id if maker else event.taker_order_id
        key = event.maker_order_id if self._rules.fill_key is FillKey.MAKER else order
        instrument = self._listing.instrument(event.symbol)
        return FillPart(
            key=self._listing.wire_id(key),
            order_id=self._listing.wire_id(key),
            side=own if self._rules.fill_side is FillSide.OWN else event.aggressor,
            lots=event.lots,
            remaining=event.maker_remaining if maker else event.taker_remaining,
            price=numbers.price(instrument, event.price),
            market_id=self._listing.market_id(event.symbol),
            instrument=instrument,
            maker_id=self._users.number(event.maker),
            taker_id=self._users.number(event.taker),
        )

    # --- telling ----------------------------------------------------------------------------

    def _flush(self) -> None:
        trades, self._trades = self._trades, {}
        for symbol, found in trades.items():
            self._tell_trades(symbol, found)
        waiting, self._pending = self._pending, {}
        for name, pending in waiting.items():
            account = self._users.named(name)
            if account is not None:
                self._tell_account(account, pending)

    def _tell_account(self, account: Account, pending: Pending) -> None:
        places = {
            self._key(entry): self._order(entry, entry.left) | self._client_id(entry)
            for entry in pending.placed.values()
            if entry.rests
        }
        cancels = {
            self._key(entry): self._order(entry, lots) for entry, lots in pending.cancelled.values()
        }
        if not (places or cancels or pending.fills or pending.money):
            return
        due = self._held_until_ns.get(account.name, 0)
        stream = f"account@{account.account_id}"
        balances = self._balances(account)
        for body in self.account(account).updates(pending, places, cancels, balances):
            self._push(stream, body, due)

    def _key(self, entry: Entry) -> str:
        return str(self._listing.wire_id(entry.order_id))

    def _order(self, entry: Entry, lots: int) -> dict[str, Any]:
        instrument = self._listing.instrument(entry.symbol)
        return {
            "side": side_word(entry.side),
            "current_size": numbers.size(instrument, lots),
            "price": numbers.price(instrument, entry.price or 0),
            "market_id": self._listing.market_id(entry.symbol),
        }

    def _client_id(self, entry: Entry) -> dict[str, Any]:
        if not self._rules.client_ids_in_places:
            return {}
        name = entry.client_order_id
        return {"client_order_id": None if name is None else int(name)}

    def _balances(self, account: Account) -> dict[str, Any]:
        amount = numbers.money(self._listing.engine.balance(account.name).collateral)
        return {"0" if self._rules.balance_key is BalanceKey.TOKEN_ID else "USDC": amount}

    def _tell_book(self, symbol: str) -> None:
        stream = f"deltas@{symbol}"
        if not self._listeners.get(stream):
            return
        delta = self.book(symbol).refresh()
        if delta is not None:
            self._push(stream, self._frames.delta(symbol, delta))

    def _tell_trades(self, symbol: str, trades: list[Trade]) -> None:
        self._tell_candles(symbol, trades[-1].at_ns // NS_PER_S)
        for body in self._frames.trades(symbol, trades):
            self._push(f"trades@{symbol}", body)

    def _tell_candles(self, symbol: str, at_s: int) -> None:
        for word, width_s in RESOLUTIONS.items():
            stream = f"candle@{symbol}:{word}"
            if self._listeners.get(stream):
                market_id = self._listing.market_id(symbol)
                bar = candle(self._listing.tapes[symbol], at_s, width_s)
                if bar is not None:
                    self._push(stream, {"res": word, "mid": market_id} | bar)

    def _push(self, stream: str, body: dict[str, Any], due_ns: int = 0) -> None:
        listeners = self._listeners.get(stream)
        if not listeners:
            return
        frame = Frame(stream=stream, body=body, raw=numbers.encode(body), due_ns=due_ns)
        for push in tuple(listeners):
            push(frame)
