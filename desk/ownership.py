"""Who owns what rests and what is held on an account, and what nobody owns.

The one rule: an order is ours only when its id decodes to the market it rests in; no other order
is ever touched. Where nobody can say who holds a lease, its market's workflow decides alone.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import Final

from desk.identity import MarketId, OrderIdentity
from desk.orders import VenueOrder

STOPPED: Final = "->stopped"
"""How the last step of a market that stood down in good order ends."""

FLATTEN_ABANDONED: Final = "flatten ended: abandoned"
"""Last step of a flatten that a person ended by name; what is left is left on purpose."""

HEDGE_STOPPED: Final = "hedge stopped"
"""Last step of a hedge that was given back in good order; its position stays by design."""

SET_STARTED: Final = "arbitrage started"
"""First step, at each of its legs, of a set's life."""

SET_STOPPED: Final = "arbitrage stopped"
"""Last step, at each of its legs, of a set that ended in good order; complete sets stay held."""


class FindingKind(StrEnum):
    """What the guardian may find; `FOREIGN` is only shown, `BLIND` is that it could not look."""

    ORDERS = "orders"
    EXPOSURE = "exposure"
    LAGGARD = "laggard"
    FOREIGN = "foreign"
    BLIND = "blind"


_LEFT_BY_NAME: Final = frozenset({FLATTEN_ABANDONED, HEDGE_STOPPED, SET_STOPPED})

# A laggard is told when it lasts, orders of others never.
_AT_ONCE: Final = frozenset({FindingKind.ORDERS, FindingKind.EXPOSURE, FindingKind.BLIND})


@dataclass(frozen=True, slots=True, kw_only=True)
class Resting:
    """Orders of one market as the venue lists them: ours, and how many are somebody else's."""

    ours: tuple[VenueOrder, ...] = ()
    foreign: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BookedExposure:
    """What the ledger says of one market: signed base units, and how its last life ended.

    `last_step` is the newest step of its life as recorded, "" when there is none. `hedges` is the
    market whose inventory is hedged here, None when it is no hedge. `arbitrage` is the workflow of
    the set that has it as a leg, "" when it is none.
    """

    market: MarketId
    quantity: Decimal
    last_step: str = ""
    hedges: MarketId | None = None
    arbitrage: str = ""

    @property
    def kept(self) -> bool:
        """Whether the position was left in good order, by somebody's decision."""
        return self.last_step.endswith(STOPPED) or self.last_step in _LEFT_BY_NAME


@dataclass(frozen=True, slots=True, kw_only=True)
class Ownership:
    """What is known of one market at one moment.

    `lease` names its holder: "" nobody, None when nobody could be asked. `workflow` is the id of
    the running workflow that owns it, "" none. `held` are the venue's signed base units, None when
    they were not read; then exposure is not judged.
    """

    market: MarketId
    ours: int = 0
    foreign: int = 0
    lease: str | None = ""
    workflow: str = ""
    held: Decimal | None = None
    booked: BookedExposure | None = None

    @property
    def owned(self) -> bool:
        """Whether somebody answers for this market."""
        return bool(self.lease or self.workflow)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that should not be, from when it was first seen until it is seen no more.

    `told` is whether a person was told. `held` are base units of an exposure, else zero. `market`
    is None for what concerns the whole account.
    """

    kind: FindingKind
    market: MarketId | None
    text: str
    since_ms: int
    told: bool = False
    held: Decimal = Decimal(0)

    @property
    def key(self) -> tuple[FindingKind, MarketId | None]:
        """What makes it the same finding at the next look."""
        return self.kind, self.market


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """The findings that stand now, and of these what to tell: what began, and what is over."""

    standing: tuple[Finding, ...]
    begun: tuple[Finding, ...]
    over: tuple[Finding, ...]

    @property
    def to_flatten(self) -> tuple[Finding, ...]:
        """Positions that are held now, were not told before, and that a policy may trade away."""
        return tuple(
            finding
            for finding in self.standing
            if finding.kind is FindingKind.EXPOSURE and finding.held and not finding.told
        )

    def after_telling(self, *, heard: bool) -> tuple[Finding, ...]:
        """What the next look has to know; what was not heard is told again then."""
        if not heard:
            return self.standing + self.over
        begun = {finding.key for finding in self.begun}
        return tuple(
            replace(finding, told=True) if finding.key in begun else finding
            for finding in self.standing
        )


def sort_orders(
    venue: str, account: str, orders: Iterable[VenueOrder]
) -> Mapping[MarketId, Resting]:
    """Orders of one account by market, ours apart from those of others."""
    found: dict[MarketId, Resting] = {}
    for order in orders:
        market = MarketId(venue, account, order.symbol)
        known = found.get(market, Resting())
        found[market] = (
            replace(known, ours=(*known.ours, order))
            if is_ours(market, order)
            else replace(known, foreign=known.foreign + 1)
        )
    return found


def is_ours(market: MarketId, order: VenueOrder) -> bool:
    """Whether an order carries an id that this market's owner made."""
    identity = OrderIdentity.decode(order.client_order_id or "")
    return identity is not None and identity.tag == market.tag


