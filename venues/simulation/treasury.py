"""Money that moves without a trade: funding, deposits, withdrawals, moves between buckets.

Every such movement of the perps bucket is on record, once and with its sign; what tampering did
and what the insurance fund gave is not.
"""

from decimal import Decimal

from desk.orders import RejectReason
from desk.payments import PaymentKind
from desk.units import NS_PER_MS
from venues.simulation.accounts import Account
from venues.simulation.clockwork import pay_funding
from venues.simulation.events import MoneyMoved
from venues.simulation.margin import standing
from venues.simulation.spot import promised
from venues.simulation.state import State
from venues.simulation.views import AccountPayment, Bucket


class Treasury:
    """Deposits, withdrawals, bucket moves and the payments of accounts, by `engine.treasury`.

    Unknown accounts and markets raise KeyError (a wiring error).
    """

    def __init__(self, state: State) -> None:
        self._state = state

    def payments(
        self, account: str, since_ms: int = 0, kind: PaymentKind | None = None
    ) -> list[AccountPayment]:
        """What the perps bucket received (positive) or paid since a wall time, oldest first.

        Inclusive; of one kind, or of both. Trades and fees are not payments.
        """
        found = []
        for payment in reversed(self._state.accounts[account].payments):
            if payment.at_ms < since_ms:
                break
            if kind in {None, payment.kind}:
                found.append(payment)
        return found[::-1]

    def deposit(self, account: str, amount: Decimal, bucket: Bucket = Bucket.PERPS) -> None:
        """Money from outside; ValueError when it is not above zero."""
        if amount <= 0:
            raise ValueError(f"amount: {amount} is not above zero")
        self._credit(self._state.accounts[account], bucket, amount)
        self._state.finish()

    def withdraw(
        self, account: str, amount: Decimal, bucket: Bucket = Bucket.PERPS
    ) -> RejectReason | None:
        """Money to the outside; the reason when it is refused (INVALID or MARGIN)."""
        owner = self._state.accounts[account]
        if amount <= 0:
            return RejectReason.INVALID
        if amount > self._free(owner, bucket):
            return RejectReason.MARGIN
        self._credit(owner, bucket, -amount)
        self._state.finish()
        return None

    def move(
        self, account: str, source: Bucket, target: Bucket, amount: Decimal
    ) -> RejectReason | None:
        """Move money between buckets; the reason when it is refused (INVALID or MARGIN)."""
        owner = self._state.accounts[account]
        if amount <= 0 or source is target:
            return RejectReason.INVALID
        if amount > self._free(owner, source):
            return RejectReason.MARGIN
        self._credit(owner, source, -amount)
        self._credit(owner, target, amount)
        self._state.finish()
        return None

    def pay_funding(self, symbol: str, rate: Decimal) -> None:
        """Pay funding at this rate now, besides what the clock pays; nothing without a mark."""
        pay_funding(self._state, self._state.markets[symbol], rate)
        self._state.finish()

    def _free(self, owner: Account, bucket: Bucket) -> Decimal:
        free = owner.buckets[bucket]
        if bucket is Bucket.PERPS:
            return min(free, standing(self._state, owner).available)
        if bucket is Bucket.SPOT:
            return free - promised(self._state, owner, owner.cash)
        return free

    def _credit(self, owner: Account, bucket: Bucket, amount: Decimal) -> None:
        state = self._state
        owner.buckets[bucket] += amount
        if bucket is not Bucket.PERPS or owner.house:
            return
        now = state.now_ns()
        payment = AccountPayment(
            number=state.new_payment(),
            account=owner.name,
            kind=PaymentKind.TRANSFER,
            amount=amount,
            at_ms=now // NS_PER_MS,
        )
        owner.payments.append(payment)
        state.log.record(
            MoneyMoved(
                sequence=state.log.next_sequence(),
                at_ns=now,
                account=owner.name,
                payment=payment.number,
                amount=amount,
            )
        )
