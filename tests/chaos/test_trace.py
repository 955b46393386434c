"""An hour's trouble in a minute: faults at the venue, then kill -9; every journal still replays."""

import asyncio
import os
from pathlib import Path

from desk.identity import MarketId
from flotilla.cli.why import cause, taken_by
from flotilla.tracing import market_traces
from flotilla.wiring import open_samples
from infra.trace_files import open_journal
from quoting.replay import ReplayVerdict, replay
from quoting.trace_frames import SentBatch, Step, read_frame
from tests.chaos.ground import Market, kill
from tests.chaos.test_venue_faults import FAULTS, _here

_SECONDS = int(os.environ.get("FLOTILLA_TRACE_SECONDS", "60"))


async def test_an_incident_replays_to_identical_decisions(market: Market) -> None:
    worker = await market.quoting()
    for second in range(_SECONDS):
        if second % 10 == 0:
            names = sorted(FAULTS)
            faults = FAULTS[names[second // 10 % len(names)]]
            await market.calm()
            await market.venue.post("faults", [_here(market, fault) for fault in faults])
        await market.sell_to_us()
        await asyncio.sleep(1)
    await market.calm()
    await market.until("it quotes again", market.has_quotes, within_s=60)
    folder = market_traces(market.settings, market.id)

    async def on_disk() -> bool:
        return replay(open_journal(folder)).decisions > 1

    await market.until("its decisions are on the disk", on_disk)
    epoch = await market.epoch()
    await kill(worker)
    await market.worker()
    await market.until("a new session quotes", lambda: market.quotes_above(epoch), within_s=60)
    await market.until("its decisions are on the disk", on_disk)
    await market.finish()
    verdicts = _replayed(folder, market.id)
    assert all(one.identical for one in verdicts), [one.first for one in verdicts]
    assert not any(one.damaged for one in verdicts)
    assert sum(one.decisions for one in verdicts) > 20
    # The one that was killed could not say that it was over; the others did.
    assert [bool(one.short) for one in verdicts].count(True) == 1
    whole = [Path(one.journal) for one in verdicts if not one.short]
    await _explained(market, [one for journal in whole for one in _sent(journal)])


async def _explained(market: Market, client_ids: list[str]) -> None:
    """From the record alone it is clear what took each of these orders away."""
    assert client_ids
    async with open_samples(market.settings) as samples:
        for client_id in client_ids[:: max(1, len(client_ids) // 20)]:
            record = await samples.order(client_id)
            assert record is not None
            said = cause(record, taken_by(record))
            print(f"{client_id}: {said}")  # noqa: T201
            assert said != "nothing on record took it away"


def _sent(journal: Path) -> list[str]:
    steps = (
        one for one in map(read_frame, open_journal(journal).frames()) if isinstance(one, Step)
    )
    return [
        order.client_order_id
        for step in steps
        for action in step.actions
        if isinstance(action, SentBatch)
        for order in action.approved.orders
    ]


def _replayed(folder: Path, market: MarketId) -> list[ReplayVerdict]:
    verdicts = [replay(open_journal(one)) for one in sorted(folder.iterdir())]
    for one in verdicts:
        print(f"{one.journal}: {one.steps} steps, {one.decisions} decisions, {one.short}")  # noqa: T201
    assert {one.market for one in verdicts} == {market.path}
    return verdicts
