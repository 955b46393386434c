"""A break's hold ends a session as a break: cancelled, not stood down; a kill beside it wins."""

import pytest

from desk.identity import MarketId
from desk.lifecycle import Command, MarketState, SessionReason, after_session
from desk.permit import Permit, Refusal, wants_answers
from desk.records import Kill, KillEffect, LedgerRecord, kill_scopes
from quoting.answering import KillReply
from quoting.clearing import ClearReport
from quoting.leaving import killed

MARKET = MarketId("ocx", "main", "BTC-PERP")
CLEARED = ClearReport(verified=True, attempts=1, left=0, message="", confirmed_ns=1, verified_ns=2)


def kill(effect: KillEffect, scope: str = "fleet") -> Kill:
    return Kill(scope=scope, reason=f"to {effect.value}", by="ana", at_ms=1, effect=effect)


def permit(*kills: Kill) -> Permit:
    return Permit(max_clock_offset_ms=1, max_ledger_behind_s=1, kills=kills)


HOLD = kill(KillEffect.HOLD, "break:market:ocx/main/BTC-PERP")


@pytest.mark.parametrize(
    ("kills", "reason"),
    [
        ((HOLD,), SessionReason.BREAK),
        ((kill(KillEffect.REDUCE), HOLD), SessionReason.BREAK),
        ((HOLD, kill(KillEffect.STOP)), SessionReason.KILLED),
        ((kill(KillEffect.STOP), HOLD), SessionReason.KILLED),
        ((HOLD, kill(KillEffect.FLATTEN)), SessionReason.KILLED_FLATTEN),
        ((HOLD, kill(KillEffect.STOP), kill(KillEffect.FLATTEN)), SessionReason.KILLED_FLATTEN),
    ],
)
def test_the_hardest_kill_says_how_a_session_ends(
    kills: tuple[Kill, ...], reason: SessionReason
) -> None:
    given = permit(*kills)
    assert given.refusal(0) is Refusal.KILLED, "nothing is sent under any of them"
    leave = killed(given)
    assert leave is not None
    assert leave.reason is reason
    words = "books disagree" if reason is SessionReason.BREAK else "killed at scope fleet"
    assert words in leave.message


def test_a_hold_pauses_the_market_and_a_persons_wish_comes_first() -> None:
    assert after_session(SessionReason.BREAK, Command.NONE) is MarketState.PAUSED
    assert after_session(SessionReason.BREAK, Command.STOP) is MarketState.STANDING_DOWN
    assert after_session(SessionReason.BREAK, Command.FLATTEN) is MarketState.FLATTENING


def test_a_hold_covers_its_market_or_its_whole_account() -> None:
    other = MarketId("ocx", "main", "ETH-PERP")
    assert HOLD.covers(MARKET)
    assert not HOLD.covers(other)
    account = kill(KillEffect.HOLD, "break:account:ocx/main")
    assert account.covers(MARKET)
    assert account.covers(other)
    assert not account.covers(MarketId("ocx", "b", "BTC-PERP"))
    assert account.scope in kill_scopes(MARKET)


class Record:
    """A ledger that keeps what it was given."""

    def __init__(self) -> None:
        self.records: list[LedgerRecord] = []

    def record(self, record: LedgerRecord) -> None:
        self.records.append(record)

    def behind_s(self) -> float:
        return 0.0

    def unrecorded(self, market: MarketId) -> int:
        del market
        return 0

    async def flush(self, timeout_s: float) -> bool:
        return timeout_s > 0


class Clock:
    def monotonic_ns(self) -> int:
        return 10

    def wall_ns(self) -> int:
        return 10_000_000


@pytest.mark.parametrize("effect", list(KillEffect))
def test_only_what_stands_a_market_down_is_answered(effect: KillEffect) -> None:
    ledger = Record()
    reply = KillReply(
        market=MARKET,
        epoch=1,
        owner="w",
        permit=permit(kill(effect)),
        ledger=ledger,
        clock=Clock(),
    )
    reply.gate_closed(0)
    reply.cleared(CLEARED)
    answered = effect in {KillEffect.STOP, KillEffect.FLATTEN}
    assert bool(ledger.records) is answered
    assert wants_answers(kill(effect)) is answered
