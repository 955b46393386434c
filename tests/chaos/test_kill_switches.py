"""A kill, by file or by command, takes every order away in seconds and the market stands down."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator

import pytest

from flotilla.control import lift_kills
from tests.chaos.ground import Market

_SECONDS = 5.0


@pytest.fixture
async def fleet(market: Market) -> AsyncIterator[Market]:
    """A market whose kills are lifted afterwards, for other tests share the record."""
    yield market
    async with market.control() as ports:
        for kill in await ports.ledger.active_kills():
            await lift_kills(
                ports.board, ports.ledger, kill.scope, by="test", reason="the test is over"
            )


async def test_kill_file_clears_the_market(fleet: Market) -> None:
    await fleet.quoting()
    (fleet.settings.state_dir / "KILL").touch()
    took = await fleet.until("nothing rests", fleet.has_none, within_s=_SECONDS)
    print(f"KILL file: nothing rested after {took:.2f} s")  # noqa: T201
    result = await fleet.ended()
    assert "KILL" in result.reason

    async def recorded() -> bool:
        async with fleet.control() as ports:
            return any(one.scope == "fleet" for one in await ports.ledger.active_kills())

    # It is a kill of the fleet from then on, and lifted by the fixture.
    await fleet.until("the file is a durable kill", recorded)


async def test_kill_command_clears_the_fleet(fleet: Market) -> None:
    await fleet.quoting()
    command = ("kill", "--scope", "fleet", "--reason", "drill", "--by", "test")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "flotilla", *command, env={**os.environ, **fleet.environment}
    )
    assert await process.wait() == 0
    took = await fleet.until("nothing rests", fleet.has_none, within_s=_SECONDS)
    print(f"kill command: nothing rested {took:.2f} s after it returned")  # noqa: T201
    result = await fleet.ended()
    assert "drill" in result.reason
