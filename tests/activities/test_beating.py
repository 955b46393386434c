"""A block beats from its first moment until it ends, with what there is to show."""

import asyncio

from temporalio.testing import ActivityEnvironment

from activities.beating import beat, beating


async def heard_while(details: object = None) -> list[tuple[object, ...]]:
    heard: list[tuple[object, ...]] = []

    async def work() -> None:
        async with beating(None if details is None else lambda: details):
            await asyncio.sleep(0)
        before = len(heard)
        await asyncio.sleep(0)
        assert len(heard) == before, "it ends with the block"
        beat()

    environment = ActivityEnvironment()
    environment.on_heartbeat = lambda *said: heard.append(said)
    await environment.run(work)
    return heard


async def test_a_block_beats_at_once_and_ends() -> None:
    assert await heard_while() == [(), ()]


async def test_details_go_with_each_beat() -> None:
    assert await heard_while("so far") == [("so far",), ()]
