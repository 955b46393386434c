"""Drills with real processes: each brake is pulled for real, and its absence is noticed."""

import asyncio
import json
import os
import sys
from typing import Any

import pytest

from tests.chaos.ground import Market


async def _flotilla(market: Market, *arguments: str) -> tuple[int, Any, str]:
    """Run a command as a person does; its exit code, its JSON, and what it said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "flotilla", *arguments, "--json"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **market.environment},
    )
    async with asyncio.timeout(110):
        out, said = await process.communicate()
    print(out.decode(), said.decode())  # noqa: T201 - shown when a test fails
    return process.returncode or 0, json.loads(out) if out.strip() else None, said.decode()


def _mark(market: Market) -> None:
    market.environment = {**market.environment, "FLOTILLA_DRILL_MARKETS": market.id.path}


@pytest.mark.timeout(240)
@pytest.mark.parametrize("kind", ["kill", "deadman", "panic"])
async def test_a_drill_pulls_the_real_brake(market: Market, kind: str) -> None:
    _mark(market)
    await market.worker()
    await market.guardian()
    code, result, _ = await _flotilla(market, "drill", kind, market.id.path, "--within", "30")
    assert code == 0, result
    assert result["passed"]
    log = await market.log()
    assert log.accepted(), "the brake had nothing to take away"
    assert log.resting() == set()
    code, listed, _ = await _flotilla(market, "drill", "list")
    assert (listed[0]["kind"], listed[0]["market"], listed[0]["passed"]) == (
        kind,
        market.id.path,
        True,
    )


@pytest.mark.timeout(240)
async def test_a_market_that_is_not_marked_is_refused(market: Market) -> None:
    await market.worker()
    code, _, said = await _flotilla(market, "drill", "panic", market.id.path)
    assert code == 3
    assert "is not marked for drills" in said
    assert (await market.log()).accepted() == []
