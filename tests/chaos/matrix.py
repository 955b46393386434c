"""The matrix's rows: each state of a market's life, how to bring one there, and how a worker ends.

Every strike hits the process that works for the market at that moment; the others live on.
"""

import os
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from temporalio.service import RPCError

from flotilla.demo.children import Child
from tests.chaos.ground import Market, kill
from tests.chaos.invariants import Orphaned
from workflows import names
from workflows.market import MarketWorkflow
from workflows.messages import Request, StopMarket

GONE_S = 15.0
"""Without an owner, orders rest no longer than this, also on a busy machine."""
CUT_OFF_S = 20.0
"""With a line cut: a book grows stale, clearing fails, a lease runs out, a guardian acts."""
SLOW_S = 90.0
_FREEZE_LOOK_S = 3.0


class Strike(StrEnum):
    """What happens to a worker."""

    KILL = "kill -9"
    FREEZE = "SIGSTOP"


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A state of a market's life: `reach` leads there, `release` lets it go on.

    A market that `ends` stands down by itself afterwards, flat if it `flattens`.
    """

    reach: Callable[[Market], Awaitable[None]]
    release: Callable[[Market], Awaitable[None]]
    ends: bool = False
    flattens: bool = False


async def manned(market: Market) -> None:
    """Two workers and a guardian."""
    await market.guardian()
    for _ in range(2):
        await market.worker()


async def at_work(market: Market) -> Child:
    """The process that runs an activity for the market now; its first worker when none does."""
    for name in (names.market_workflow_id(market.id), names.flatten_workflow_id(market.id)):
        with suppress(RPCError):
            described = await market.client.get_workflow_handle(name).describe()
            for pending in described.raw_description.pending_activities:
                for child in market.workers:
                    if child.is_identity(pending.last_worker_identity):
                        print(f"at {pending.activity_type.name}: {child.name}")  # noqa: T201
                        return child
    return next(child for child in market.workers if child.name == "worker")


async def is_now(market: Market, name: str) -> bool:
    """Whether the market is in the state of that name at this moment."""
    return (await market.status()).state.value == name.replace(" ", "_")


async def hushed(market: Market, *, on: bool = True) -> None:
    """End the crowd's trading, or let it go on: what rests then leaves by a cancel alone."""
    await market.venue.post("quiet", {"marketId": market.id.symbol, "on": on})


async def struck(market: Market, strike: Strike, worker: Child) -> Orphaned:
    """Strike a worker; what it leaves behind has no owner from this moment on.

    The crowd is hushed: nobody but an owner to come shall take the orders away.
    """
    await hushed(market)
    quoted = [one.identity.epoch for one in (await market.log()).accepted() if one.rests]
    at_ns = time.time_ns()
    if strike is Strike.KILL:
        await kill(worker)
    else:
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGSTOP)
    return Orphaned(epoch=max(quoted, default=0), at_ns=at_ns, gone_within_s=GONE_S)


async def thawed(market: Market, worker: Child, orphan: Orphaned) -> None:
    """Let a frozen worker run again, and look on while it finds itself locked out."""
    assert worker.pid is not None
    before = await _taken(market, orphan.epoch)
    os.kill(worker.pid, signal.SIGCONT)

    async def locked_out() -> bool:
        return await _taken(market, orphan.epoch) == before

    await market.stays("nothing of the thawed worker is taken", locked_out, for_s=_FREEZE_LOOK_S)


async def _taken(market: Market, epoch: int) -> int:
    return sum(one.identity.epoch <= epoch for one in (await market.log()).accepted())


# --- the states ------------------------------------------------------------------------------


async def _starting(market: Market) -> None:
    await _slow(market, "/perps/balances", 25.0)
    await market.start()
    await market.until(
        "the preflight waits for the venue", lambda: _faulty(market), within_s=SLOW_S
    )


async def _quoting(market: Market, **options: int) -> None:
    await market.start(**options)
    await market.until("the first quotes rest", market.has_quotes, within_s=SLOW_S)
    await market.hold_a_position()


async def _paused(market: Market) -> None:
    await _quoting(market)
    await _signal(market, MarketWorkflow.pause)
    await _in_state(market, "paused")


async def _holding(market: Market) -> None:
    await _quoting(market)
    await market.venue.post("halt", {"marketId": market.id.symbol, "on": True})
    await _in_state(market, "holding")


async def _flattening(market: Market) -> None:
    await _quoting(market, flatten_slices=6, flatten_interval_s=3)
    await _signal(market, MarketWorkflow.flatten)

    async def sliced() -> bool:
        return bool((await market.log()).exits())

    await market.until("the first slice is sent", sliced, within_s=SLOW_S)


async def _standing_down(market: Market) -> None:
    await _quoting(market)
    assert market.handle is not None
    await market.handle.signal(MarketWorkflow.stop, StopMarket(reason="stand down", by="test"))
    await _in_state(market, "standing_down")
    await _slow(market, "/perps/trades", 25.0)


async def _resume(market: Market) -> None:
    await _signal(market, MarketWorkflow.resume)


async def _open(market: Market) -> None:
    await market.venue.post("halt", {"marketId": market.id.symbol, "on": False})


STATES = {
    "starting": State(reach=_starting, release=Market.calm),
    "quoting": State(reach=_quoting, release=Market.calm),
    "paused": State(reach=_paused, release=_resume),
    "holding": State(reach=_holding, release=_open),
    "flattening": State(reach=_flattening, release=Market.calm, ends=True, flattens=True),
    "standing down": State(reach=_standing_down, release=Market.calm, ends=True),
}


async def _signal(market: Market, verb: Callable[[MarketWorkflow, Request], None]) -> None:
    assert market.handle is not None
    await market.handle.signal(verb, Request(reason="fault test", by="test"))


async def _in_state(market: Market, name: str) -> None:
    async def there() -> bool:
        return (await market.status()).state.value == name

    await market.until(f"it is {name}", there, within_s=SLOW_S)


async def _slow(market: Market, path: str, seconds: float) -> None:
    fault = {"kind": "slow_response", "path": path, "delay_s": seconds}
    await market.venue.post("faults", [fault])


async def _faulty(market: Market) -> bool:
    return any(fault["struck"] for fault in await market.venue.get("faults"))
