"""The market's page in the Temporal UI: Markdown from plain values, no decisions."""

from datetime import UTC, datetime

from activities.messages import SessionResult
from quoting.progress import SessionProgress
from workflows.messages import MarketStatus

_STATES_SHOWN = 12
_GAP = "\u00a0" * 4


def details_page(status: MarketStatus, news: str) -> str:
    """State, epoch, quotes, inventory, PnL and last reason of one market."""
    lines = [
        f"## {status.market}: {status.state.value}",
        f"{news}",
        "",
        _row("epoch", "sessions", "cycles", "requotes", "fills", "parameters"),
        "|---|---|---|---|---|---|",
        _row(
            status.epoch or "-",
            status.sessions,
            status.cycles,
            status.requotes,
            status.fills,
            f"v{status.parameters.version}",
        ),
        "",
    ]
    lines += _trouble_lines(status)
    if status.progress is not None:
        lines += _progress_lines(status.progress)
    lines += ["### Life", _row("at", "state", "reason"), "|---|---|---|"]
    lines += [
        _row(change.at[:19], change.state.value, change.reason)
        for change in status.history[-_STATES_SHOWN:]
    ]
    if status.flatten_steps:
        lines += [
            "",
            "### Flatten",
            _row("step", "before", "after", "outcome"),
            "|---|---|---|---|",
        ]
        lines += [
            _row(step.step, step.before, step.after, step.outcome)
            for step in status.flatten_steps[-_STATES_SHOWN:]
        ]
    return "\n".join(lines)


def session_sentence(result: SessionResult) -> str:
    """Why a session ended, in one sentence."""
    words = result.reason.value.replace("_", " ")
    return f"{words}: {result.message}" if result.message else words


def _progress_lines(progress: SessionProgress) -> list[str]:
    return [
        _row("bids", "mid", "asks"),
        "|---|---|---|",
        _row("<br>".join(progress.bids), progress.mid, "<br>".join(progress.asks)),
        "",
        _row("inventory", "PnL", "peak"),
        "|---|---|---|",
        _row(progress.inventory, progress.pnl, progress.peak),
        "",
        *_safety_lines(progress),
    ]


def _trouble_lines(status: MarketStatus) -> list[str]:
    lines = []
    if status.waits_for_a_person:
        lines.append(f"**Waits for a person:** {status.waits_for_a_person}")
    if status.troubles:
        lines.append(f"Ends by trouble that count towards `max_restarts`: {status.troubles}.")
    return [*lines, ""] if lines else []


def _safety_lines(progress: SessionProgress) -> list[str]:
    lines = []
    if progress.dead_man_until_ms is not None:
        until = datetime.fromtimestamp(progress.dead_man_until_ms / 1_000, UTC)
        lines.append(f"The venue's dead-man timer is armed until {until:%Y-%m-%d %H:%M:%S} UTC.")
    if progress.round_trip_p95_ms is not None:
        usual = progress.usual_round_trip_ms or "being learned"
        lines.append(
            f"Orders are answered in {progress.round_trip_p95_ms} ms (p95; usual: {usual})."
        )
    if progress.foreign_orders:
        lines.append(f"{progress.foreign_orders} orders here are not ours and were left alone.")
    return [*lines, ""] if lines else []


def _row(*cells: object) -> str:
    # The UI draws tables without padding: the cells bring their own.
    texts = ("-" if cell in (None, "") else str(cell) for cell in cells)
    return "| " + " | ".join(f"{text}{_GAP}" for text in texts) + " |"
