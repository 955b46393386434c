"""A session that never began gives its lease back only when nothing of the market rests."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from activities.market import MarketActivities
from activities.messages import SessionInput, SessionResult
from desk.errors import NotSent
from desk.instrument import Instrument
from desk.lifecycle import SessionReason
from desk.orders import VenueOrder
from desk.ports import AccountPort, Clock, Venue
from desk.quoting.parameters import QuoteParameters
from desk.risk.limits import RiskLimits
from tests.activities.conftest import MARKET, Desk, OpenDesk

SESSION = SessionInput(
    market=MARKET,
    life_epoch=1,
    parameters=QuoteParameters(),
    limits=RiskLimits(),
    run_id="run",
    window_s=1,
    lease_ttl_ms=60_000,
)
_LISTINGS_OF_ONE_CLEAR = 3


@dataclass(slots=True)
class Hurried:
    """A clock a hundred times as fast, so that nobody waits half a minute for a giving up."""

    clock: Clock

    def monotonic_ns(self) -> int:
        return self.clock.monotonic_ns() * 100

    def wall_ns(self) -> int:
        return self.clock.wall_ns()


@dataclass(slots=True)
class Unlisted:
    """An account whose orders can be listed for one clearing, and then no more."""

    real: AccountPort
    listed: int = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self.real, name)

    async def open_orders(self, instrument: Instrument | None) -> Sequence[VenueOrder]:
        self.listed += 1
        if self.listed > _LISTINGS_OF_ONE_CLEAR:
            raise NotSent("the list is out of order")
        return await self.real.open_orders(instrument)


@dataclass(slots=True)
class OneVenue:
    """Directory and venue in one: the real one, but for its account."""

    real: Venue
    account: Unlisted = field(init=False)

    def __post_init__(self) -> None:
        self.account = Unlisted(self.real.account)

    def __getattr__(self, name: str) -> object:
        return getattr(self.real, name)

    async def venue(self, name: str, account: str) -> "OneVenue":
        del name, account
        return self


async def refused(desk: Desk) -> SessionResult:
    venue = OneVenue(await desk.ports.venues.venue(MARKET.venue, MARKET.account))
    ports = replace(desk.ports, venues=venue, clock=Hurried(desk.ports.clock))  # type: ignore[arg-type]
    refusing = replace(desk, ports=ports, activities=MarketActivities(ports))
    return await refusing.run(refusing.activities.quote_session, SESSION)


async def test_an_opening_that_could_not_clear_lets_the_lease_run_out(
    open_desk: OpenDesk,
) -> None:
    """The guardian watches leases that ran out; one given back would look settled."""
    async with open_desk() as desk:
        result = await refused(desk)
        assert result.reason is SessionReason.NOT_CLEARED
        assert await desk.ports.holders.holders([MARKET]) != {}


async def test_a_session_that_cleared_gives_it_back(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        result = await desk.run(desk.activities.quote_session, SESSION)
        assert result.cleared
        assert await desk.ports.holders.holders([MARKET]) == {}
