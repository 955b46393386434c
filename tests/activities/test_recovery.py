"""After a crash, a damaged disk or an older backup nothing is lost, doubled, or goes on unasked."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from activities.market import MarketActivities
from activities.messages import StandDownInput, TakeOverInput
from activities.ports import ActivityPorts
from desk.breaks import Break, BreakDecision, BreakKind
from desk.instrument import Instrument
from desk.lifecycle import SessionReason
from desk.orders import CancelOutcome, VenueOrder, VenuePosition
from desk.trace_ports import RawJournal
from flotilla.wiring import open_ports
from infra.saved_files import SavedFolder
from infra.settings import load_settings
from infra.telemetry.setup import Telemetry
from quoting.saved_state import SavedState, read_state, write_state
from quoting.trace import Traces
from quoting.trace_frames import Head, head_frame, read_frame
from tests.activities.conftest import MARKET, Desk, OpenDesk
from tests.activities.sending import send
from tests.activities.test_breaks import settle
from tests.activities.test_market_activities import PREFLIGHT, leave_orders, quote, rows
from tests.activities.test_reconciliation import booked, books, our_id
from tests.support.services import Services
from venues.simulation.hand import fill_first


def saved_files(desk: Desk) -> SavedFolder:
    assert isinstance(desk.ports.saved, SavedFolder)
    return desk.ports.saved


def saved(desk: Desk) -> SavedState:
    return read_state(saved_files(desk).load(MARKET)[0].content)


def save(desk: Desk, state: SavedState) -> None:
    saved_files(desk).save(MARKET, write_state(state), state.at_ms, state.epoch)


def files(desk: Desk) -> list[Path]:
    """The state's files: the newest and the hourly copy."""
    folder = desk.state_dir.parent / "data" / "saved"
    return sorted(one for one in folder.rglob("state*") if "damaged" not in one.name)


async def crashed(desk: Desk) -> SavedState:
    """A session that quoted and whose process then died, as far as its machine knows."""
    await quote(desk, 2)
    state = replace(saved(desk), left=False)
    save(desk, state)
    return state


async def breaks(desk: Desk) -> Sequence[Break]:
    return await desk.ports.breaks.recent(20)


async def decisions(database_url: str, kind: str) -> list[str]:
    query = f"SELECT reason || ' ' || evidence FROM control_decisions WHERE kind = '{kind}'"  # noqa: S608
    return [str(text) for (text,) in await rows(database_url, query)]


async def alerts(database_url: str) -> list[str]:
    return [str(text) for (text,) in await rows(database_url, "SELECT text FROM alerts")]


# --- orders that nobody recorded -------------------------------------------------------------


def down(epoch: int) -> StandDownInput:
    return StandDownInput(market=MARKET, epoch=epoch, owner="me", life_epoch=1, reason="asked")


async def cancel_all(desk: Desk) -> None:
    venue = await desk.ports.venues.venue("ocx", "main")
    await venue.execution.cancel_all(None)


class ListFirst:
    """A venue, and who finds it, at which a list asked for at the same moment is the faster."""

    def __init__(self, real: Any, listed: asyncio.Event | None = None) -> None:
        self._real = real
        self._listed = listed or asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    async def venue(self, name: str, account: str) -> "ListFirst":
        return ListFirst(await self._real.venue(name, account))

    @property
    def account(self) -> "ListFirst":
        return ListFirst(self._real.account, self._listed)

    @property
    def execution(self) -> "ListFirst":
        return ListFirst(self._real.execution, self._listed)

    async def open_orders(self, instrument: Instrument | None) -> Sequence[VenueOrder]:
        orders: Sequence[VenueOrder] = await self._real.open_orders(instrument)
        self._listed.set()
        return orders

    async def cancel_all(self, instrument: Instrument | None) -> CancelOutcome:
        with suppress(TimeoutError):
            async with asyncio.timeout(2):
                await self._listed.wait()
        outcome: CancelOutcome = await self._real.cancel_all(instrument)
        return outcome


def list_first(desk: Desk) -> Desk:
    ports = replace(desk.ports, venues=ListFirst(desk.ports.venues))
    return replace(desk, ports=ports, activities=MarketActivities(ports))


async def test_orders_that_nobody_recorded_are_found_cancelled_and_put_on_record(
    open_desk: OpenDesk, database_url: str
) -> None:
    async with open_desk() as real:
        desk = list_first(real)
        first = await quote(desk, 1)
        lost = await leave_orders(desk, first.epoch)
        result = await quote(desk, 1)
        assert result.cleared
        assert await desk.ports.writer.flush(30)
        found = await rows(
            database_url,
            "SELECT client_order_id, epoch, ending FROM orders "
            "WHERE batch_id = 'found at the venue' ORDER BY 1",
        )
        how = f"cleared by epoch {result.epoch}"
        assert found == [(one, first.epoch, how) for one in sorted(lost)]
        (said,) = await decisions(database_url, "orders found")
        assert all(one in said for one in lost)
        assert (await books(desk)).orders == ()


