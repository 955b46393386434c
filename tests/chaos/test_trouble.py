"""Trouble that is not over at once: errors at the venue are waited out, a death may flatten."""

from desk.lifecycle import SessionReason
from tests.chaos.ground import Market, kill

_BULK = "/perps/quotes/bulk"
_REST_S = 30


async def test_a_dead_worker_is_followed_by_a_flatten_where_that_is_asked_for(
    market: Market,
) -> None:
    first = await market.quoting(on_worker_death="flatten", flatten_slices=2)
    await market.hold_a_position()
    await market.worker()
    await kill(first)
    result = await market.ended(within_s=90)
    assert [change.state.value for change in result.states][-3:] == [
        "flattening",
        "standing_down",
        "stopped",
    ]
    assert result.final.venue_position == 0
    log = await market.log()
    assert log.positions()[-1] == 0
    # Until the dead worker's quotes are gone, one of them may still be filled, and end it by that.
    for first_exit in log.exits()[:1]:
        assert log.flips_after(first_exit.sequence) == []


async def test_errors_at_the_venue_are_waited_out_with_nothing_resting(market: Market) -> None:
    await market.quoting(max_errors=3, level_spacing_bps="3")
    epoch = await market.epoch()
    fault = {"kind": "error_before", "path": _BULK, "count": None, "probability": 0.7}
    await market.venue.post("faults", [fault])

    async def held() -> bool:
        return "holding" in await market.been()

    await market.until("it holds", held, within_s=60)
    await market.until("nothing rests", market.has_none)
    status = await market.status()
    assert any(
        change.reason.startswith(SessionReason.ERROR_RATE.value.replace("_", " "))
        for change in status.history
    ), status.history
    await market.calm()
    await market.until("it quotes again", lambda: market.quotes_above(epoch), within_s=3 * _REST_S)
    result = await market.finish()
    assert result.final.ledger_equals_venue
