"""`flotilla losses`: what the trading day lost so far, and what it may lose."""

import asyncio
from decimal import Decimal, InvalidOperation

import click

from activities.loss_messages import LossPicture, ScopeLoss
from activities.losses import look_at_losses
from desk.daily_loss import DayLimits, LimitNames, LossLimit, money
from desk.errors import ConfigurationFault
from desk.records import LOSS
from desk.trading_day import moment
from flotilla.cli.kill import by_option, json_option
from flotilla.cli.render import emit_json, emit_rows, talk
from flotilla.control import open_control

_NAMES = LimitNames(soft="--soft", hard="--hard", drawdown="--drawdown")
_SCOPES = "fleet or account:V/A"


class Amount(click.ParamType[Decimal]):
    """A decimal amount of quote currency."""

    name = "AMOUNT"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Decimal:
        """The amount; click.BadParameter for a text that is none."""
        try:
            return Decimal(str(value))
        except InvalidOperation:
            self.fail(f"'{value}' is not an amount; write it like 250 or 99.5", param, ctx)


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def losses(ctx: click.Context, *, as_json: bool) -> None:
    """Show today's PnL of the fleet, its accounts and markets: start, now, peak, limits, latch.

    PnL is fills and fees, and holdings at the last mid. Deposits and withdrawals are no part of it.
    """
    if ctx.invoked_subcommand is not None:
        return
    picture = asyncio.run(_look())
    rows = [_row(row) for row in picture.scopes]
    if as_json:
        emit_json(
            {
                "day_begins": moment(picture.begins_ms),
                "day_ends": moment(picture.ends_ms),
                "scopes": rows,
                "uncounted": list(picture.uncounted),
                "old_marks": list(picture.old_marks),
            }
        )
        return
    talk(f"trading day {moment(picture.begins_ms)} to {moment(picture.ends_ms)}")
    emit_rows("losses", [_short(row) for row in rows], as_json=False)
    if picture.uncounted:
        talk(f"not counted, no price known yet: {', '.join(picture.uncounted)}")
    if picture.old_marks:
        talk(f"counted at an old price: {', '.join(picture.old_marks)}")


@losses.command(name="set")
@click.option("--scope", required=True, help=f"What is limited: {_SCOPES}.")
@click.option("--soft", type=Amount(), help="No new risk when this is lost since the day's start.")
@click.option("--hard", type=Amount(), help="Flatten when this is lost since the day's start.")
@click.option("--drawdown", type=Amount(), help="Flatten when this far below the day's peak.")
@by_option
@click.option("--reason", required=True, help="Why, for the record.")
@json_option
def set_(
    scope: str,
    soft: Decimal | None,
    hard: Decimal | None,
    drawdown: Decimal | None,
    by: str,
    reason: str,
    *,
    as_json: bool,
) -> None:
    """Put limits in force in place of those the scope had; what is left out is off.

    A limit that is passed already works within about a second. A market's own limits are its
    parameters max_daily_loss and soft_daily_loss.
    """
    limit = LossLimit(
        scope=_checked(scope),
        limits=DayLimits(soft=soft, hard=hard, drawdown=drawdown),
        by=by,
        reason=reason,
    )
    if problems := limit.limits.problems(_NAMES):
        raise ConfigurationFault("; ".join(problems))
    latched = asyncio.run(_set(limit))
    if as_json:
        emit_json({"scope": limit.scope, **_limits(limit.limits), "by": by, "reason": reason})
    else:
        talk(f"limits of {limit.scope}: {_words(limit.limits)}")
    if latched:
        talk(
            f"{latched}; new limits do not lift it, 'flotilla unkill --scope {LOSS}{limit.scope} "
            "--early --by NAME --reason WHY' does"
        )


async def _look() -> LossPicture:
    async with open_control() as control:
        return await look_at_losses(control, record=False)


async def _set(limit: LossLimit) -> str:
    """Record it; a sentence when the scope is latched all the same."""
    async with open_control() as control:
        await control.losses.set_limit(limit)
        for kill in await control.ledger.active_kills():
            if kill.scope == f"{LOSS}{limit.scope}" and kill.until_ms is not None:
                return f"a latch is in force until {moment(kill.until_ms)} ({kill.reason})"
    return ""


def _checked(text: str) -> str:
    kind, _, rest = text.partition(":")
    parts = rest.split("/")
    if text == "fleet" or (kind == "account" and len(parts) == 2 and all(parts)):
        return text
    raise click.BadParameter(f"'{text}' is not {_SCOPES}", param_hint="--scope")


def _row(row: ScopeLoss) -> dict[str, object]:
    return {
        "scope": row.scope,
        "start": row.start,
        "now": row.now,
        "peak": row.peak,
        "since_start": row.now - row.start,
        "below_peak": row.now - row.peak,
        **_limits(row.limits),
        "latch": None if row.latch is None else row.latch.value,
        "until": None if row.latch_until_ms is None else moment(row.latch_until_ms),
    }


def _short(row: dict[str, object]) -> dict[str, object]:
    return {
        name: money(value) if isinstance(value, Decimal) else value for name, value in row.items()
    }


def _limits(limits: DayLimits) -> dict[str, Decimal | None]:
    return {"soft": limits.soft, "hard": limits.hard, "drawdown": limits.drawdown}


def _words(limits: DayLimits) -> str:
    given = [f"{name} {value}" for name, value in _limits(limits).items() if value is not None]
    return ", ".join(given) or "all off"