@pytest.mark.parametrize("booking", ["session", "stand down"])
async def test_an_order_that_filled_unrecorded_is_on_record_once_its_fill_is(
    open_desk: OpenDesk, database_url: str, booking: str
) -> None:
    async with open_desk() as desk:
        epoch = (await quote(desk, 1)).epoch
        await leave_orders(desk, epoch)
        order = desk.venue.engine.open_orders("main")[0]
        fill_first(desk.venue.engine, "main", [order], 1.0)
        if booking == "session":
            await quote(desk, 1)
        else:
            await cancel_all(desk)
            await desk.run(desk.activities.stand_down, down(epoch))
        assert await desk.ports.writer.flush(30)
        found = await rows(
            database_url,
            "SELECT client_order_id, o.epoch, o.quantity >= sum(f.quantity), "
            "o.ended_at IS NOT NULL "
            "FROM fills f JOIN orders o USING (venue, account, symbol, client_order_id) "
            "WHERE o.batch_id = 'found at the venue' "
            "GROUP BY client_order_id, o.epoch, o.quantity, o.ended_at",
        )
        assert found == [(order.client_order_id, epoch, True, True)]
        if booking == "session":
            (said,) = await decisions(database_url, "fills back-filled")
            assert str(order.client_order_id) in said
        assert (await books(desk)).orders == ()


@pytest.mark.parametrize("clearing", ["session", "take over", "stand down"])
async def test_whoever_lists_zero_ends_what_older_epochs_left_in_our_books(
    open_desk: OpenDesk, clearing: str
) -> None:
    async with open_desk() as desk:
        epoch = (await quote(desk, 1)).epoch
        await booked(desk, our_id(0), our_id(1))
        assert len((await books(desk)).orders) == 2
        if clearing == "session":
            await quote(desk, 1)
        elif clearing == "take over":
            over = TakeOverInput(market=MARKET, owner="flatten/run", run_id="run", give_back=True)
            await desk.run(desk.activities.take_over, over)
        else:
            await desk.run(desk.activities.stand_down, down(epoch))
        assert (await books(desk)).orders == ()


async def test_what_rests_by_our_books_is_what_rests(open_desk: OpenDesk) -> None:
    """Within a moment while it quotes, and nothing after it left."""
    async with open_desk() as desk:
        quoting = asyncio.create_task(quote(desk, 6))
        seen = 0
        while not quoting.done():
            ours = {one.client_order_id for one in (await books(desk)).orders}
            theirs = {str(one.client_order_id) for one in desk.venue.engine.open_orders("main")}
            await asyncio.sleep(1.0)
            later = {one.client_order_id for one in (await books(desk)).orders}
            resting = {str(one.client_order_id) for one in desk.venue.engine.open_orders("main")}
            assert not (ours - theirs) & (later - resting), "ended, and still in our books"
            assert not (theirs - ours) & (resting - later), "rests, and not in our books"
            seen += len(ours & theirs)
        await quoting
        assert seen, "something rested on both sides"
        assert (await books(desk)).orders == ()


async def test_fills_keep_the_mid_they_were_heard_at(
    open_desk: OpenDesk, database_url: str
) -> None:
    async with open_desk() as desk:
        quoting = asyncio.create_task(quote(desk, 6))
        found: list[tuple[object, ...]] = []
        while not quoting.done() and not found:
            for order in desk.venue.engine.open_orders("main")[:1]:
                fill_first(desk.venue.engine, "main", [order], 1.0)
            await asyncio.sleep(0.3)
            found = await rows(database_url, "SELECT price, mid FROM fills")
        await quoting
    assert found
    for price, mid in found:
        assert mid is not None
        assert abs(float(str(price)) / float(str(mid)) - 1) < 0.02


# --- the trace of a crash --------------------------------------------------------------------


class Altered:
    """Journals as they were kept, but for what their session started from."""

    def __init__(self, real: Traces) -> None:
        self._real = real

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)

    async def last(self, market: object, before_ms: int | None = None) -> RawJournal | None:
        journal = await self._real.last(MARKET, before_ms)
        return None if journal is None else AlteredJournal(journal)  # type: ignore[return-value]


class AlteredJournal:
    """One of them."""

    def __init__(self, real: RawJournal) -> None:
        self._real = real

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)

    def frames(self) -> Iterator[bytes]:
        for raw in self._real.frames():
            frame = read_frame(raw)
            if isinstance(frame, Head):
                wider = replace(
                    frame.setup.parameters, spread_bps=frame.setup.limits.collar_bps / 5
                )
                yield head_frame(replace(frame, setup=replace(frame.setup, parameters=wider)))
            else:
                yield raw


