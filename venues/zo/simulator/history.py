"""What moved an account's money: realized PnL, funding, transfers, liquidations, newest last.

Fed by the engine's events.
"""

from collections import deque
from dataclasses import dataclass
from decimal import Decimal

from venues.simulation.events import (
    Event,
    FundingPaid,
    Liquidated,
    MoneyMoved,
    PositionChanged,
)

_ZERO = Decimal(0)
_KEPT = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PnlChange:
    """One change of an account's realized result; amounts are quote currency."""

    number: int
    at_ns: int
    action_id: int
    price: Decimal
    funding: Decimal
    total: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """Money in (positive) or out, and the collateral after it."""

    moved: MoneyMoved
    action_id: int
    balance: Decimal


class History:
    """Changes by engine account."""

    def __init__(self) -> None:
        self.funding: deque[tuple[FundingPaid, int]] = deque(maxlen=_KEPT)
        self.transfers: deque[Transfer] = deque(maxlen=_KEPT)
        self.liquidations: deque[Liquidated] = deque(maxlen=_KEPT)
        self._changes: dict[str, deque[PnlChange]] = {}
        self._realized: dict[tuple[str, str], Decimal] = {}
        self._totals: dict[str, Decimal] = {}
        self._made = 0

    def take(self, event: Event, action_id: int) -> None:
        """Learn from an event."""
        match event:
            case PositionChanged():
                key = event.account, event.symbol
                gain = event.realized_pnl - self._realized.get(key, _ZERO)
                self._realized[key] = event.realized_pnl
                if gain:
                    self._add(event.account, event.at_ns, action_id, gain, _ZERO)
            case FundingPaid():
                self.funding.append((event, action_id))
                self._add(event.account, event.at_ns, action_id, _ZERO, event.amount)
            case Liquidated():
                self.liquidations.append(event)
            case _:
                pass

    def transferred(self, moved: MoneyMoved, action_id: int, balance: Decimal) -> None:
        """Learn of a deposit or withdrawal."""
        self.transfers.append(Transfer(moved=moved, action_id=action_id, balance=balance))

    def pnl(self, account: str) -> list[PnlChange]:
        """An account's changes, newest first."""
        return list(reversed(self._changes.get(account, ())))

    def _add(
        self, account: str, at_ns: int, action_id: int, price: Decimal, funding: Decimal
    ) -> None:
        self._made += 1
        total = self._totals.get(account, _ZERO) + price + funding
        self._totals[account] = total
        self._changes.setdefault(account, deque(maxlen=_KEPT)).append(
            PnlChange(
                number=self._made,
                at_ns=at_ns,
                action_id=action_id,
                price=price,
                funding=funding,
                total=total,
            )
        )
