"""Panic empties accounts with venue keys alone, and says zero only when it saw zero."""

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.identity import MarketId, OrderIdentity
from desk.units import Side
from flotilla.accounts import accounts_with_credentials
from flotilla.panic import Orders, panic
from flotilla.panic_exit import panic_identity, slice_lots
from flotilla.panic_report import Seen
from tests.flotilla.panic_ground import NAMES, Ground, ground, means, panicked, seen_of
from tests.venues.conformance.harness import Target, Trouble, trouble
from tests.venues.conformance.stage import eventually
from venues.simulation.events import TimerSet
from venues.zo.client_ids import pack, unpack

_TROUBLES = [
    (Trouble.RESPONSE_LOST, Target.CANCELS),
    (Trouble.ERROR_BEFORE, Target.CANCELS),
    (Trouble.RATE_LIMITED, Target.CANCELS),
    (Trouble.RESPONSE_LOST, Target.ORDERS),
    (Trouble.ERROR_AFTER, Target.ORDERS),
    (Trouble.MARGIN_REJECT, Target.ORDERS),
]


@pytest.mark.parametrize("name", NAMES)
async def test_every_order_is_cancelled_and_every_position_closed(name: str) -> None:
    async with ground(name) as place:
        await place.hold()
        await place.quote()
        (seen,) = await panicked(place, flatten=True)
        assert seen.verified, seen
        assert (place.resting(), place.held()) == (0, 0)
        assert min(place.positions()) >= 0, "the exit went past zero"


@pytest.mark.parametrize("name", NAMES)
async def test_without_flatten_the_position_stays_and_is_named(name: str) -> None:
    async with ground(name) as place:
        await place.hold()
        await place.quote()
        held = place.held()
        (seen,) = await panicked(place)
        assert seen.verified, seen
        assert (place.resting(), place.held()) == (0, held)
        assert list(seen.positions) == [place.harness.instrument.symbol]


@pytest.mark.chaos
@pytest.mark.parametrize(("kind", "target"), _TROUBLES)
@pytest.mark.parametrize("name", NAMES)
async def test_trouble_at_the_venue_costs_time_only(
    name: str, kind: Trouble, target: Target
) -> None:
    async with ground(name) as place:
        await place.hold()
        await place.quote()
        await trouble(place.harness, kind, target, count=1)
        (seen,) = await panicked(place, flatten=True)
        assert seen.verified, seen
        assert (place.resting(), place.held()) == (0, 0)
        assert min(place.positions()) >= 0, "the exit went past zero"


async def test_where_no_order_gets_through_the_venue_closes_by_itself() -> None:
    async with ground("ocx") as place:
        await place.hold()
        await trouble(place.harness, Trouble.MARGIN_REJECT, Target.ORDERS, count=100)
        (seen,) = await panicked(place, flatten=True, look_again_s=0.2)
        assert seen.verified, seen
        assert place.held() == 0
        assert min(place.positions()) >= 0, "the close went past zero"


@pytest.mark.parametrize("name", NAMES)
async def test_orders_that_come_back_are_cancelled_again_and_told(name: str) -> None:
    async with ground(name) as place:
        await place.quote()
        seen, said = seen_of(place, flatten=False), list[str]()

        async def listed_zero() -> bool:
            return seen[0].orders_zero_ms is not None

        async with asyncio.TaskGroup() as tasks:
            orders = Orders(flatten=False, timeout_s=60, look_again_s=4)
            tasks.create_task(panic(seen, orders, means(place, said=said)))
            await eventually(listed_zero, bool)
            await place.quote()
        assert seen[0].verified
        assert seen[0].came_back > 0
        assert place.resting() == 0
        assert any("somebody still quotes" in one for one in said)


