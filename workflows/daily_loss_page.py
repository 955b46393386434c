"""The daily losses' page in the Temporal UI: Markdown from plain values, no decisions."""

from decimal import Decimal

from activities.loss_messages import LossPicture, ScopeLoss
from desk.daily_loss import money
from desk.trading_day import moment
from workflows.daily_loss_messages import DailyLossStatus

_MARKETS_SHOWN = 20
_NOTES_SHOWN = 12
_GAP = "\u00a0" * 4
_MEANING = (
    "PnL is fills and fees, and holdings at the last mid; deposits and withdrawals are no part of "
    "it, nor is funding."
)


def losses_page(status: DailyLossStatus) -> str:
    """The day, fleet and accounts, the markets that lost most, and what was latched."""
    if status.picture is None:
        return "## Daily losses\nNot looked yet."
    lines = [*_day_lines(status.picture), "", "### Latched"]
    lines += [_row("at", "scope", "limit", "why", "until"), "|---|---|---|---|---|"]
    lines += [
        _row(note.at[:19], note.scope, note.verdict.value, note.sentence, note.until[:16])
        for note in status.history[-_NOTES_SHOWN:]
    ]
    return "\n".join(lines)


def _day_lines(picture: LossPicture) -> list[str]:
    wide = [row for row in picture.scopes if not row.scope.startswith("market:")]
    markets = [row for row in picture.scopes if row.scope.startswith("market:")]
    markets.sort(key=lambda row: row.now - row.start)
    lines = [
        f"## Daily losses: {moment(picture.begins_ms)} to {moment(picture.ends_ms)}",
        f"Seen {moment(picture.at_ms)}. {_MEANING}",
        "",
        _row(
            *("scope", "start", "now", "peak", "since start", "below peak"),
            *("soft", "hard", "drawdown", "latch"),
        ),
        "|---|---|---|---|---|---|---|---|---|---|",
        *(_scope_row(row) for row in (*wide, *markets[:_MARKETS_SHOWN])),
    ]
    if len(markets) > _MARKETS_SHOWN:
        lines += ["", f"{len(markets) - _MARKETS_SHOWN} more markets lost less."]
    if picture.uncounted:
        lines += ["", f"Not counted, no price known yet: {', '.join(picture.uncounted)}."]
    if picture.old_marks:
        lines += ["", f"Counted at an old price: {', '.join(picture.old_marks)}."]
    return lines


def _scope_row(row: ScopeLoss) -> str:
    limits = row.limits
    until = "" if row.latch_until_ms is None else f" until {moment(row.latch_until_ms)}"
    return _row(
        row.scope,
        money(row.start),
        money(row.now),
        money(row.peak),
        _signed(row.now - row.start),
        _signed(row.now - row.peak),
        limits.soft,
        limits.hard,
        limits.drawdown,
        None if row.latch is None else f"{row.latch.value}{until}",
    )


def _signed(amount: Decimal) -> str:
    return f"+{money(amount)}" if amount > 0 else money(amount)


def _row(*cells: object) -> str:
    # The UI draws tables without padding: the cells bring their own.
    texts = ("-" if cell in (None, "") else str(cell) for cell in cells)
    return "| " + " | ".join(f"{text}{_GAP}" for text in texts) + " |"
