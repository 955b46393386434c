"""The wall clock of one worker's machine steps while it quotes; the venue's and ours stay right.

Leases are on Redis' own clock and permits on the monotonic one, so the step ends neither: it is
the comparison with the venue that does.
"""

from pathlib import Path

import pytest

import tests.chaos.stepped
from tests.chaos.ground import Market
from tests.chaos.invariants import GateClosed
from tests.chaos.matrix import SLOW_S
from tests.chaos.outages import now_ms
from tests.chaos.verdict import judged

pytestmark = pytest.mark.timeout(400)

_NOTICED_S = 60.0
"""A session compares clocks this often, and somewhat more on a busy machine."""
_LOOK_S = 3.0
_STEPS = {"ahead": 5, "an hour ahead": 3_600, "an hour back": -3_600}


class Clock:
    """The wall clock of the workers that were started with its `settings`."""

    def __init__(self, file: Path) -> None:
        self._file = file

    @property
    def settings(self) -> dict[str, str]:
        (folder,) = tests.chaos.stepped.__path__
        return {"PYTHONPATH": folder, "STEPPED_CLOCK": str(self._file)}

    def step(self, seconds: int) -> None:
        """Be so many seconds off from now on."""
        new = self._file.with_suffix(".new")
        new.write_text(str(seconds))
        new.replace(self._file)


@pytest.mark.parametrize("step", _STEPS)
async def test_a_worker_whose_clock_steps_stands_down_until_it_is_right(
    market: Market, tmp_path: Path, step: str
) -> None:
    clock = Clock(tmp_path / "clock")
    clock.step(0)
    await market.worker(**clock.settings)
    await market.start()
    await market.until("the first quotes rest", market.has_quotes)
    await market.hold_a_position()
    epoch = await market.epoch()
    clock.step(_STEPS[step])
    took = await market.until("nothing rests", market.has_none, within_s=_NOTICED_S)
    print(f"stepped {step}: nothing rested after {took:.2f} s")  # noqa: T201
    since_ms = now_ms()
    await market.stays("nothing rests", market.has_none, for_s=_LOOK_S)
    assert "set this machine's clock" in str(await market.status())
    gate = GateClosed(at_ms=since_ms, until_ms=now_ms(), in_flight_ns=0)
    clock.step(0)
    await market.until("it quotes anew", lambda: market.quotes_above(epoch), within_s=SLOW_S)
    await market.finish(within_s=SLOW_S)
    await judged(market, gates=(gate,))