async def test_a_venue_that_is_away_delays_no_other_and_is_not_called_verified() -> None:
    async with ground("ocx") as place, ground("zo") as gone:
        await place.quote()
        await gone.harness.add_fault("request_lost", target=Target.EVERYWHERE, count=None)
        said: list[str] = []
        seen = seen_of(gone, place, flatten=True)
        orders = Orders(flatten=True, timeout_s=15, look_again_s=0.5)
        await panic(seen, orders, means(gone, place, said=said))
        assert [one.verified for one in seen] == [False, True]
        assert said == ["ocx/main: verified", "zo/main: given up, not verified"]
        assert seen[0].trouble
        assert place.resting() == 0


async def test_settings_that_cannot_be_used_are_one_accounts_trouble() -> None:
    async with ground("ocx") as place:
        await place.quote()
        seen = [Seen(venue="ocx", account="desk2", flatten=False), *seen_of(place, flatten=False)]
        await panic(seen, Orders(flatten=False, timeout_s=30, look_again_s=0.2), means(place))
        assert "no credential for account desk2" in seen[0].trouble
        assert [one.verified for one in seen] == [False, True]


async def test_the_venues_own_timer_stays_armed() -> None:
    async with ground("x10") as place:
        timer = place.venue.dead_man
        assert timer is not None
        await timer.keep("somebody")
        await place.quote()
        (seen,) = await panicked(place, look_again_s=0.2)
        assert seen.verified
        told = [one for one in _timers(place) if one["due_ns"] is None]
        assert not told, "the timer was disarmed"


def _timers(place: Ground) -> list[dict[str, object]]:
    events = place.harness.sim.engine.events(0)
    found = [one for one in events if one["event"] == TimerSet.__name__]
    assert found
    return found


@pytest.mark.parametrize("flatten", [True, False])
def test_a_word_of_the_venue_that_is_not_zero_withdraws_what_was_verified(flatten: bool) -> None:
    seen = Seen(venue="ocx", account="main", flatten=flatten)
    told: list[tuple[Callable[[], None], bool]] = [
        (lambda: seen.orders_listed(0), False),
        (lambda: seen.none_held(twice_at_ms=2), False),
        (lambda: seen.all_zero_again(at_ms=3), False),  # orders were listed once only
        (lambda: seen.orders_listed(0, twice_at_ms=4), True),
        (lambda: seen.orders_listed(1), False),
        (lambda: seen.orders_listed(0, twice_at_ms=5), False),  # nobody looked again
        (lambda: seen.all_zero_again(at_ms=6), True),
        (lambda: seen.held(("BTC",)), False),
    ]
    for tell, verified in told:
        tell()
        assert seen.verified is verified, seen


@given(times=st.lists(st.integers(1_700_000_000_000, 4_000_000_000_000), unique=True, min_size=2))
def test_exits_of_a_panic_have_ids_of_their_own_at_every_venue(times: list[int]) -> None:
    market = MarketId("zo", "main", "BTCUSD")
    made = [panic_identity(market, Side.SELL, at_ms) for at_ms in times]
    texts = {one.encode() for one in made}
    assert len(texts) == len(times)
    assert all(len(text) <= 32 for text in texts)
    for one in made:
        assert OrderIdentity.decode(one.encode()) == one
        assert unpack(pack(one, 7), market.tag) == one
        assert one.exit, "it would pass for an order of a session"
        assert one.epoch >= 2**17


@given(size=st.integers(1, 10**9), parts=st.integers(1, 64), least=st.integers(1, 10**6))
def test_no_slice_leaves_what_no_order_could_close(size: int, parts: int, least: int) -> None:
    part = slice_lots(size, parts, least)
    assert 0 < part <= size
    assert size == part or size - part >= least
    assert part >= min(size, least)


def test_accounts_are_known_by_their_credentials() -> None:
    keys = ("base_url", "rate__order_per_min", "api_key_file", "desk2__api_key", "auth__key_header")
    assert accounts_with_credentials(keys) == ("desk2", "main")
    assert accounts_with_credentials(("base_url", "b__wallet_key_command")) == ("b",)
    assert accounts_with_credentials(("base_url", "b__account_id")) == ()
