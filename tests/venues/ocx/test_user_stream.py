"""A user stream that never gives its snapshot is given up, told, and opened again."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest

from desk.units import NS_PER_S
from tests.support.rate_model import HandClock
from tests.venues.ocx.scripted import ScriptedVenue, frame, scripted_venue
from venues._transport.backoff import Backoff
from venues.ocx.config import OcxConfig
from venues.ocx.session import Session
from venues.ocx.user_stream import UserStream
from venues.ocx.wire import WireUser

USER = "/perps/stream/user"
EMPTY: dict[str, object] = {"trades": [], "positions": []}


@dataclass(slots=True)
class Heard:
    """What the account is told, in order."""

    scripted: ScriptedVenue
    clock: HandClock = field(default_factory=HandClock)
    said: list[str] = field(default_factory=list)

    def snapshot(self, _: WireUser) -> None:
        self.note("snapshot")

    def change(self, _: WireUser) -> None:
        self.note("change")

    def alive(self) -> None:
        self.note("alive")

    def lost(self, reason: str) -> None:
        self.note(f"lost: {reason}")

    def note(self, word: str) -> None:
        self.said.append(word)
        self.scripted.changed.set()

    def feed(self, data: bytes) -> None:
        self.scripted.feed(USER, data)

    async def connected(self, times: int) -> None:
        await self.scripted.until(lambda: len(self.scripted.streams[USER]) == times)

    async def until(self, *said: str) -> None:
        await self.scripted.until(lambda: self.said == list(said))


@pytest.fixture
async def heard() -> AsyncIterator[Heard]:
    async with scripted_venue() as scripted, following(Heard(scripted)) as heard:
        yield heard


@asynccontextmanager
async def following(heard: Heard) -> AsyncIterator[Heard]:
    config = OcxConfig.from_mapping({"base_url": heard.scripted.base_url, "api_key": "ocx_sk_x"})
    backoff = Backoff(uniform=random.Random(1).uniform, base_s=0.01)
    async with (
        httpx.AsyncClient(base_url=config.base_url, trust_env=False) as http,
        asyncio.TaskGroup() as tasks,
    ):
        stream = UserStream(
            config=config,
            session=Session(config=config, http=http, clock=heard.clock, backoff=backoff),
            clock=heard.clock,
            backoff=backoff,
            on_snapshot=heard.snapshot,
            on_change=heard.change,
            on_alive=heard.alive,
            on_lost=heard.lost,
        )
        running = tasks.create_task(stream.run())
        await heard.connected(1)
        yield heard
        running.cancel()


async def test_signs_of_life_without_a_snapshot_are_not_enough(heard: Heard) -> None:
    heard.feed(b": heartbeat\n")
    await heard.until("alive")
    heard.clock.now_ns += 5 * NS_PER_S + 1
    heard.feed(b": heartbeat\n")
    await heard.until("alive", "lost: no snapshot came")
    await heard.connected(2)
    heard.feed(frame("snapshot", EMPTY, seq=1))
    await heard.until("alive", "lost: no snapshot came", "snapshot")
    heard.clock.now_ns += 60 * NS_PER_S
    heard.feed(b": heartbeat\n")
    await heard.until("alive", "lost: no snapshot came", "snapshot", "alive")


async def test_a_snapshot_of_the_connection_before_does_not_count(heard: Heard) -> None:
    heard.feed(frame("snapshot", EMPTY, seq=1))
    await heard.until("snapshot")
    heard.feed(b"")
    await heard.connected(2)
    lost = heard.said[1]
    assert lost.startswith("lost: ")
    heard.feed(frame("delta", EMPTY, seq=2))
    early = "lost: a change came before the first snapshot"
    await heard.until("snapshot", lost, early)
    await heard.connected(3)
    heard.feed(frame("snapshot", EMPTY, seq=1))
    heard.feed(frame("delta", EMPTY, seq=2))
    await heard.until("snapshot", lost, early, "snapshot", "change")
