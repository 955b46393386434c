"""Pages of a kill and of the control desk in the Temporal UI: Markdown from plain values."""

from datetime import UTC, datetime

from activities.kill_messages import MarketAnswer
from desk.records import Kill, KillStage
from workflows.kill_messages import ControlStatus, KillStatus

_SHOWN = 60
_GAP = "\u00a0" * 4
_LIFTING = (
    "Lift it with `flotilla unkill --scope {scope} --by NAME --reason WHY`; markets do not start "
    "by themselves."
)
_STOPPING = (
    'Stop with signal `kill`: `{"scope": "fleet", "reason": "why", "by": "you"}`; scopes are '
    'fleet, venue:V, account:V/A and market:V/A/S; with `"flatten": true` positions are traded '
    "to zero. Lift with update `lift`, at the same scope."
)
_STAGES = (
    KillStage.REQUESTED,
    KillStage.GATE_CLOSED,
    KillStage.CANCELS_SENT,
    KillStage.LISTED_ZERO,
    KillStage.FLAT,
)


def kill_page(status: KillStatus) -> str:
    """Who has answered, laggards first with what they wait for; times since the command."""
    asked = len(status.markets)
    told = [
        "recorded" if status.recorded else "not recorded yet",
        "on the kill board" if status.on_board else "not on the kill board yet",
    ]
    lines = [
        f"## Kill of {status.scope}: {status.answered} of {asked} markets have answered",
        f"{status.news}",
        "",
        f"By {status.by} at {_moment(status.at_ms)}, to {status.effect.value}: {status.reason}",
        "",
        f"{', '.join(told)}. {_LIFTING.format(scope=status.scope)}",
        "",
        _row("market", *(stage.value.replace("_", " ") for stage in _STAGES), "waiting for"),
        "|---|---|---|---|---|---|---|",
    ]
    ordered = sorted(status.markets, key=lambda one: (not one.waiting_for, one.market))
    lines += [_market(one, status.at_ms) for one in ordered[:_SHOWN]]
    if len(ordered) > _SHOWN:
        lines += ["", f"… and {len(ordered) - _SHOWN} more that have answered or wait alike"]
    return "\n".join(lines)


def control_page(status: ControlStatus) -> str:
    """Kills in force, how far they are, and which workers can be told directly."""
    lines = [f"## Fleet {status.fleet}: {len(status.kills)} kills in force", ""]
    if status.unread:
        lines += [f"The record cannot be read: {status.unread}", ""]
    lines += [f"**Not understood, nothing was killed:** {one}  " for one in status.misread]
    if status.kills:
        lines += ["", _row("scope", "to", "by", "reason", "since", "until", "answered")]
        lines += ["|---|---|---|---|---|---|---|"]
        lines += [
            _row(*_standing(one.kill), f"{one.answered} of {one.asked}") for one in status.kills
        ]
    lines += [
        "",
        _STOPPING,
        "",
        f"Workers told directly: {', '.join(status.workers) or 'none'}",
    ]
    return "\n".join(lines)


def alarm_text(kill: Kill, status: KillStatus, after_s: int) -> str:
    """One sentence about those who have not answered."""
    late = status.laggards
    named = "; ".join(f"{one.market.path} ({one.waiting_for})" for one in late[:5])
    more = f"; and {len(late) - 5} more" if len(late) > 5 else ""
    return (
        f"kill of {kill.scope} by {kill.by}: {len(late)} of {len(status.markets)} markets have not "
        f"answered after {after_s} s: {named}{more}; see docs/runbooks/kill.md"
    )


def _standing(kill: Kill) -> tuple[str, ...]:
    until = "lifted by a person" if kill.until_ms is None else _moment(kill.until_ms)
    return (kill.scope, kill.effect.value, kill.by, kill.reason, _moment(kill.at_ms), until)


def _market(one: MarketAnswer, since_ms: int) -> str:
    seen = {stage.stage: stage.at_ms for stage in one.stages}
    times = [_after(seen.get(stage), since_ms) for stage in _STAGES]
    return _row(one.market.path, *times, one.waiting_for or one.unverified)


def _after(at_ms: int | None, since_ms: int) -> str:
    return "" if at_ms is None else f"+{(at_ms - since_ms) / 1_000:.3f} s"


def _moment(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1_000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _row(*cells: object) -> str:
    # The UI draws tables without padding: the cells bring their own.
    texts = ("-" if cell in (None, "") else str(cell) for cell in cells)
    return "| " + " | ".join(f"{text}{_GAP}" for text in texts) + " |"
