"""V-2xx: the book heard is the venue's book, and every loss is told before anything else."""

import pytest

from desk.market import BookDelta, BookSnapshot, FeedEvent, FeedLost
from tests.venues.conformance.harness import Harness, Target, Trouble, trouble
from tests.venues.conformance.stage import Ear, Stage, eventually, heard_book

_CHANGES = 8


def _changes(events: list[FeedEvent]) -> int:
    return sum(isinstance(event, BookDelta) for event in events)


async def _agrees(harness: Harness, ear: Ear[FeedEvent]) -> None:
    """Stop the market, and the book heard becomes the venue's own."""
    await harness.quiet()

    async def both() -> tuple[object, object]:
        bids, asks = await harness.book()
        depth = min(len(bids), len(asks))
        heard_bids, heard_asks = heard_book(ear.events, depth)
        return (heard_bids, heard_asks), (list(bids)[:depth], list(asks)[:depth])

    await eventually(both, lambda seen: seen[0] == seen[1])


async def _lost_then_snapshot(ear: Ear[FeedEvent], after: int) -> None:
    """After this place, nothing but changes come before the loss, and then a snapshot."""
    lost = await ear.hears(FeedLost, after)
    again = await ear.hears(BookSnapshot, after)
    assert lost < again
    between = ear.events[lost + 1 : again]
    assert not [event for event in between if isinstance(event, BookDelta)]


class FeedCases:
    async def test_v210_after_many_changes_the_book_is_the_venues(self, harness: Harness) -> None:
        stage = Stage(harness)
        async with stage.feed() as ear:
            await ear.until(lambda events: _changes(events) >= _CHANGES, "enough changes")
            await _agrees(harness, ear)

    async def test_v211_our_own_orders_are_part_of_the_book(self, harness: Harness) -> None:
        stage = Stage(harness)
        await stage.still()
        async with stage.feed() as ear:
            for _ in range(3):
                await stage.send(*await stage.ladder(), replace_all=True)
                await _agrees(harness, ear)
            await harness.venue.execution.cancel_all(harness.instrument)
            await _agrees(harness, ear)

    async def test_v212_snapshots_are_sorted_positive_and_not_crossed(
        self, harness: Harness
    ) -> None:
        async with Stage(harness).feed() as ear:
            snapshot = ear.events[await ear.hears(BookSnapshot)]
            assert isinstance(snapshot, BookSnapshot)
            bids, asks = list(snapshot.bids), list(snapshot.asks)
            assert bids == sorted(bids, reverse=True)
            assert asks == sorted(asks)
            assert bids[0][0] < asks[0][0]
            assert all(lots > 0 for _, lots in (*bids, *asks))

    async def test_v213_numbers_of_changes_follow_each_other(self, harness: Harness) -> None:
        async with Stage(harness).feed() as ear:
            await ear.until(lambda events: _changes(events) >= _CHANGES, "enough changes")
            last: int | None = None
            for event in ear.events:
                if isinstance(event, BookDelta) and event.previous is not None:
                    assert event.previous == last
                if isinstance(event, BookDelta | BookSnapshot):
                    last = event.sequence

    async def test_v220_a_cut_stream_is_told_and_followed_by_a_snapshot(
        self, harness: Harness
    ) -> None:
        async with Stage(harness).feed() as ear:
            heard = len(ear.events)
            await trouble(harness, Trouble.CUT_FRAME, Target.BOOK_STREAM)
            await _lost_then_snapshot(ear, heard)
            await _agrees(harness, ear)

    async def test_v221_a_silent_stream_is_told_in_time(self, harness: Harness) -> None:
        if harness.idle_timeout_s > 3:
            pytest.skip("the harness's idle_timeout_s is too long to wait for")
        async with Stage(harness).feed() as ear:
            heard = len(ear.events)
            await trouble(
                harness,
                Trouble.SILENT_STREAM,
                Target.BOOK_STREAM,
                for_s=harness.idle_timeout_s * 1.5,
            )
            await _lost_then_snapshot(ear, heard)

    async def test_v230_a_gap_leads_to_a_fresh_snapshot(self, harness: Harness) -> None:
        async with Stage(harness).feed() as ear:
            heard = len(ear.events)
            await trouble(harness, Trouble.DROP_EVENT, Target.BOOK_STREAM)
            await _lost_then_snapshot(ear, heard)
            await _agrees(harness, ear)

    @pytest.mark.parametrize("kind", [Trouble.DUPLICATE_EVENT, Trouble.SPLIT_FRAMES])
    async def test_v231_repeats_and_splits_do_no_harm(
        self, harness: Harness, kind: Trouble
    ) -> None:
        async with Stage(harness).feed() as ear:
            heard = len(ear.events)
            await trouble(harness, kind, Target.BOOK_STREAM, count=3)
            await ear.until(lambda events: _changes(events[heard:]) >= _CHANGES, "more changes")
            assert not [event for event in ear.events if isinstance(event, FeedLost)]
            await _agrees(harness, ear)

    async def test_v240_a_resnapshot_is_a_loss_and_a_snapshot(self, harness: Harness) -> None:
        async with Stage(harness).feed() as ear:
            heard = len(ear.events)
            harness.venue.feed.resnapshot(harness.instrument.symbol, "crossed")
            await _lost_then_snapshot(ear, heard)
            lost = ear.events[await ear.hears(FeedLost, heard)]
            assert isinstance(lost, FeedLost)
            assert "crossed" in lost.reason
