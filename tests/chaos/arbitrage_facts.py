"""All that is known of one set at its end, and within what time it has to be in order again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from desk.arbitrage_ports import StandingClaim
from desk.arbitrage_records import ArbitrageTrade, TradeKey
from desk.orders import Fill
from desk.records import LedgerFacts
from desk.units import NS_PER_S
from quoting.arbitrage.report import SetKind
from tests.chaos.arbitrage_log import Leg, SetLog, Standing, Taken, longest_above, standings
from workflows.arbitrage_messages import ArbitrageStatus

STATED_S: Final = 45.0
"""However a trade is struck, its set is back under the cap within this time, also where twenty sets
lose their workers at once on two shared cores. Only the time in which nobody at all could have
hedged is not counted: no worker lives; the venue refuses every way out; PostgreSQL is away, so that
nobody knows what is owed; or Temporal is away while the worker that had the trade is dead, so that
nobody can be given it."""
ON_ITS_WAY_NS: Final = NS_PER_S // 2
"""What was on the wire when a kill was told may be taken this much later."""
CAP: Final = Decimal(1)
"""Net exposure of a set that is no hurry, quote currency. Where the venue's least size may leave
more, that is the cap: a lot less than it of each leg, and all legs of an event cost 1 at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A kill that covered the set between two times, unix nanoseconds."""

    from_ns: int
    until_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Late:
    """An order for a market that was on its way between two times, unix nanoseconds."""

    symbol: str
    sent_ns: int
    arrived_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SetFacts:
    """All that is known of a set at its end.

    `history` are fills as the venue tells them to us, `booked` as the ledger has them. `seen` are
    claims as they stood while trades ran, `claims` those that stand at the end. `late` orders were
    sent long before they arrived.
    """

    name: str
    kind: SetKind
    legs: Sequence[Leg]
    log: SetLog
    booked: Mapping[str, Sequence[Fill]]
    history: Mapping[str, Sequence[Fill]]
    folds: Mapping[str, LedgerFacts]
    trades: Sequence[ArbitrageTrade]
    claims: Sequence[StandingClaim]
    seen: Mapping[TradeKey, StandingClaim]
    status: ArbitrageStatus
    until_ns: int
    kills: Sequence[Told] = ()
    excused: Sequence[tuple[int, int]] = ()
    late: Sequence[Late] = ()

    def sent_ns(self, order: Taken) -> int:
        """When an order went out, at the latest."""
        for one in self.late:
            arrives = 0 <= order.at_ns - one.arrived_ns <= ON_ITS_WAY_NS
            if one.symbol == order.symbol and arrives:
                return one.sent_ns
        return order.at_ns

    @property
    def cap(self) -> Decimal:
        """Net exposure that it may keep, quote currency."""
        return max(CAP, *(Decimal(leg.least - 1) for leg in self.legs))

    @property
    def standings(self) -> list[Standing]:
        """How far the legs were apart, over time."""
        return standings(self.log, self.kind, self.legs, self.trades)

    @property
    def longest_s(self) -> float:
        """Longest stretch above the cap, seconds; what is excused is not counted."""
        return longest_above(self.standings, self.cap, self.until_ns, self.excused)
