"""A crash whose trace cannot be read to its end is looked into as far as it goes, and told."""

from desk.lifecycle import SessionReason
from tests.activities.conftest import OpenDesk
from tests.activities.test_market_activities import quote
from tests.activities.test_recovery import alerts, breaks, crashed, decisions


async def test_a_damaged_trace_of_a_crash_is_told_and_holds_nobody(
    open_desk: OpenDesk, database_url: str
) -> None:
    async with open_desk() as desk:
        await crashed(desk)
        (file,) = (desk.state_dir.parent / "data" / "traces").rglob("*.trace")
        bad = bytearray(file.read_bytes())
        bad[-5] ^= 1
        file.write_bytes(bad)
        assert (await quote(desk, 1)).reason is SessionReason.WINDOW
        (said,) = await decisions(database_url, "crash looked into")
        assert "replayed to the same decisions" in said
        assert "cannot be read: 000001.trace holds a damaged block" in said
        assert any("holds a damaged block" in one for one in await alerts(database_url))
        assert await breaks(desk) == ()
