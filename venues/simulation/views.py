"""What the engine shows of accounts and markets. Views are snapshots: they never change later."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from desk.orders import Liquidity
from desk.payments import PaymentKind
from desk.units import Lots, Side, Ticks


class Bucket(StrEnum):
    """Where an account's money lies; only PERPS backs orders and positions."""

    WALLET = "wallet"
    PERPS = "perps"
    OPTIONS = "options"
    SPOT = "spot"


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionView:
    """Signed position of one account in one market.

    `position_id` changes each time a position is opened from flat or flips; it is "" before the
    first. Prices are quote currency; `unrealized_pnl` and `mark` are None without a mark.
    `realized_pnl` is over the account's life in this market, before fees and funding.
    """

    position_id: str
    account: str
    symbol: str
    lots: Lots
    entry_price: Decimal | None
    realized_pnl: Decimal
    unrealized_pnl: Decimal | None
    mark: Decimal | None
    fees: Decimal
    funding: Decimal
    updated_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceView:
    """Collateral of one account in quote currency.

    `collateral` is the perps bucket, `equity` adds unrealized PnL at the last mark, `available`
    is equity less initial margin and never below zero. Margins count resting orders.
    """

    account: str
    wallet: Decimal
    collateral: Decimal
    options: Decimal
    spot: Decimal
    equity: Decimal
    available: Decimal
    initial_margin: Decimal
    maintenance_margin: Decimal
    unrealized_pnl: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountTrade:
    """One execution as one account sees it; `trade_id` is unique within the account.

    `fee` is quote currency, negative when a rebate. `at_ms` is wall time.
    """

    trade_id: str
    account: str
    symbol: str
    order_id: str
    client_order_id: str | None
    tag: str | None
    side: Side
    price: Ticks
    lots: Lots
    liquidity: Liquidity
    fee: Decimal
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountPayment:
    """Money an account's perps bucket received (negative: paid) without a trade.

    `number` is unique in the engine and grows. What follows `at_ms` (wall time) is of funding only:
    it was paid at `rate` of notional on `lots` of the position, whose market's mark was `mark`.
    """

    number: int
    account: str
    kind: PaymentKind
    amount: Decimal
    at_ms: int
    symbol: str | None = None
    position_id: str = ""
    rate: Decimal = Decimal(0)
    lots: Lots = 0
    mark: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicTrade:
    """One execution as everybody sees it; `aggressor` is the taker's side."""

    trade_id: str
    symbol: str
    price: Ticks
    lots: Lots
    aggressor: Side
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingView:
    """Funding of one market: the rate that would be paid now, per interval, and when."""

    symbol: str
    rate: Decimal
    last_rate: Decimal | None
    interval_ms: int
    next_at_ms: int
