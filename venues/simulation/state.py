"""Everything the engine knows, and the small steps every larger step is made of.

Money moves only here and in funding, settlement and transfers: what one side gets another pays.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from desk.orders import Liquidity
from desk.units import NS_PER_MS, Lots, Side, Ticks
from venues.simulation.accounts import ZERO, Account, Holding
from venues.simulation.book import LiveOrder
from venues.simulation.events import (
    BookChanged,
    CancelReason,
    OrderCancelled,
    PositionChanged,
    Trade,
)
from venues.simulation.log import EventLog
from venues.simulation.market import Market
from venues.simulation.rules import Backing, EngineRules
from venues.simulation.views import AccountTrade, PublicTrade


@dataclass(slots=True, kw_only=True, eq=False)
class State:
    """Markets, accounts, the house's money and the log."""

    now_ns: Callable[[], int]
    rules: EngineRules
    log: EventLog
    insurance: Decimal
    markets: dict[str, Market] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)
    fees: Decimal = Decimal(0)
    asset_fees: dict[str, Decimal] = field(default_factory=dict)
    orders_made: int = 0
    trades_made: int = 0
    payments_made: int = 0
    touched: dict[str, None] = field(default_factory=dict)

    def new_order_id(self) -> str:
        """Next order id."""
        self.orders_made += 1
        return f"o{self.orders_made}"

    def new_trade_id(self) -> str:
        """Next trade id."""
        self.trades_made += 1
        return f"t{self.trades_made}"

    def new_payment(self) -> int:
        """Next payment number."""
        self.payments_made += 1
        return self.payments_made

    def touch(self, market: Market) -> None:
        """Note that a market's book changed."""
        market.book.sequence += 1
        self.touched[market.symbol] = None

    def finish(self) -> None:
        """End a call: tell of changed books, then deliver everything."""
        if self.touched:
            now = self.now_ns()
            for symbol in self.touched:
                sequence = self.markets[symbol].book.sequence
                self.log.announce(BookChanged(symbol=symbol, book_sequence=sequence, at_ns=now))
            self.touched.clear()
        self.log.deliver()

    def rest(self, market: Market, order: LiveOrder, price: Ticks) -> None:
        """Put what is left of an order into the book."""
        market.book.own(order.side).add(order, price)
        self.accounts[order.account].enter(order)
        self.touch(market)

    def withdraw(
        self, market: Market, order: LiveOrder, reason: CancelReason, lots: Lots | None = None
    ) -> None:
        """Take lots (all: None) of a resting order out of the book."""
        gone = order.remaining if lots is None else lots
        market.book.own(order.side).reduce(order, gone)
        account = self.accounts[order.account]
        account.offered(order, -gone)
        self.touch(market)
        self.tell_cancelled(order, reason, gone)

    def tell_cancelled(self, order: LiveOrder, reason: CancelReason, lots: Lots) -> None:
        """Record that lots of an order went unfilled."""
        if self.accounts[order.account].house:
            return
        self.log.record(
            OrderCancelled(
                sequence=self.log.next_sequence(),
                at_ns=self.now_ns(),
                account=order.account,
                symbol=order.symbol,
                order_id=order.order_id,
                client_order_id=order.client_order_id,
                reason=reason,
                lots=lots,
                remaining=order.remaining,
            )
        )

    def trade(self, market: Market, maker: LiveOrder, taker: LiveOrder, lots: Lots) -> None:
        """Execute lots at the resting order's price: book, money, positions, records."""
        if maker.price is None:
            raise ValueError(f"resting order {maker.order_id} has no price")
        price, now = maker.price, self.now_ns()
        market.book.own(maker.side).reduce(maker, lots)
        self.accounts[maker.account].offered(maker, -lots)
        taker.remaining -= lots
        self.touch(market)
        trade_id = self.new_trade_id()
        execution = PublicTrade(
            trade_id=trade_id,
            symbol=market.symbol,
            price=price,
            lots=lots,
            aggressor=taker.side,
            at_ms=now // NS_PER_MS,
        )
        market.trades.append(execution)
        maker_fee = self._fill(market, maker, execution, maker=True)
        taker_fee = self._fill(market, taker, execution, maker=False)
        among_crowd = self.accounts[maker.account].house and self.accounts[taker.account].house
        tell = self.log.announce if among_crowd else self.log.record
        tell(
            Trade(
                sequence=self.log.next_sequence(),
                at_ns=now,
                symbol=market.symbol,
                trade_id=trade_id,
                price=price,
                lots=lots,
                aggressor=taker.side,
                maker=maker.account,
                maker_order_id=maker.order_id,
                maker_client_order_id=maker.client_order_id,
                maker_trade_id=f"{trade_id}m",
                maker_fee=maker_fee,
                maker_remaining=maker.remaining,
                taker=taker.account,
                taker_order_id=taker.order_id,
                taker_client_order_id=taker.client_order_id,
                taker_trade_id=f"{trade_id}t",
                taker_fee=taker_fee,
                taker_remaining=taker.remaining,
            )
        )
        for order in (maker, taker):
            account = self.accounts[order.account]
            self.position_moved(market, account, account.holdings[market.symbol])

    def _fill(
        self, market: Market, order: LiveOrder, execution: PublicTrade, *, maker: bool
    ) -> Decimal:
        """Book one side of a trade; returns its fee."""
        price, lots = execution.price, execution.lots
        account = self.accounts[order.account]
        fee = market.instrument.fee(price, lots, maker=maker)
        order.filled += lots
        order.cost += price * lots
        self.exchange(market, account, order.side, price, lots, fee=fee)
        if not account.house:
            account.trades.append(
                AccountTrade(
                    trade_id=f"{execution.trade_id}{'m' if maker else 't'}",
                    account=account.name,
                    symbol=market.symbol,
                    order_id=order.order_id,
                    client_order_id=order.client_order_id,
                    tag=order.tag,
                    side=order.side,
                    price=price,
                    lots=lots,
                    liquidity=Liquidity.MAKER if maker else Liquidity.TAKER,
                    fee=fee,
                    at_ms=execution.at_ms,
                )
            )
        return fee

    def exchange(
        self,
        market: Market,
        account: Account,
        side: Side,
        price: Ticks,
        lots: Lots,
        *,
        fee: Decimal = ZERO,
    ) -> None:
        """Move one side's lots and money: its collateral, or the two currencies it swaps."""
        instrument = market.instrument
        holding = account.holding(instrument)
        gain = holding.apply(side, price, lots, self.now_ns() // NS_PER_MS)
        holding.fees += fee
        if market.rules.backing is not Backing.OWNED:
            account.credit(gain - fee)
            self.fees += fee
            return
        worth = market.unit * price * lots
        account.own(instrument.base, instrument.lot_size * lots * side.sign)
        account.own(instrument.quote, -worth * side.sign - fee)
        self.asset_fees[instrument.quote] = self.asset_fees.get(instrument.quote, ZERO) + fee

    def position_moved(self, market: Market, account: Account, holding: Holding) -> None:
        """Shrink reduce-only orders that became too large, and tell of the new position."""
        self.trim_reducers(market, holding)
        if not account.house:
            self.tell_position(market, holding)

    def trim_reducers(self, market: Market, holding: Holding) -> None:
        """Shrink reduce-only orders to what they may still trade."""
        for order_id in tuple(holding.reduce_only):
            order = holding.orders[order_id]
            excess = order.remaining - holding.reducible(order.side)
            if excess > 0:
                self.withdraw(market, order, CancelReason.REDUCE_ONLY, excess)

    def tell_position(self, market: Market, holding: Holding) -> None:
        """Record an account's position."""
        entry = holding.entry_ticks()
        self.log.record(
            PositionChanged(
                sequence=self.log.next_sequence(),
                at_ns=self.now_ns(),
                account=holding.account,
                symbol=holding.symbol,
                position_id=holding.position_id,
                lots=holding.lots,
                entry_price=None if entry is None else entry * market.instrument.tick_size,
                realized_pnl=holding.realized,
            )
        )
