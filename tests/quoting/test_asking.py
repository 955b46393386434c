"""Questions about orders do not pile up at a venue that answers slowly."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from desk.errors import Unresolved
from desk.instrument import Instrument
from desk.orders import AccountChange, Fill, VenueOrder
from quoting.asking import Asking
from quoting.inbox import Inbox, InboxEvent, Settled
from tests.quoting.builders import INSTRUMENT
from tests.quoting.test_session_lease import FastClock


@dataclass
class SlowVenue:
    """No order rests, and an answer takes until somebody lets it go."""

    go: asyncio.Event = field(default_factory=asyncio.Event)
    found: Counter[str] = field(default_factory=Counter)
    read: int = 0
    fails: Counter[str] = field(default_factory=Counter)

    @property
    def execution(self) -> "SlowVenue":
        return self

    @property
    def account(self) -> "SlowVenue":
        return self

    async def find(self, instrument: Instrument, client_order_id: str) -> VenueOrder | None:
        del instrument
        self.found[client_order_id] += 1
        await self.go.wait()
        if self.fails[client_order_id]:
            self.fails[client_order_id] -= 1
            raise Unresolved("no answer")
        return None

    async def fills(self, instrument: Instrument, since_ms: int) -> Sequence[Fill]:
        del instrument, since_ms
        self.read += 1
        return ()


def asking(venue: SlowVenue, heard: list[InboxEvent], tasks: asyncio.TaskGroup) -> Asking:
    return Asking(
        instrument=INSTRUMENT,
        venue=venue,  # type: ignore[arg-type]
        clock=FastClock(),
        inbox=Inbox(heard.extend),
        tasks=tasks,
        fills_since_ms=0,
    )


def settled(heard: list[InboxEvent]) -> list[str]:
    return [one.client_order_id for one in heard if isinstance(one, Settled)]


async def test_an_open_question_is_not_asked_again_and_others_share_one_reading() -> None:
    venue, heard = SlowVenue(), list[InboxEvent]()
    async with asyncio.TaskGroup() as tasks:
        one = asking(venue, heard, tasks)
        one.ask("a")
        await asyncio.sleep(0)
        for _ in range(50):
            for name in ("a", "b", "c"):
                one.ask(name)
            await asyncio.sleep(0)
        assert venue.found == {"a": 1}
        venue.go.set()
    await asyncio.sleep(0)
    assert venue.found == {"a": 1, "b": 1, "c": 1}
    assert venue.read == 2, "one for a, and one for b and c together"
    assert settled(heard) == ["a", "b", "c"]
    assert [type(event) for event in heard].index(AccountChange) == 0, "fills come first"


async def test_a_question_without_an_answer_may_be_asked_anew_and_keeps_no_other_waiting() -> None:
    venue, heard = SlowVenue(fails=Counter(a=1)), list[InboxEvent]()
    venue.go.set()
    async with asyncio.TaskGroup() as tasks:
        one = asking(venue, heard, tasks)
        one.ask("a")
        one.ask("b")
        await asyncio.sleep(0.01)
        assert settled(heard) == ["b"]
        one.ask("a")
    await asyncio.sleep(0)
    assert settled(heard) == ["b", "a"]
