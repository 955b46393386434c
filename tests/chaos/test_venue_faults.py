"""The venue misbehaves under quoting: whatever was lost, doubled or late, the books end equal."""

import asyncio
from typing import Any

import pytest

from tests.chaos.ground import Market

_BULK = "/perps/quotes/bulk"
_BOOK = "*/book-stream"
_USER = "*/stream/user"

FAULTS: dict[str, list[dict[str, Any]]] = {
    "answers lost after they were applied": [
        {"kind": "response_lost", "path": _BULK, "count": 3, "probability": 0.5},
        {"kind": "truncated_body", "path": _BULK, "count": 2, "skip": 6},
        {"kind": "request_lost", "path": _BULK, "count": 2, "skip": 9},
    ],
    "errors before and after": [
        {"kind": "error_before", "path": _BULK, "count": 3, "probability": 0.5},
        {"kind": "error_after", "path": _BULK, "count": 3, "probability": 0.5, "status": 502},
        {"kind": "error_after", "path": "/perps/orders/cancel-all", "count": 2},
    ],
    "slow down": [
        {"kind": "rate_limited", "path": "/perps/*", "count": 10, "delay_s": 1.0},
    ],
    "broken streams": [
        {"kind": "cut_frame", "path": _BOOK, "count": 2, "probability": 0.2},
        {"kind": "cut_frame", "path": _USER, "count": 2, "probability": 0.5},
        {"kind": "drop_event", "path": _USER, "count": 3, "probability": 0.3},
        {"kind": "drop_event", "path": _BOOK, "count": 3, "probability": 0.1},
        {"kind": "duplicate_event", "path": _USER, "count": 5, "probability": 0.5},
        {"kind": "duplicate_event", "path": _BOOK, "count": 5, "probability": 0.2},
    ],
    "silent streams": [
        {"kind": "silent_stream", "for_s": 8.0, "after_s": 1.0, "count": None},
    ],
    "fills racing cancels": [
        {"kind": "fill_racing_replace", "count": 4, "fraction": 1.0, "delay_s": 0.3},
        {"kind": "fill_racing_cancel", "count": 2, "fraction": 0.5, "delay_s": 0.3},
    ],
}


@pytest.mark.parametrize("what", FAULTS)
async def test_books_agree_after(market: Market, what: str) -> None:
    await market.quoting()
    await market.venue.post("faults", [_here(market, fault) for fault in FAULTS[what]])
    for second in range(8):
        await market.sell_to_us()
        if second == 5:  # cancels everything, so that faults of cancels have their turn
            await market.pause_and_resume()
        await asyncio.sleep(1)
    struck = {fault["kind"]: fault["struck"] for fault in await market.venue.get("faults")}
    print(f"{what}: {struck}")  # noqa: T201
    await market.calm()
    assert any(struck.values())
    await market.until("it quotes again", market.has_quotes, within_s=40)
    await market.finish()


def _here(market: Market, fault: dict[str, Any]) -> dict[str, Any]:
    """Requests and the account's stream name no market; the others are only this test's."""
    return {"market": market.id.symbol, **fault} if "path" not in fault else fault
