"""A saved state is believed while it can be this market's, and no copy that cannot is lost."""

import errno
import os
from dataclasses import replace
from decimal import Decimal

import pytest
from temporalio.exceptions import ApplicationError

from activities.market import MarketActivities
from desk.breaks import BreakDecision, BreakKind
from desk.identity import MarketId
from desk.lifecycle import SessionReason
from desk.state_ports import KeptCopy
from infra.saved_files import SavedFolder
from quoting.saved_state import write_state
from tests.activities.break_desk import dying_at
from tests.activities.conftest import MARKET, OpenDesk
from tests.activities.test_breaks import settle
from tests.activities.test_market_activities import quote
from tests.activities.test_recovery import (
    alerts,
    breaks,
    crashed,
    decisions,
    files,
    save,
    saved,
    saved_files,
)


async def test_a_session_that_leaves_says_so_in_its_state(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        result = await quote(desk, 2)
        state = saved(desk)
        assert (state.epoch, state.left, state.orders) == (result.epoch, True, ())


async def test_a_damaged_state_is_replaced_by_its_hourly_copy(
    open_desk: OpenDesk, database_url: str
) -> None:
    async with open_desk() as desk:
        await quote(desk, 1)
        newest, hourly = files(desk)
        assert hourly.name == "state.hourly"
        newest.write_bytes(b"nonsense")
        result = await quote(desk, 1)
        assert result.reason is SessionReason.WINDOW
        (said,) = await decisions(database_url, "saved state damaged")
        assert str(newest) in said
        assert any("saved state damaged" in one for one in await alerts(database_url))
        assert saved(desk).left, "the session saved a whole one again"
        assert [one.read_bytes() for one in newest.parent.glob("*.damaged-*")] == [b"nonsense"]


@pytest.mark.parametrize("copies", ["newest", "both"])
async def test_a_state_of_another_market_counts_as_damaged(
    open_desk: OpenDesk, database_url: str, copies: str
) -> None:
    async with open_desk() as desk:
        epoch = (await quote(desk, 1)).epoch
        now_ms = saved(desk).at_ms
        other = replace(MARKET, symbol="OTHER")
        state = replace(saved(desk), market=other, epoch=900, peak=Decimal(10**6))
        if copies == "both":
            files(desk)[1].unlink()
        saved_files(desk).save(MARKET, write_state(state), now_ms, 900)
        result = await quote(desk, 1)
        assert result.epoch == epoch + 1, "its epoch is nobody's"
        if copies == "both":
            assert result.reason is SessionReason.BREAK
            assert [one.found.kind for one in await breaks(desk)] == [BreakKind.SAVED_STATE]
        else:
            assert result.reason is SessionReason.WINDOW, result.message
            (said,) = await decisions(database_url, "saved state damaged")
            assert "OTHER" in said


@pytest.mark.parametrize("copies", ["newest", "both"])
async def test_a_state_of_a_later_version_is_told_and_stops_nobody(
    open_desk: OpenDesk, database_url: str, copies: str
) -> None:
    """As after a deploy that was taken back, at every market at once."""
    async with open_desk() as desk:
        await quote(desk, 1)
        state = saved(desk)
        if copies == "both":
            files(desk)[1].unlink()
        later = write_state(replace(state, format=2)).replace(b'"cash":', b'"money":')
        saved_files(desk).save(MARKET, later, state.at_ms, state.epoch)
        for _ in range(2):
            result = await quote(desk, 1)
            assert result.reason is SessionReason.WINDOW, result.message
        (said,) = await decisions(database_url, "saved state of another version")
        assert "not readable by this version" in said
        assert ("an older copy" in said) == (copies == "newest")
        assert await breaks(desk) == ()
        assert saved(desk).left


async def test_with_no_whole_copy_the_market_waits_for_a_person(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        await quote(desk, 1)
        for one in files(desk):
            one.write_bytes(b"nonsense")
        refused = await quote(desk, 1)
        assert refused.reason is SessionReason.BREAK
        assert refused.cleared
        (known,) = await breaks(desk)
        assert (known.open, known.found.kind) == (True, BreakKind.SAVED_STATE)
        assert "flotilla reconcile" in known.found.text
        again = await quote(desk, 1)
        assert again.reason is SessionReason.BREAK, "its gate is closed until somebody settles it"
        assert len(await breaks(desk)) == 1
        assert not (await settle(desk, known, BreakDecision.RECHECK)).refused
        assert (await quote(desk, 1)).reason is SessionReason.WINDOW


class Exhausted(SavedFolder):
    """Saved states that a process without file descriptors cannot read."""

    def load(self, market: MarketId) -> tuple[KeptCopy, ...]:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), market.symbol)


