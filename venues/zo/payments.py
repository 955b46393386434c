"""Funding, deposits and withdrawals from the account's history lists (zo.md section 2.4).

Ids come from what the venue cannot change later: an action's number, or market and moment.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Protocol, TypeVar

import msgspec
import structlog

from desk.errors import Unresolved
from desk.payments import Payment, PaymentKind
from venues.zo.config import VENUE
from venues.zo.markets import Markets
from venues.zo.payloads import rfc3339, unix_ms
from venues.zo.reads import Reads, readable
from venues.zo.user import User

_MAX_PAGES = 400
_USDC = 0
"""Token of every account's quote currency; deposits of others are no quote currency."""


class _Camel(msgspec.Struct, frozen=True, rename="camel"):
    """Field names on the wire are camelCase; fields not listed are ignored."""


class WireMarketName(msgspec.Struct, frozen=True):
    """How older servers name the market of a row."""

    market_id: int


class WireFunding(_Camel, frozen=True):
    """Funding of one market in one period; `funding_pnl` is what the account received."""

    time: str
    funding_pnl: Decimal
    market_id: int | None = None
    market: WireMarketName | None = None

    @property
    def market_number(self) -> int:
        """The market's id in either spelling; ValueError when the row names none."""
        if self.market_id is not None:
            return self.market_id
        if self.market is None:
            raise ValueError("a funding row names no market")
        return self.market.market_id


class WireDeposit(_Camel, frozen=True):
    """Money in. An action may carry several events of the bridge."""

    time: str
    action_id: int | str
    token_id: int
    amount: Decimal
    event_index: int | str = 0

    @property
    def payment_id(self) -> str:
        """Of this row for ever."""
        return f"deposit-{self.action_id}-{self.event_index}"

    @property
    def received(self) -> Decimal:
        """What the account received."""
        return self.amount


class WireWithdrawal(_Camel, frozen=True):
    """Money out; its fee comes out of the amount, not on top (zo.md section 2.4)."""

    time: str
    action_id: int | str
    token_id: int
    amount: Decimal

    @property
    def payment_id(self) -> str:
        """Of this row for ever."""
        return f"withdrawal-{self.action_id}"

    @property
    def received(self) -> Decimal:
        """What the account received: less than nothing."""
        return -abs(self.amount)


class WireFundings(_Camel, frozen=True):
    """One page, newest first; without `next_start_inclusive` it is the last."""

    items: list[WireFunding]
    next_start_inclusive: int | str | None = None


class WireDeposits(_Camel, frozen=True):
    """One page of deposits."""

    items: list[WireDeposit]
    next_start_inclusive: int | str | None = None


class WireWithdrawals(_Camel, frozen=True):
    """One page of withdrawals."""

    items: list[WireWithdrawal]
    next_start_inclusive: int | str | None = None


T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")


class _Page(Protocol[T_co]):
    @property
    def items(self) -> Sequence[T_co]: ...

    @property
    def next_start_inclusive(self) -> int | str | None: ...


decode_fundings = msgspec.json.Decoder(WireFundings).decode
decode_deposits = msgspec.json.Decoder(WireDeposits).decode
decode_withdrawals = msgspec.json.Decoder(WireWithdrawals).decode


class Payments:
    """Reads the three lists of one account. Raises Refused, NotSent or Unresolved."""

    def __init__(
        self, *, reads: Reads, user: User, markets: Markets, account: str, page: int
    ) -> None:
        self._reads = reads
        self._user = user
        self._markets = markets
        self._account = account
        self._page = page
        self._log = structlog.get_logger(__name__)

    async def since(self, since_ms: int, kind: PaymentKind | None = None) -> list[Payment]:
        """Payments of a kind, or of both, since a venue time, oldest first."""
        await self._markets.load()
        fundings: list[WireFunding] = []
        moved: list[WireDeposit | WireWithdrawal] = []
        if kind is not PaymentKind.TRANSFER:
            fundings = await self._rows("funding", decode_fundings, since_ms)
        if kind is not PaymentKind.FUNDING:
            moved += await self._rows("deposits", decode_deposits, since_ms)
            moved += await self._rows("withdrawals", decode_withdrawals, since_ms)
        found = readable(
            "payments", lambda _: [*self._fundings(fundings), *self._transfers(moved)], b""
        )
        # A page may repeat what a new row pushed on from the page before.
        once = {one.payment_id: one for one in found if one.paid_at_ms >= since_ms}
        return sorted(once.values(), key=lambda one: (one.paid_at_ms, one.payment_id))

    def _fundings(self, rows: Iterable[WireFunding]) -> Iterator[Payment]:
        """A market has one row a moment; were there more, they are told apart by their order."""
        found: dict[tuple[int, int], list[WireFunding]] = defaultdict(list)
        for row in rows:
            same = found[unix_ms(row.time), row.market_number]
            if row not in same:
                same.append(row)
        for (at_ms, market_id), same in found.items():
            for place, row in enumerate(reversed(same)):
                repeated = f"-{place + 1}" if place else ""
                yield Payment(
                    venue=VENUE,
                    account=self._account,
                    payment_id=f"funding-{market_id}-{at_ms}{repeated}",
                    kind=PaymentKind.FUNDING,
                    amount=_finite(row.funding_pnl),
                    paid_at_ms=at_ms,
                    symbol=self._symbol(market_id),
                )

    def _transfers(self, rows: Iterable[WireDeposit | WireWithdrawal]) -> Iterator[Payment]:
        for row in rows:
            if row.token_id != _USDC:
                self._log.warning(
                    "zo.transfer_of_another_token", token=row.token_id, payment=row.payment_id
                )
                continue
            yield Payment(
                venue=VENUE,
                account=self._account,
                payment_id=row.payment_id,
                kind=PaymentKind.TRANSFER,
                amount=_finite(row.received),
                paid_at_ms=unix_ms(row.time),
            )

    def _symbol(self, market_id: int) -> str:
        market = self._markets.catalog.by_id(market_id)
        return str(market_id) if market is None else market.symbol

    async def _rows(
        self, endpoint: str, decode: Callable[[bytes], _Page[T]], since_ms: int
    ) -> list[T]:
        """A page is the last only when it says so, however full it is (zo.md section 2.5)."""
        account_id = await self._user.account_id()
        params: dict[str, str | int] = {
            "since": rfc3339(max(0, since_ms)),
            "pageSize": self._page,
        }
        found: list[T] = []
        for _ in range(_MAX_PAGES):
            page = await self._reads.json(endpoint, decode, account_id, params)
            found += page.items
            if page.next_start_inclusive is None:
                return found
            params = {**params, "startInclusive": page.next_start_inclusive}
        raise Unresolved(f"{endpoint}: more than {_MAX_PAGES} pages")


def _finite(amount: Decimal) -> Decimal:
    if not amount.is_finite():
        raise ValueError(f"amount {amount} is not a number")
    return amount
