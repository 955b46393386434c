"""Hands on a simulated venue's books, the same at every venue: they pull on the engine behind it.

What they tell comes from the engine, never from the adapter.
"""

from dataclasses import dataclass
from decimal import Decimal

from desk.payments import PaymentKind
from desk.units import Lots
from venues.simulation.engine import Engine
from venues.simulation.faults import Fault, FaultKind, FaultPlan
from venues.simulation.hand import CROWD
from venues.simulation.views import AccountPayment


@dataclass(frozen=True, slots=True, kw_only=True)
class Levers:
    """For one account (the simulator's name of it) in one market."""

    engine: Engine
    faults: FaultPlan
    account: str
    symbol: str

    def payments(self) -> list[AccountPayment]:
        """All payments of the account, oldest first."""
        return self.engine.treasury.payments(self.account)

    def pay_funding(self, rate: Decimal) -> Decimal:
        """Pay funding now; what the account received."""
        self.engine.treasury.pay_funding(self.symbol, rate)
        (*_, last) = self.engine.treasury.payments(self.account, kind=PaymentKind.FUNDING)
        return last.amount

    def fees(self) -> Decimal:
        """Fees the account paid in the market less the rebates it got."""
        trades = self.engine.trades(self.account, self.symbol)
        return sum((one.fee for one in trades), Decimal(0))

    def deposit(self, amount: Decimal) -> None:
        """Money from outside."""
        self.engine.treasury.deposit(self.account, amount)

    def withdraw(self, amount: Decimal) -> None:
        """Money to the outside, which must not be refused."""
        assert self.engine.treasury.withdraw(self.account, amount) is None

    def lots(self) -> Lots:
        """The position as the engine has it."""
        return self.engine.position(self.account, self.symbol).lots

    def equity(self) -> Decimal:
        """The account's equity as the engine has it."""
        return self.engine.balance(self.account).equity

    def hold(self, lots: Lots) -> None:
        """Make the position so many lots behind the system's back; no stream is told."""
        self.engine.tampering.set_position(self.account, self.symbol, lots, against=CROWD)

    def set_apart(self, lots: Lots, for_s: float) -> int:
        """Have the account endpoint show so many lots more for a while; the fault's number."""
        return self.faults.add(
            Fault(
                kind=FaultKind.ENDPOINT_DIFFERS,
                account=self.account,
                market=self.symbol,
                lots=lots,
                for_s=for_s,
            )
        )

    def keep_back(self, fills: int) -> None:
        """Have the account stream never tell the next so many fills."""
        self.faults.add(
            Fault(
                kind=FaultKind.FILL_UNTOLD,
                account=self.account,
                market=self.symbol,
                count=fills,
            )
        )