async def test_a_process_that_can_read_nothing_now_tries_again_and_calls_nothing_damaged(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as real:
        await quote(real, 1)
        before = [one.read_bytes() for one in files(real)]
        folder = real.state_dir.parent / "data" / "saved"
        ports = replace(real.ports, saved=Exhausted(folder))
        desk = replace(real, ports=ports, activities=MarketActivities(ports))
        with pytest.raises(ApplicationError, match="could not be read: Too many open") as failed:
            await quote(desk, 1)
        assert (failed.value.type, failed.value.non_retryable) == ("Unavailable", False)
        assert await breaks(real) == ()
        assert [one.read_bytes() for one in files(real)] == before
        assert (await quote(real, 1)).reason is SessionReason.WINDOW


async def test_a_damaged_state_is_set_aside_only_when_its_break_is_on_record(
    open_desk: OpenDesk,
) -> None:
    """Or who died in between would have the next one start as if nothing had been saved."""
    async with open_desk() as desk:
        await quote(desk, 1)
        for one in files(desk):
            one.write_bytes(b"nonsense")
        ports = dying_at(desk.ports, "breaks", "open", after=False)
        dying = replace(desk, ports=ports, activities=MarketActivities(ports))
        with pytest.raises(ApplicationError, match="died at open"):
            await quote(dying, 1)
        assert (await quote(desk, 1)).reason is SessionReason.BREAK
        assert [one.found.kind for one in await breaks(desk)] == [BreakKind.SAVED_STATE]


async def test_a_state_saved_by_a_clock_that_ran_ahead_serves_and_holds_nobody(
    open_desk: OpenDesk,
) -> None:
    """The clock was set right since, and quoting shall go on by itself."""
    async with open_desk() as desk:
        state = await crashed(desk)
        ahead = replace(state, at_ms=state.at_ms + 3_600_000, compared=True)
        save(desk, replace(ahead, peak=state.cash + 1_000))
        ended = await quote(desk, 5)
        assert ended.reason is SessionReason.DRAWDOWN, "its peak counts"
        assert await breaks(desk) == ()
        assert saved(desk).at_ms < ahead.at_ms, "and the next one is saved over it"


async def test_a_peak_that_postgres_lost_still_counts(open_desk: OpenDesk) -> None:
    """With its peak forgotten, a market could fall twice as far."""
    async with open_desk() as desk:
        state = await crashed(desk)
        save(desk, replace(state, peak=state.cash + 1_000, compared=True))
        ended = await quote(desk, 5)
        assert ended.reason is SessionReason.DRAWDOWN
        other = replace(state, peak=state.cash + 1_000, compared=True, life_epoch=77)
        save(desk, replace(other, epoch=ended.epoch))
        assert (await quote(desk, 1)).reason is SessionReason.WINDOW, "another life has its own"


async def test_a_fill_that_was_heard_and_is_nowhere_is_told(
    open_desk: OpenDesk, database_url: str
) -> None:
    async with open_desk() as desk:
        state = replace(await crashed(desk), compared=True)
        save(desk, replace(state, last_trade="heard-1", last_trade_ms=state.at_ms))
        result = await quote(desk, 1)
        assert result.reason is SessionReason.WINDOW, "nothing is held over a word alone"
        (said,) = await decisions(database_url, "fill unknown")
        assert f"fill heard-1 was heard by epoch {state.epoch}" in said
        assert sum("fill unknown" in one for one in await alerts(database_url)) == 1
        await quote(desk, 1)
        assert len(await decisions(database_url, "fill unknown")) == 1, "it left by then"
