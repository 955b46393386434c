"""Funding, deposits, withdrawals and transfers as the venue lists them; each keeps the venue's id.

The rule: a payment whose sign or end is in doubt is not told. Money out counts once it has ended.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Protocol, TypeVar

import msgspec
import structlog

from desk.errors import OutOfReach
from desk.payments import Payment, PaymentKind
from venues.x10.config import VENUE, X10Config
from venues.x10.reads import Params, Reads, readable
from venues.x10.trades import whole_since_ms
from venues.x10.wire import Reply, side_of

_LONGEST_HISTORY = 10_000
"""The venue lists no more rows than this (section 4.1)."""
_COLLATERAL = 1
"""The venue's number of USD, which accounts are kept in."""
_ENDED = frozenset({"COMPLETED", "READY_FOR_CLAIM"})
_INTO = frozenset({"DEPOSIT", "CLAIM"})


class _Wire(msgspec.Struct, frozen=True, rename="camel"):
    """Field names on the wire are camelCase; fields not listed are ignored."""


class WireFunding(_Wire, frozen=True):
    """One hourly payment on one position."""

    id: int
    market: str
    side: str
    funding_fee: str
    paid_time: int
    funding_rate: str = "0"

    @property
    def at_ms(self) -> int:
        """Venue time of the payment."""
        return self.paid_time

    def amount(self, *, received: bool) -> Decimal:
        """What the account received; ValueError when its sign contradicts side and rate.

        `received`: a positive figure is money received. Longs pay at a positive rate (section 18).
        """
        told = number(self.funding_fee) if received else -number(self.funding_fee)
        if told * side_of(self.side).sign * number(self.funding_rate) > 0:
            raise ValueError(
                f"funding {self.id}: a {self.side} at rate {self.funding_rate} cannot have "
                f"{'received' if told > 0 else 'paid'} {abs(told)}; if the venue counts the other "
                f"way, set funding.fee_is to {'paid' if received else 'received'}"
            )
        return told


class WireOperation(_Wire, frozen=True):
    """Money in or out; only a transfer is known to carry a sign of its own."""

    id: str
    type: str
    status: str
    amount: str
    time: int
    asset: int = _COLLATERAL

    @property
    def at_ms(self) -> int:
        """Venue time of the operation."""
        return self.time

    @property
    def received(self) -> Decimal:
        """What the account received, negative when it gave."""
        told = number(self.amount)
        if "WITHDRAWAL" in self.type:
            return -abs(told)
        return abs(told) if self.type in _INTO else told


class _Row(Protocol):
    @property
    def at_ms(self) -> int: ...


R = TypeVar("R", bound=_Row)
decode_funding = msgspec.json.Decoder(Reply[list[WireFunding]]).decode
decode_operations = msgspec.json.Decoder(Reply[list[WireOperation]]).decode


class Payments:
    """Reads both histories of one account. Raises Refused, NotSent or Unresolved.

    A transfer that is pending is not told: who asks again later has to reach back to its time.
    """

    def __init__(self, *, config: X10Config, reads: Reads, account: str) -> None:
        self._received = config.funding_fee_is == "received"
        self._page = config.trades_page
        self._reads = reads
        self._account = account
        self._log = structlog.get_logger(__name__)

    async def since(self, since_ms: int, kind: PaymentKind | None = None) -> list[Payment]:
        """Payments of a kind, or of both, since a venue time, oldest first."""
        paid: list[WireFunding] = []
        moved: list[WireOperation] = []
        if kind is not PaymentKind.TRANSFER:
            paid = await self._rows("/user/funding/history", decode_funding, since_ms)
        if kind is not PaymentKind.FUNDING:
            moved = await self._rows("/user/assetOperations", decode_operations, since_ms)
        found = readable("payments", lambda _: self._read(paid, moved, since_ms), b"")
        return sorted(found.values(), key=lambda one: (one.paid_at_ms, one.payment_id))

    def _read(
        self, paid: Sequence[WireFunding], moved: Sequence[WireOperation], since_ms: int
    ) -> dict[str, Payment]:
        """By payment id: a page may repeat what a new row pushed on from the page before."""
        fundings = (self._funding(one) for one in paid if one.at_ms >= since_ms)
        transfers = (
            self._transfer(one) for one in moved if one.at_ms >= since_ms and self._counts(one)
        )
        return {one.payment_id: one for one in (*fundings, *transfers)}

    def _funding(self, row: WireFunding) -> Payment:
        return Payment(
            venue=VENUE,
            account=self._account,
            payment_id=f"funding-{row.id}",
            kind=PaymentKind.FUNDING,
            amount=row.amount(received=self._received),
            paid_at_ms=row.paid_time,
            symbol=row.market,
        )

    def _transfer(self, row: WireOperation) -> Payment:
        return Payment(
            venue=VENUE,
            account=self._account,
            payment_id=f"transfer-{row.id}",
            kind=PaymentKind.TRANSFER,
            amount=row.received,
            paid_at_ms=row.time,
        )

    def _counts(self, row: WireOperation) -> bool:
        if row.asset != _COLLATERAL:
            self._log.warning("x10.transfer_of_another_asset", asset=row.asset, operation=row.id)
            return False
        return row.status in _ENDED

    async def _rows(
        self, path: str, decode: Callable[[bytes], Reply[list[R]]], since_ms: int
    ) -> list[R]:
        """All rows since a time, newest first, paged by the last id of the page before."""
        found: list[R] = []
        params: Params = {"startTime": max(0, since_ms), "limit": self._page}
        cursor: int | None = None
        while True:
            asked = params if cursor is None else {**params, "cursor": cursor}
            page = await self._reads.get(path, decode, asked)
            found += page.data
            last = None if page.pagination is None else page.pagination.cursor
            if not page.data or last is None or last == cursor:
                return found
            if min(one.at_ms for one in page.data) < since_ms:
                return found
            if len(found) >= _LONGEST_HISTORY:
                raise OutOfReach(
                    f"{path}: the venue's history ends before the time asked for",
                    whole_since_ms([one.at_ms for one in found]),
                )
            cursor = last


def number(text: str) -> Decimal:
    """A finite decimal; ValueError otherwise."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite():
        raise ValueError(f"{text!r} is not a decimal number")
    return value
