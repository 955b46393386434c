"""A session that waits for its lease leaves at once when it is killed meanwhile."""

import asyncio
from dataclasses import dataclass, replace

import pytest

from activities.market import MarketActivities
from activities.messages import SessionInput, SessionResult
from desk.identity import MarketId
from desk.lifecycle import SessionReason
from desk.quoting.parameters import QuoteParameters
from desk.records import Kill, KillEffect
from desk.risk.limits import RiskLimits
from tests.activities.conftest import MARKET, Desk, OpenDesk

SESSION = SessionInput(
    market=MARKET,
    life_epoch=1,
    parameters=QuoteParameters(),
    limits=RiskLimits(),
    run_id="run",
    window_s=30,
    lease_ttl_ms=60_000,
)
KILL = Kill(scope=f"market:{MARKET.path}", reason="bad prints", by="ana", at_ms=1)


@dataclass(slots=True)
class TakenLease:
    """Somebody else's, for as long as anybody asks."""

    asked: int = 0

    async def acquire(self, market: MarketId, epoch: int, owner: str, ttl_ms: int) -> bool:
        self.asked += 1
        return False

    async def renew(self, market: MarketId, epoch: int, owner: str, ttl_ms: int) -> bool:
        raise AssertionError("it was never ours")

    async def release(self, market: MarketId, epoch: int, owner: str) -> bool:
        return False

    async def fence(self, market: MarketId) -> int:
        return 0

    async def shared(self, market: MarketId) -> bool:
        return False

    async def until_asked(self, times: int) -> None:
        async with asyncio.timeout(30):
            while self.asked < times:
                await asyncio.sleep(0.02)


def with_lease(desk: Desk, lease: TakenLease) -> Desk:
    ports = replace(desk.ports, lease=lease)
    return replace(desk, ports=ports, activities=MarketActivities(ports))


async def quote(desk: Desk) -> SessionResult:
    return await desk.run(desk.activities.quote_session, SESSION)


async def kill(desk: Desk, how: str) -> None:
    if how == "file":
        (desk.state_dir / "KILL").touch()
        return
    effect = KillEffect.FLATTEN if how == "flatten" else KillEffect.STOP
    await desk.ports.board.set(replace(KILL, effect=effect))


@pytest.mark.parametrize(
    ("how", "reason", "words"),
    [
        ("stop", SessionReason.KILLED, "bad prints"),
        ("flatten", SessionReason.KILLED_FLATTEN, "bad prints"),
        ("file", SessionReason.KILLED, "KILL file"),
    ],
)
async def test_it_leaves_when_killed_while_it_waits(
    open_desk: OpenDesk, how: str, reason: SessionReason, words: str
) -> None:
    async with open_desk() as opened:
        lease = TakenLease()
        desk = with_lease(opened, lease)
        task = asyncio.create_task(quote(desk))
        await lease.until_asked(2)
        assert not task.done()
        await kill(desk, how)
        async with asyncio.timeout(30):
            result = await task
    assert result.reason is reason
    assert words in result.message
    assert result.cleared


async def test_a_kill_that_only_forbids_new_risk_does_not_end_the_wait(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as opened:
        lease = TakenLease()
        desk = with_lease(opened, lease)
        await desk.ports.board.rearm(await desk.ports.ledger.active_kills())
        await desk.ports.board.set(replace(KILL, effect=KillEffect.REDUCE))
        task = asyncio.create_task(quote(desk))
        await lease.until_asked(5)
        assert not task.done()
        await desk.ports.board.set(KILL)
        async with asyncio.timeout(30):
            assert (await task).reason is SessionReason.KILLED
