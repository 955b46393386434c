"""What arbitrage needs from the world: claims that exclude each other, and the durable record.

Adapters implement these; only the wiring knows both. Everything here raises `Unavailable`. After
that from `claim`, nobody knows whether it was granted: do not fire, and release the trade.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from desk.arbitrage_records import (
    ArbitrageTrade,
    ClaimRecord,
    HeldCapital,
    LegProgress,
    SetEpoch,
    SetLeg,
    SetTotals,
    TradeFired,
    TradeKey,
    TradeStage,
)
from desk.identity import MarketId
from desk.units import Lots, Side


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedSize:
    """`lots` of the `shown` lots that our `side` could take in a market within its limit.

    What is shown is everybody's: claims of all accounts of a venue count against it together.
    """

    market: MarketId
    side: Side
    shown: Lots
    lots: Lots


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedRequests:
    """Order requests wanted of a shared rate bucket, by the key its adapter draws with.

    That is `venue/account` at OCX and 01.xyz, and `x10/RATE_KEY` at X10.
    """

    bucket: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What one trade needs before it fires. Sizes are given up `ttl_ms` after the last word."""

    key: TradeKey
    owner: str
    sizes: tuple[ClaimedSize, ...]
    capital: tuple[HeldCapital, ...]
    requests: tuple[ClaimedRequests, ...] = ()
    ttl_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnRequests:
    """Tokens the bucket gave, as `RateShare` names them; whoever holds them gives unused ones back.

    Nothing else does: a claim that ends does not know which of them were sent.
    """

    bucket: str
    count: int
    stamp: int
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimGranted:
    """All of it is the claimer's. It may fire until `ttl_ms` after it asked, by its own clock."""

    requests: tuple[DrawnRequests, ...]


class ClaimRefusal(StrEnum):
    """What a claim was refused for, the first of these that applies."""

    NOT_ARMED = "not_armed"
    FENCED = "fenced"
    KILLED = "killed"
    OPEN_TRADE = "open_trade"
    SIZE = "size"
    CAPITAL = "capital"
    REQUESTS = "requests"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRefused:
    """Nothing was taken; `text` names in one sentence what was short, and who holds it."""

    reason: ClaimRefusal
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CapitalCap:
    """The most that trades may hold together, in one quote currency.

    Scope: `fleet`, `account:V/A` or `set:NAME`. A scope without a cap grants nothing.
    """

    scope: str
    quote: str
    amount: Decimal


class ClaimStage(StrEnum):
    """What a claim still holds besides its capital.

    Alive: its sizes, and its set. Lapsed: its set, which takes no other trade until somebody
    settles or releases this one by the record. Held: nothing, it waits for its payout.
    """

    ALIVE = "alive"
    LAPSED = "lapsed"
    HELD = "held"


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingClaim:
    """What is claimed now. `left_ms` is how long sizes are kept, 0 when they are not."""

    key: TradeKey
    owner: str
    stage: ClaimStage
    left_ms: int
    sizes: tuple[ClaimedSize, ...]
    capital: tuple[HeldCapital, ...]


class ClaimPort(Protocol):
    """Size, capital and requests of all sets, taken so that nothing is used twice.

    Absence of knowledge means no: while not armed, nothing is granted.
    """

    async def claim(self, claim: Claim) -> ClaimGranted | ClaimRefused:
        """Take all of it or nothing, once for each trade. ValueError for what is no claim."""

    async def keep(self, claim: Claim) -> bool:
        """Keep the sizes for another `ttl_ms`; False when they are gone, or a higher epoch is seen.

        A claim that was forgotten has its capital held again, for its trade may have fired.
        """

    async def settle(self, key: TradeKey, owner: str, locked: Sequence[HeldCapital]) -> bool:
        """Give up set and sizes, and hold `locked` alone; False when it was released before.

        Put it on record first. May be repeated as the locked capital shrinks.
        """

    async def release(self, key: TradeKey) -> bool:
        """Give up everything: it never fired, or was paid out. False when nothing was held."""

    async def fence(self, set_name: str, epoch: int) -> bool:
        """Shut lower epochs of the set out from now on; False when a higher one was seen."""

    async def armed(self) -> bool:
        """Whether it was armed since the server started, and not emptied after that."""

    async def memory(self) -> str:
        """The name of what is remembered now; ask for it before reading the record."""

    async def rearm(self, record: ClaimRecord, caps: Sequence[CapitalCap], memory: str) -> bool:
        """Take over what the durable record says, and these caps in place of all earlier ones.

        False, and nothing changes, when what was remembered then is forgotten: read again. Claims
        the record does not know yet stay. Newly armed, it grants nothing for as long as a claim may
        live, in which everybody alive keeps what it has.
        """

    async def open(self) -> Sequence[StandingClaim]:
        """Everything that is claimed or held now, by set, epoch and number."""


