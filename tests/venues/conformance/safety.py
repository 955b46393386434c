"""V-5xx and V-6xx: instruments, exits, clocks, secrets and addresses are safe to build on."""

import pytest

from desk.errors import ConfigurationFault, VenueError
from desk.orders import NewOrder, OutcomeKind, RejectReason, TimeInForce
from desk.units import Side, Ticks
from tests.venues.conformance.harness import Harness, Target, Trouble, skip_without, trouble
from tests.venues.conformance.stage import Stage, eventually

_CLOCK_TOLERANCE_MS = 1_500


def _exit(stage: Stage, side: Side, price: Ticks, lots: int) -> NewOrder:
    return stage.order(
        side,
        price,
        lots,
        time_in_force=TimeInForce.IOC,
        post_only=False,
        reduce_only=True,
    )


async def _become_long(stage: Stage) -> int:
    order = await stage.place_inside(Side.BUY)
    await stage.hit(order, order.lots)
    position = await stage.venue.account.position(stage.instrument)
    assert position.lots == order.lots
    return position.lots


class SafetyCases:
    async def test_v510_instruments_are_sound(self, harness: Harness) -> None:
        listed = await harness.venue.instruments()
        assert harness.instrument.symbol in {one.symbol for one in listed if one.active}
        assert len({one.symbol for one in listed}) == len(listed)
        for one in listed:
            assert one.tick_size > 0
            assert one.lot_size > 0
            assert one.multiplier > 0
            assert one.min_lots >= 1
            assert one.min_notional >= 0
            if one.band_low is not None and one.band_high is not None:
                assert 0 <= one.band_low < one.band_high

    async def test_v520_an_exit_flattens_and_never_flips(self, harness: Harness) -> None:
        stage = Stage(harness)
        await stage.still()
        held = await _become_long(stage)
        bid, _ = await stage.touch()
        outcome = await stage.send(_exit(stage, Side.SELL, bid - 200, 3 * held), position=held)
        assert {order.kind for order in outcome.orders} <= {
            OutcomeKind.ACCEPTED,
            OutcomeKind.REJECTED,
        }
        if outcome.orders[0].kind is OutcomeKind.REJECTED:
            bid, _ = await stage.touch()
            await stage.send(_exit(stage, Side.SELL, bid - 200, held), position=held)

        async def lots() -> int:
            return (await harness.venue.account.position(harness.instrument)).lots

        assert await eventually(lots, lambda left: left == 0) == 0
        sold = sum(one.lots for one in await harness.fills() if one.side is Side.SELL)
        assert sold == held
        await stage.rests(())

    async def test_v521_an_exit_of_a_flat_account_opens_nothing(self, harness: Harness) -> None:
        stage = Stage(harness)
        bid, _ = await stage.still()
        outcome = await stage.send(_exit(stage, Side.SELL, bid - 20, stage.size()))
        assert not any(order.filled for order in outcome.orders)
        assert await harness.fills() == []
        assert (await harness.venue.account.position(harness.instrument)).lots == 0

    async def test_v522_an_exit_may_go_beside_a_resting_ladder(self, harness: Harness) -> None:
        stage = Stage(harness)
        await stage.still()
        held = await _become_long(stage)
        ladder = await stage.ladder()
        await stage.place(*ladder)
        bid, _ = await stage.touch()
        await stage.send(_exit(stage, Side.SELL, bid - 20, held), position=held)

        async def lots() -> int:
            return (await harness.venue.account.position(harness.instrument)).lots

        assert await eventually(lots, lambda left: left == 0) == 0
        await stage.rests(order.client_order_id for order in ladder)

    async def test_v523_the_venues_own_close_takes_a_part_and_then_the_rest(
        self, harness: Harness
    ) -> None:
        skip_without("its own close", has=harness.venue.capabilities.closes_positions)
        stage = Stage(harness)
        await stage.still()
        held = await _become_long(stage)
        ladder = await stage.ladder()
        await stage.place(*ladder)
        part = stage.unit
        for lots in (part, held - part, held):
            outcome = await stage.close(Side.SELL, lots, position=held)
            assert outcome.orders[0].filled in {None, 0, lots}
        assert (await harness.venue.account.position(harness.instrument)).lots == 0
        sold = [one.lots for one in await harness.fills() if one.side is Side.SELL]
        assert sum(sold) == held
        assert outcome.orders[0].kind is OutcomeKind.REJECTED, "there was nothing left to close"
        await stage.rests(order.client_order_id for order in ladder)

    async def test_v524_a_close_without_an_answer_is_the_same_close_again(
        self, harness: Harness
    ) -> None:
        skip_without("its own close", has=harness.venue.capabilities.closes_positions)
        stage = Stage(harness)
        await stage.still()
        held = await _become_long(stage)
        await trouble(harness, Trouble.RESPONSE_LOST, Target.CLOSES)
        lost = await stage.close(Side.SELL, stage.unit, position=held, client_order_id="fclose-1")
        assert lost.orders[0].kind is OutcomeKind.UNRESOLVED
        again = await stage.close(Side.SELL, stage.unit, position=held, client_order_id="fclose-1")
        assert again.orders[0].kind is OutcomeKind.UNRESOLVED
        assert again.orders[0].reason is RejectReason.DUPLICATE
        assert sum(one.lots for one in await harness.fills() if one.side is Side.SELL) == stage.unit

    async def test_v525_without_a_close_of_its_own_nothing_is_sent(self, harness: Harness) -> None:
        if harness.venue.capabilities.closes_positions:
            pytest.skip("the venue closes positions by itself")
        stage = Stage(harness)
        await stage.still()
        held = await _become_long(stage)
        outcome = await stage.close(Side.SELL, held, position=held)
        assert [order.kind for order in outcome.orders] == [OutcomeKind.REJECTED]
        assert outcome.old_gone is False
        assert (await harness.venue.account.position(harness.instrument)).lots == held

    async def test_v526_an_order_that_waits_too_long_for_a_connection_never_leaves(
        self, harness: Harness
    ) -> None:
        """The permit was asked before it waited; it may be gone when a connection is free."""
        stage = Stage(harness)
        await stage.still()
        resting = await stage.ladder()
        await stage.place(*resting)
        busy = harness.keep_order_connections_busy(1.5)
        outcome = await stage.send(*await stage.ladder())
        assert {one.kind for one in outcome.orders} == {OutcomeKind.REJECTED}
        assert {one.reason for one in outcome.orders} == {RejectReason.NOT_SENT}
        await busy
        more = await stage.ladder()
        await stage.place(*more)
        await stage.rests(order.client_order_id for order in (*resting, *more))

    async def test_v527_an_exit_waits_for_a_connection_as_long_as_it_takes(
        self, harness: Harness
    ) -> None:
        stage = Stage(harness)
        await stage.still()
        held = await _become_long(stage)
        bid, _ = await stage.touch()
        busy = harness.keep_order_connections_busy(1.5)
        await stage.send(_exit(stage, Side.SELL, bid - 20, held), position=held)
        await busy

        async def lots() -> int:
            return (await harness.venue.account.position(harness.instrument)).lots

        assert await eventually(lots, lambda left: left == 0) == 0

    async def test_v530_the_venues_clock_is_seen(self, harness: Harness) -> None:
        assert abs(await harness.venue.clock_offset_ms()) <= _CLOCK_TOLERANCE_MS
        await trouble(harness, Trouble.CLOCK_SKEW, Target.EVERYWHERE, skew_s=30, for_s=60)
        offset = await harness.venue.clock_offset_ms()
        assert abs(offset - 30_000) <= _CLOCK_TOLERANCE_MS

    async def test_v540_secrets_are_neither_shown_nor_logged(
        self,
        harness: Harness,
        capfd: pytest.CaptureFixture[str],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        assert harness.secrets
        stage = Stage(harness)
        shown = []
        with caplog.at_level("DEBUG"):
            for kind in (Trouble.SESSION_EXPIRED, Trouble.ERROR_BEFORE, Trouble.REQUEST_LOST):
                orders = await stage.ladder()
                for target in (Target.ORDERS, Target.CANCELS):
                    await trouble(harness, kind, target, count=2)
                shown.append(repr(await stage.send(*orders)))
                for _ in range(2):
                    try:
                        shown.append(repr(await harness.venue.execution.cancel_all(None)))
                    except VenueError as error:
                        shown.append(f"{error!r} {error.__cause__!r} {error.__context__!r}")
        venue = harness.venue
        parts = (venue, venue.feed, venue.account, venue.execution)
        shown += [f"{part!r} {part!s} {vars(part)!r}" for part in parts]
        captured = capfd.readouterr()
        everything = "\n".join([*shown, captured.out, captured.err, caplog.text])
        for secret in harness.secrets:
            assert secret not in everything

    @pytest.mark.parametrize("host", ["venue.example", "10.1.2.3", "localhost.example"])
    async def test_v610_plain_http_to_elsewhere_is_refused(
        self, harness: Harness, host: str
    ) -> None:
        with pytest.raises(ConfigurationFault, match="http"):
            await harness.venue_at(f"http://{host}")