async def test_a_crashed_session_is_replayed_once_and_goes_on(
    open_desk: OpenDesk, database_url: str
) -> None:
    async with open_desk() as desk:
        state = await crashed(desk)
        assert (await quote(desk, 1)).reason is SessionReason.WINDOW
        (said,) = await decisions(database_url, "crash looked into")
        assert f"epoch {state.epoch} did not leave in good order" in said
        assert "replayed to the same decisions" in said
        assert " 0 steps" not in said
        await quote(desk, 1)
        assert len(await decisions(database_url, "crash looked into")) == 1, "it left by then"
        assert await breaks(desk) == ()


@pytest.mark.parametrize("holds", [True, False])
async def test_a_trace_that_does_not_replay_waits_for_a_person_or_alarms(
    open_desk: OpenDesk, database_url: str, *, holds: bool
) -> None:
    async with open_desk() as real:
        await crashed(real)
        ports = replace(
            real.ports,
            traces=Altered(real.ports.traces),  # type: ignore[arg-type]
            holds_on_trace=holds,
        )
        desk = replace(real, ports=ports, activities=MarketActivities(ports))
        result = await quote(desk, 1)
        told = await alerts(database_url)
        if not holds:
            assert result.reason is SessionReason.WINDOW
            assert sum("trace differs" in one for one in told) == 1
            return
        assert result.reason is SessionReason.BREAK
        (known,) = await breaks(desk)
        assert known.found.kind is BreakKind.TRACE
        assert "the same code decides" in known.found.text
        await settle(desk, known, BreakDecision.RECHECK)
        assert (await quote(desk, 1)).reason is SessionReason.WINDOW, "it is not asked again"
        assert len(await breaks(desk)) == 1


# --- an older Postgres -----------------------------------------------------------------------


@asynccontextmanager
async def older(desk: Desk, database_url: str, redis_url: str) -> AsyncIterator[Desk]:
    """The same machine, venue and Redis on a database that knows nothing of what went before."""
    settings = load_settings(
        database_url=database_url,
        redis_url=redis_url,
        data_dir=desk.state_dir.parent / "data",
        state_dir=desk.state_dir,
    )
    async with open_ports(settings, Telemetry()) as ports:
        yield replace(desk, ports=ports, activities=MarketActivities(ports))


@pytest.fixture
def backup(services: Services) -> Iterator[str]:
    url = services.new_database()
    yield url
    services.drop_database(url)


@pytest.mark.parametrize("witness", ["fence", "state", "venue"])
async def test_a_postgres_restored_from_an_older_backup_is_noticed_by(
    open_desk: OpenDesk, redis_url: str, backup: str, services: Services, witness: str
) -> None:
    async with open_desk() as desk:
        for _ in range(3):
            epoch = (await quote(desk, 1)).epoch
        await send(desk, our_id(0, epoch=epoch), lots=50, taking=True)
        held = (await position(desk.ports)).lots
        lost = await leave_orders(desk, epoch) if witness == "venue" else set[str]()
        if witness != "state":
            for one in files(desk):
                one.unlink()
        redis = redis_url if witness == "fence" else services.empty_redis()
        async with older(desk, backup, redis) as real:
            restored = list_first(real)
            assert await restored.ports.lease.fence(MARKET) == (epoch if witness == "fence" else 0)
            result = await quote(restored, 2)
            assert result.reason is SessionReason.WINDOW, result.message
            assert result.epoch > epoch, "no order id is used a second time"
            assert result.progress.requotes
            (said,) = await decisions(backup, "ledger restored")
            assert f"knows epoch {epoch}" in said
            assert sum("restored from an older state" in one for one in await alerts(backup)) == 1
            assert (await restored.ports.ledger.facts(MARKET, 0)).fills >= 1
            facts = await restored.ports.ledger.facts(MARKET, 0)
            assert facts.position == (await position(restored.ports)).lots
            assert held
            assert await restored.ports.writer.flush(30)
            ended = await rows(
                backup, "SELECT client_order_id FROM orders WHERE ending IS NOT NULL"
            )
            assert lost <= {str(one) for (one,) in ended}, "found at the venue, and on record"
            assert (await books(restored)).orders == ()
            assert not (await restored.ports.breaks.recent(5))
            # Once mended it is not told again.
            await quote(restored, 1)
            assert len(await decisions(backup, "ledger restored")) == 1


async def position(ports: ActivityPorts) -> VenuePosition:
    venue = await ports.venues.venue("ocx", "main")
    (instrument,) = [one for one in await venue.instruments() if one.symbol == MARKET.symbol]
    return await venue.account.position(instrument)


async def test_preflight_of_a_market_moves_past_the_fence_as_well(
    open_desk: OpenDesk, redis_url: str, backup: str
) -> None:
    async with open_desk() as desk:
        epoch = (await quote(desk, 1)).epoch
        async with older(desk, backup, redis_url) as restored:
            report = await restored.run(restored.activities.preflight, PREFLIGHT)
            assert report.life_epoch == epoch + 1
            assert await decisions(backup, "ledger restored")