class ArbitrageBook(Protocol):
    """Sets and trades on record. Where a stage is answered, it is the one on record now."""

    async def open_set(
        self, name: str, kind: str, legs: Sequence[SetLeg], owner: str, run_id: str, *, beyond: int
    ) -> int:
        """Next epoch of a set, above `beyond` as well, recorded with its legs and who opened it.

        Call it once the legs' epochs are known, and before anything is sent under them.
        """

    async def earlier(
        self, name: str, *, below: int, since_ms: int, also: Sequence[int] = ()
    ) -> Sequence[SetEpoch]:
        """Epochs of a set below one, oldest first: who may have sent something, and as what.

        Those of the newest thousand that were opened since a unix time, and `also` whatever age.
        """

    async def opened(self, fired: TradeFired) -> TradeStage:
        """Record a trade that the background writer may or may not have recorded.

        One whose orders are on record as another trade of its epoch is that trade: nothing is
        recorded, and the other's stage is answered.
        """

    async def progress(
        self, key: TradeKey, number: int, legs: Sequence[LegProgress]
    ) -> TradeStage | None:
        """Note look `number` at what is owed; an older look, or one too late, changes nothing."""

    async def balanced(
        self,
        key: TradeKey,
        *,
        locked: Sequence[HeldCapital],
        payout_expected: Decimal,
        edge: Decimal,
        by: str,
        reason: str,
        fills: int = 0,
    ) -> TradeStage | None:
        """No leg is over any more; `locked` waits for the payout. None for an unknown trade.

        `fills` is how many booked fills say so, here and below.
        """

    async def retold(
        self,
        key: TradeKey,
        *,
        locked: Sequence[HeldCapital],
        payout: Decimal,
        edge: Decimal,
        fills: int,
    ) -> TradeStage | None:
        """What a trade that is not under way came to by now: fills were booked since.

        `payout` so far, and `locked` from now on, unless it is settled. What fewer fills than on
        record say changes nothing.
        """

    async def hand_over(self, key: TradeKey, by: str, reason: str) -> TradeStage | None:
        """A person takes it over, by name; noted even where it settled. ValueError without one."""

    async def settled(
        self,
        key: TradeKey,
        *,
        payout: Decimal,
        edge: Decimal,
        by: str,
        reason: str,
        fills: int = 0,
    ) -> TradeStage | None:
        """It is over: nothing is locked, and it brought `payout` and `edge` in all."""

    async def open_for(self, set_name: str) -> Sequence[ArbitrageTrade]:
        """Trades of a set that are under way, oldest first; what a person has is not."""

    async def unsettled(self, set_name: str) -> Sequence[ArbitrageTrade]:
        """Trades of a set that did not settle, oldest first."""

    async def page(
        self, set_name: str, after: TradeKey | None, limit: int
    ) -> Sequence[ArbitrageTrade]:
        """Trades of a set in the order of their keys, those after one of them."""

    async def totals(self, set_name: str) -> SetTotals:
        """What the trades of a set have locked and were paid."""

    async def locked(self) -> Sequence[HeldCapital]:
        """Capital of all trades that did not settle, by venue, account and quote currency."""

    async def standing(self) -> ClaimRecord:
        """What claims are re-armed from."""

    async def recent(self, limit: int, set_name: str | None = None) -> Sequence[ArbitrageTrade]:
        """Trades of one set by their keys, or of all by their time, newest first."""


class WaiverBook(Protocol):
    """Lots of outcome sets that a person took over by name, on record beyond any workflow."""

    async def waive(self, set_name: str, lots: Mapping[MarketId, Lots], *, epoch: int) -> None:
        """Put a decision on record, made after the run of `epoch`; once, then only shrunk.

        `lots` are all that is waived from then on, signed as the trades that would take them off.
        """

    async def shrink(self, set_name: str, lots: Mapping[MarketId, Lots], *, epoch: int) -> None:
        """Leave at most this of it, by what the run of `epoch` found; it never grows."""

    async def waived(self, set_name: str) -> Mapping[MarketId, Lots]:
        """Signed lots by leg; legs of which nothing was ever waived are not named."""
