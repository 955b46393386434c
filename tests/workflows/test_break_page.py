"""What a person reads of a break: both sides, whether a gate is closed over it, and what to do."""

import pytest

from desk.breaks import BreakKind
from tests.workflows.scripted_break import Books
from workflows.breaks_messages import BreakStatus
from workflows.breaks_page import alarm_text, break_page

CURED = {BreakKind.GHOST, BreakKind.ORPHAN, BreakKind.MISSED_FILL}


def status_of(kind: BreakKind = BreakKind.POSITION) -> BreakStatus:
    known = Books.at(1_700_000_000_000).known
    return BreakStatus(
        number=known.number,
        open=True,
        kind=kind.value,
        scope=known.found.scope,
        text=known.found.text,
        ours=known.found.ours,
        theirs=known.found.theirs,
        found_by=known.found.found_by,
        found_at_ms=known.found.found_at_ms,
        last_seen_ms=known.last_seen_ms,
    )


def test_the_page_shows_both_sides_and_what_to_do() -> None:
    page = break_page(status_of())
    assert '{"position": "0.0005"}' in page
    assert "2023-11-14 22:13:20 UTC" in page
    assert '`{"decision": "recheck", "by": "you", "reason": "why"}`' in page
    assert "flotilla breaks settle 7 --take venue|recheck" in page
    change = {"open": False, "settled_by": "ana", "decision": "venue"}
    assert "settled by ana (venue)" in break_page(status_of().model_copy(update=change))


@pytest.mark.parametrize("kind", list(BreakKind))
def test_only_what_closes_a_gate_is_said_to_be_held(kind: BreakKind) -> None:
    status = status_of(kind)
    page, alarm = break_page(status), alarm_text(status, 2)
    held = kind not in CURED
    assert ("break:market:ocx/main/BTC-PERP is held until it is settled" in alarm) is held
    assert ("nothing is quoted there until it is settled" in page) is held
    assert ("booked" in page) is held, "there is nothing to decide on what is cured"
    assert ("no gate is closed over it" in alarm) is not held
    assert ("no gate is closed over it" in page.splitlines()[0]) is not held
    assert "open for 2 h" in alarm
    for text in (page, alarm):
        assert "docs/runbooks/break.md" in text
