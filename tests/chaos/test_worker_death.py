"""A worker that dies leaves nothing behind: another one clears the market and goes on."""

from tests.chaos.ground import Market, kill
from workflows.market import MarketWorkflow
from workflows.messages import Request, StopMarket

_LOOSE_S = 15.0


async def test_quoting_goes_on_under_a_higher_epoch(market: Market) -> None:
    first = await market.quoting()
    await market.worker()
    epoch = await market.epoch()
    killed_ns = await kill(first)
    assert (await market.log()).resting(epoch=epoch), "nothing rested when it was killed"
    await market.until("orders of a new epoch rest", lambda: market.quotes_above(epoch))
    log = await market.log()
    seconds = (log.gone_ns(epoch) - killed_ns) / 1e9
    print(f"worker killed: venue listed nothing of the dead session after {seconds:.2f} s")  # noqa: T201
    assert seconds <= _LOOSE_S
    await market.finish()


async def test_flatten_is_resumed_and_never_goes_past_zero(market: Market) -> None:
    worker = await market.quoting(flatten_slices=5, flatten_interval_s=1)
    await market.hold_a_position()
    handle = market.handle
    assert handle is not None
    began = (await market.log()).accepted()[-1].sequence
    await handle.signal(MarketWorkflow.flatten, Request(reason="flatten it"))
    for slices in (1, 3):

        async def sliced(least: int = slices) -> bool:
            return len((await market.log()).exits()) >= least

        await market.until(f"{slices} slices are sent", sliced, within_s=25)
        await kill(worker)
        worker = await market.worker()
    result = await market.ended(within_s=60)
    log = await market.log()
    assert log.positions()[-1] == 0
    assert log.flips_after(began) == []
    assert len(log.exits()) >= 4
    assert result.final.venue_position == 0


async def test_stand_down_is_completed_by_the_next_worker(market: Market) -> None:
    first = await market.quoting()
    await market.hold_a_position()
    handle = market.handle
    assert handle is not None
    await handle.signal(MarketWorkflow.stop, StopMarket(reason="stand down"))

    async def standing_down() -> bool:
        return "standing_down" in await market.been()

    await market.until("it stands down", standing_down)
    await kill(first)
    await market.worker()
    result = await market.ended(within_s=45)
    assert result.final.venue_open_orders == 0
