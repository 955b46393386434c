"""Empties accounts with venue keys alone: cancel everything, close positions, and prove it.

The rule: nothing here asks a service of ours, and one account's trouble never delays another's.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from desk.errors import ConfigurationFault, Refused
from desk.identity import MarketId
from desk.instrument import Instrument
from desk.ports import Clock, Venue
from desk.units import NS_PER_MS
from flotilla.accounts import account_settings
from flotilla.panic_exit import WayOut
from flotilla.panic_report import Seen
from infra.bare_settings import bare_venue
from infra.venue_settings import VenueSettings
from venues.registry import builder

LOOK_AGAIN_S: Final = 3.0
_FIRST_WAIT_S: Final = 0.05
_LONGEST_WAIT_S: Final = 2.0
_CLOSE_S: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What was ordered: seconds until it gives up, and until the last look after all is zero."""

    flatten: bool
    timeout_s: float
    look_again_s: float = LOOK_AGAIN_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What a panic has: settings of a venue by name (may block), time, and two ways to speak.

    `hide` takes values that must appear in no log from now on.
    """

    settings: Callable[[str], VenueSettings] = bare_venue
    clock: Clock
    randomness: random.Random
    hide: Callable[[Collection[str]], None]
    tell: Callable[[str], None]


async def panic(seen: Sequence[Seen], orders: Orders, means: Means) -> None:
    """Work on all accounts at once until each is verified or its time is up; fills in `seen`.

    Never raises for what a venue does. When cancelled, what was seen until then stays in `seen`.
    """
    async with asyncio.TaskGroup() as tasks:
        for one in seen:
            tasks.create_task(_empty(one, orders, means))


async def _empty(seen: Seen, orders: Orders, means: Means) -> None:
    try:
        async with asyncio.timeout(orders.timeout_s):
            venue = await _connected(seen, means)
            async with asyncio.TaskGroup() as tasks:
                running = tasks.create_task(venue.run())
                try:
                    await _Account(seen, orders, venue, means).empty()
                finally:
                    running.cancel()
                    await _closed(venue)
    except TimeoutError:
        seen.trouble = seen.trouble or f"not done within {orders.timeout_s:g} s"
    except Exception as error:  # noqa: BLE001 - whatever it is, the other accounts go on
        seen.trouble = _words(error)
    means.tell(f"{seen.name}: {'verified' if seen.verified else 'given up, not verified'}")


async def _connected(seen: Seen, means: Means) -> Venue:
    given = await asyncio.to_thread(means.settings, seen.venue)
    means.hide(given.secrets.values())
    # Without the fleet's shared rate budget, which would need a service: the budget is our own.
    return builder(seen.venue)(
        account_settings(given, seen.account),
        account=seen.account,
        clock=means.clock,
        random=means.randomness,
        rates=None,
    )


async def _closed(venue: Venue) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(_CLOSE_S):
            await venue.close()


class _Account:
    """One account under way. The venue's own dead-man timer is not touched: it may still be needed.

    Rounds of cancelling and closing follow each other until a round finds everything zero twice;
    then one look some seconds later must find it still so, or all begins again.
    """

    def __init__(self, seen: Seen, orders: Orders, venue: Venue, means: Means) -> None:
        self._seen = seen
        self._orders = orders
        self._venue = venue
        self._clock = means.clock
        self._tell = means.tell
        self._settling_s = venue.capabilities.settling_ms / 1_000
        self._instruments: dict[str, Instrument] = {}
        self._ways: dict[str, WayOut] = {}
        self._asked_wait_s = 0.0

    async def empty(self) -> None:
        """Until verified; cancelled from outside when time is up."""
        while True:
            await self._until_zero()
            await asyncio.sleep(self._orders.look_again_s)
            if await self._try(self._look_again):
                return

    async def _until_zero(self) -> None:
        wait_s = _FIRST_WAIT_S
        while True:
            self._asked_wait_s = 0.0
            cleared = await self._try(self._cancel)
            flat = await self._try(self._close if self._orders.flatten else self._note_held)
            if cleared and (flat or not self._orders.flatten):
                return
            await asyncio.sleep(max(wait_s, self._asked_wait_s))
            wait_s = min(_LONGEST_WAIT_S, 2 * wait_s)

    async def _cancel(self) -> bool:
        seen, account = self._seen, self._venue.account
        # Listing decides, so a cancel whose answer is bad does not stand in its way.
        cancelled = await self._try(self._cancel_all)
        seen.cancel_confirmed |= cancelled
        left = len(await account.open_orders(None))
        seen.orders_listed(left)
        if left:
            return False
        await asyncio.sleep(self._settling_s)
        left = len(await account.open_orders(None))
        seen.orders_listed(left, twice_at_ms=self._now_ms())
        return not left

    async def _cancel_all(self) -> bool:
        return (await self._venue.execution.cancel_all(None)).confirmed

    async def _close(self) -> bool:
        account = self._venue.account
        if not (symbols := tuple(await account.held())):
            await asyncio.sleep(self._settling_s)
            symbols = tuple(await account.held())
        if not symbols:
            self._seen.none_held(twice_at_ms=self._now_ms())
            return True
        self._seen.held(symbols)
        async with asyncio.TaskGroup() as tasks:
            for symbol in symbols:
                tasks.create_task(self._close_one(symbol))
        return False

    async def _close_one(self, symbol: str) -> None:
        try:
            way = await self._way(symbol)
            self._seen.positions[symbol], self._seen.why[symbol] = await way.attempt()
        except Exception as error:  # noqa: BLE001 - the other markets go on
            self._seen.why[symbol] = self._heard(error)

    async def _way(self, symbol: str) -> WayOut:
        if symbol not in self._instruments:
            listed = await self._venue.instruments()
            self._instruments.update({one.symbol: one for one in listed})
        instrument = self._instruments.get(symbol)
        if instrument is None:
            raise ConfigurationFault("the venue lists no such market; close it by hand")
        return self._ways.setdefault(
            symbol,
            WayOut(
                market=MarketId(self._seen.venue, self._seen.account, symbol),
                instrument=instrument,
                venue=self._venue,
                clock=self._clock,
            ),
        )

    async def _note_held(self) -> bool:
        self._seen.held(tuple(await self._venue.account.held()))
        return True

    async def _look_again(self) -> bool:
        """Whether all is still zero; what came back is counted, and work begins again."""
        seen, account = self._seen, self._venue.account
        if back := len(await account.open_orders(None)):
            seen.orders_listed(back)
            seen.came_back += back
            self._tell(f"{seen.name}: {back} orders came back, so somebody still quotes")
        held = tuple(await account.held()) if self._orders.flatten else ()
        if held:
            seen.held(held)
        if back or held:
            return False
        seen.all_zero_again(at_ms=self._now_ms())
        return True

    async def _try(self, step: Callable[[], Awaitable[bool]]) -> bool:
        try:
            return await step()
        except Exception as error:  # noqa: BLE001 - noted, and tried again until time is up
            self._seen.trouble = self._heard(error)
            return False

    def _heard(self, error: Exception) -> str:
        if isinstance(error, Refused) and error.retry_after_s is not None:
            self._asked_wait_s = min(_LONGEST_WAIT_S, error.retry_after_s)
        return _words(error)

    def _now_ms(self) -> int:
        return self._clock.wall_ns() // NS_PER_MS


def _words(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) or type(error).__name__