def all_foreign(resting: Mapping[MarketId, Resting]) -> Mapping[MarketId, Resting]:
    """The same orders where none can be ours, whatever their ids say."""
    return {
        market: Resting(foreign=seen.foreign + len(seen.ours)) for market, seen in resting.items()
    }


def judge(seen: Ownership, now_ms: int) -> tuple[Finding, ...]:
    """What is wrong with one market; empty when all is in order."""
    found = []
    if seen.foreign:
        found.append((FindingKind.FOREIGN, f"{seen.foreign} orders here are not ours"))
    if not seen.owned and seen.ours:
        found.append((FindingKind.ORDERS, f"{seen.ours} orders of ours rest and nobody owns them"))
    if seen.workflow and seen.lease == "" and seen.ours:
        found.append(
            (
                FindingKind.LAGGARD,
                f"{seen.ours} orders rest and {seen.workflow} runs, but no session holds the lease",
            )
        )
    if not seen.owned and (sentence := exposure_sentence(seen.held, seen.booked)):
        found.append((FindingKind.EXPOSURE, sentence))
    return tuple(
        Finding(
            kind=kind,
            market=seen.market,
            text=text,
            since_ms=now_ms,
            held=(seen.held or Decimal(0)) if kind is FindingKind.EXPOSURE else Decimal(0),
        )
        for kind, text in found
    )


def exposure_sentence(held: Decimal | None, booked: BookedExposure | None) -> str:
    """Why a position that nobody owns is a matter for a person; empty when it is known or nil."""
    if held is None or booked is None:
        return ""
    if held != booked.quantity:
        return f"the venue holds {held:f} and our books say {booked.quantity:f}; nobody owns it"
    if held == 0 or booked.kept:
        return ""
    last = f"its last step was '{booked.last_step}'" if booked.last_step else "it has no last step"
    return f"{held:f} is held and nobody owns it; {last}, not a stand-down"


def follow(
    before: Sequence[Finding],
    seen: Sequence[Finding],
    now_ms: int,
    *,
    judged: Collection[FindingKind],
    laggard_after_ms: int,
) -> Followed:
    """Compare two looks. Findings of kinds that were not judged this time stay as they were."""
    known = {finding.key: finding for finding in before}
    standing = [finding for finding in before if finding.kind not in judged]
    for finding in seen:
        earlier = known.get(finding.key, finding)
        standing.append(replace(finding, since_ms=earlier.since_ms, told=earlier.told))
    now = {finding.key for finding in standing}
    gone = [finding for finding in before if finding.key not in now]
    # What is over before anybody could be told of it is told all the same, and that it is over.
    missed = [finding for finding in gone if not finding.told and finding.kind in _AT_ONCE]
    news = [finding for finding in standing if _is_news(finding, now_ms, laggard_after_ms)]
    return Followed(
        standing=tuple(standing),
        begun=(*news, *missed),
        over=tuple(finding for finding in gone if finding.told or finding in missed),
    )


def _is_news(finding: Finding, now_ms: int, laggard_after_ms: int) -> bool:
    if finding.told:
        return False
    lasts = now_ms - finding.since_ms >= laggard_after_ms
    return finding.kind in _AT_ONCE or (finding.kind is FindingKind.LAGGARD and lasts)
