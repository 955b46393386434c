"""Asks the gate about every batch of a session, with what only accumulates here: rate and funds."""

from collections.abc import Sequence
from dataclasses import replace

from desk.instrument import Instrument
from desk.orders import Batch
from desk.risk.approval import Approved
from desk.risk.gate import Denied, GateContext, GateLimits, review
from desk.risk.limits import RiskLimits
from desk.risk.order_rate import OrderRate
from desk.units import Lots, Ticks
from desk.working import WorkingOrder
from quoting.headroom import Headroom
from quoting.inbox import FundsSeen


class Gatekeeper:
    """The gate of one market's session."""

    def __init__(self, instrument: Instrument, limits: RiskLimits) -> None:
        self._limits = GateLimits.of(instrument, limits)
        self._rate = OrderRate()
        self._funds: FundsSeen | None = None
        self.headroom = Headroom(instrument, limits)

    @property
    def needs_funds(self) -> bool:
        """Whether any limit asks for the account's funds."""
        return self._limits.limits.needs_funds

    def hear(self, funds: FundsSeen, position: Lots) -> None:
        """Take what the venue said of the account while the market's position was this."""
        self._funds = funds
        self.headroom.hear(funds, position)

    def sent(self, batch: Batch, now_ns: int) -> None:
        """An approved batch goes out."""
        self._rate.record(now_ns, len(batch.orders))

    def review(
        self,
        batch: Batch,
        *,
        now_ns: int,
        mid_x2: Ticks,
        book_age_ns: int | None,
        account_age_ns: int | None,
        positions: tuple[Lots, Lots],
        working: Sequence[WorkingOrder],
    ) -> Approved[Batch] | Denied:
        """The gate's answer at this moment.

        `positions` are the venue's word and the sum of our fills. They differ while one of the two
        is late, and then the batch must be harmless from either.
        """
        seen = self._funds
        context = GateContext(
            limits=self._limits,
            mid_x2=mid_x2,
            book_age_ns=book_age_ns,
            account_age_ns=account_age_ns,
            position=positions[0],
            working=working,
            orders_last_minute=self._rate.last_minute(now_ns),
            funds=None if seen is None else seen.funds,
            funds_age_ns=None if seen is None else now_ns - seen.asked_ns,
        )
        verdict = review(batch, context)
        if isinstance(verdict, Denied) or positions[0] == positions[1]:
            return verdict
        return review(batch, replace(context, position=positions[1]))
