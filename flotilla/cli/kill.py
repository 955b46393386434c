"""`flotilla kill`, `unkill`, `kills`: durable orders to stop, set and lifted by a named person."""

import asyncio
import time
from collections.abc import Sequence

import click

from activities.kill_messages import StageSeen
from desk.errors import Unavailable
from desk.identity import MarketId
from desk.permit import wants_answers
from desk.records import LOSS, Kill, KillEffect, KillStage
from desk.scopes import SCOPES, why_by_break, wider_kills
from desk.scopes import checked_scope as scope_of
from flotilla.cli.render import emit_json, emit_rows, talk
from flotilla.control import lift_kills, open_control
from flotilla.failures import RefusedBySafety
from flotilla.kills import (
    KillProgress,
    Told,
    asked_of,
    ended_kill,
    look_at,
    standing,
    tell_everybody,
)
from infra.settings import Settings, load_settings
from venues.registry import BUILDERS

_LOOK_S = 0.5
_FAILED = 1
_EFFECTS = {KillEffect.HOLD: "hold: books disagree"}

scope_option = click.option("--scope", required=True, help=f"What to stop: {SCOPES}.")
reason_option = click.option("--reason", required=True, help="Why, for the record.")
by_option = click.option("--by", required=True, help="Your name, for the record.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")


@click.command()
@scope_option
@reason_option
@by_option
@click.option("--flatten", is_flag=True, help="Trade the positions to zero as well, reduce-only.")
@click.option(
    "--wait", is_flag=True, help="Show the answers; exit 0 only when every market has answered."
)
@json_option
@click.pass_context
def kill(
    context: click.Context,
    scope: str,
    reason: str,
    by: str,
    *,
    flatten: bool,
    wait: bool,
    as_json: bool,
) -> None:
    """Stop quoting in a scope at once; stays in force until a named person lifts it.

    The kill board, the durable record and the control desk in Temporal are told at the same time;
    any one of them is enough to stop. Every market answers: gate closed, cancels sent, zero orders
    listed twice, and flat when asked; 'flotilla kills' shows the answers.
    """
    order = Kill(
        scope=_for_people(scope),
        reason=reason,
        by=by,
        at_ms=time.time_ns() // 1_000_000,
        effect=KillEffect.FLATTEN if flatten else KillEffect.STOP,
    )
    settings = load_settings()
    told = asyncio.run(tell_everybody(settings, order))
    _say_who_was_told(order, told)
    _warn_of_nobody(order, asyncio.run(asked_of(settings, order)))
    complete = asyncio.run(_wait(settings, order)) if wait else None
    if as_json:
        emit_json(
            {
                "scope": order.scope,
                "reason": reason,
                "by": by,
                "at_ms": order.at_ms,
                "effect": order.effect.value,
                "told": {
                    "board": told.board is None,
                    "record": told.record is None,
                    "temporal": told.temporal is None,
                },
                "complete": complete,
            }
        )
    if complete is False:
        context.exit(_FAILED)


@click.command()
@scope_option
@reason_option
@by_option
@click.option("--early", is_flag=True, help="Lift a loss limit's kill before it ends by itself.")
@json_option
def unkill(scope: str, reason: str, by: str, *, early: bool, as_json: bool) -> None:
    """Lift what stands at exactly this scope now. Markets do not start by themselves.

    A kill that somebody sets there meanwhile stays in force, and so do kills of wider scopes,
    which are named. Kills of loss limits (scope loss:…) end by themselves. Holds of breaks (scope
    break:…) end when they are settled: 'flotilla breaks settle'.
    """
    wanted = checked_scope(scope)
    if why := why_by_break(wanted):
        raise RefusedBySafety(why)
    lifted, stands, wider = asyncio.run(_lift(wanted, reason, by, early=early))
    if stands:
        raise RefusedBySafety(
            f"scope: another kill was set at {wanted} meanwhile and stays in force; 'flotilla "
            "kills' shows whose, as soon as it is recorded; repeat the command to lift it too"
        )
    if not lifted:
        raise RefusedBySafety(
            f"scope: no kill is in force at {wanted}; 'flotilla kills' lists those that are"
        )
    still = [{"scope": one.scope, "by": one.by, "reason": one.reason} for one in wider]
    if as_json:
        emit_json(
            {"scope": wanted, "lifted": True, "by": by, "reason": reason, "still_stopped_by": still}
        )
    else:
        talk(f"lifted: {wanted}")
    for one in wider:
        talk(f"still stopped by the kill of {one.scope} ({one.by}: {one.reason})")


@click.command()
@json_option
def kills(*, as_json: bool) -> None:
    """List the kills in force, and how far every market has answered.

    'hold: books disagree' is a break, which nobody answers: see 'flotilla breaks list'.
    """
    found = asyncio.run(standing(load_settings()))
    if as_json:
        emit_json([_as_json(one) for one in found])
        return
    emit_rows("kills in force", [_row(one) for one in found], as_json=False)
    for one in found:
        for market in one.late if wants_answers(one.kill) else ():
            talk(f"{one.kill.scope}: {market.path} {_furthest(one.markets[market])}")


def checked_scope(text: str) -> str:
    """The scope in its one spelling; click.BadParameter otherwise."""
    try:
        return scope_of(text, BUILDERS)
    except ValueError as error:
        said = str(error).removeprefix("scope: ")
        raise click.BadParameter(said, param_hint="--scope") from error


def _for_people(text: str) -> str:
    """A scope at which a person may set a kill; click.BadParameter otherwise."""
    scope = checked_scope(text)
    if why := why_by_break(scope):
        raise click.BadParameter(why.removeprefix("scope: "), param_hint="--scope")
    return scope


def _say_who_was_told(order: Kill, told: Told) -> None:
    """Unavailable when the kill is not in force for sure, or not durable."""
    if told.board and told.record and told.temporal:
        raise Unavailable(
            f"nobody was told of the kill ({told.board}; {told.record}; {told.temporal}); put a "
            "file KILL into the state folder of every worker's machine, and repeat the command "
            "when a service is back"
        )
    if told.record and told.temporal:
        raise Unavailable(
            f"the kill of {order.scope} is in force but not durable yet ({told.record}; "
            f"{told.temporal}); repeat the command when PostgreSQL or Temporal is back"
        )
    talk(f"killed: {order.scope}; sessions cancel everything and stand down")
    if told.board:
        # A board that cannot be read stops sessions by itself.
        talk(f"warning: the kill board was not told ({told.board}); workers copy it from the rest")
    if told.record:
        talk(f"warning: not in the record yet ({told.record}); Temporal writes it there")
    if told.temporal:
        talk(f"warning: Temporal was not told ({told.temporal}); workers tell it from the record")


def _warn_of_nobody(order: Kill, markets: Sequence[MarketId] | None) -> None:
    if markets is not None and not markets:
        talk(
            f"warning: {order.scope} covers no market that was ever quoted; the kill stays in "
            "force: look whether the scope is spelled as meant"
        )


async def _wait(settings: Settings, order: Kill) -> bool | None:
    """Show answers as they come; whether every market has answered, None without any to ask."""
    said: set[tuple[str, KillStage]] = set()
    while True:
        # Asked first: what it says is not newer than the answers shown below it.
        ended = await ended_kill(settings, order)
        try:
            found, over = await look_at(settings, order)
        except Unavailable as trouble:
            talk(f"the answers cannot be read: {trouble}")
        else:
            _show_new(found, said)
            if over:
                talk("the kill was lifted or replaced before every market had answered")
                return False
            if ended and not found.markets:
                return None
            if ended:
                talk(f"complete: {len(found.markets) - len(found.late)} markets have answered")
                for market in found.late:
                    talk(f"  {market.path} could not be looked at: no worker has its settings")
                return True
        await asyncio.sleep(_LOOK_S)


def _show_new(found: KillProgress, said: set[tuple[str, KillStage]]) -> None:
    for market, stages in sorted(found.markets.items()):
        for seen in stages:
            if (market.path, seen.stage) in said:
                continue
            said.add((market.path, seen.stage))
            after_s = (seen.at_ms - found.kill.at_ms) / 1_000
            words = seen.stage.value.replace("_", " ")
            talk(f"  +{after_s:.3f} s  {market.path}  {words}: {seen.evidence}")


async def _lift(
    scope: str, reason: str, by: str, *, early: bool
) -> tuple[bool, bool, Sequence[Kill]]:
    asked_ms = time.time_ns() // 1_000_000
    async with open_control() as control:
        standing_now = await control.ledger.active_kills()
        if scope.startswith(LOSS) and not early:
            raise RefusedBySafety(_too_early(scope, standing_now))
        lifted, again = await lift_kills(
            control.board, control.ledger, scope, by=by, reason=reason, asked_ms=asked_ms
        )
        wider = wider_kills(scope, await control.ledger.active_kills())
    return lifted, again, wider


def _too_early(scope: str, kills_now: Sequence[Kill]) -> str:
    for one in kills_now:
        if one.scope == scope and one.until_ms is not None:
            until = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(one.until_ms / 1_000))
            return (
                f"scope: {scope} was set by {one.by} ({one.reason}) and ends by itself at {until} "
                "UTC; add --early to lift it before that"
            )
    return f"scope: {scope} belongs to loss limits; add --early to lift what they set"


def _row(one: KillProgress) -> dict[str, object]:
    kill_ = one.kill
    return {
        "scope": kill_.scope,
        "effect": _EFFECTS.get(kill_.effect, kill_.effect.value),
        "by": kill_.by,
        "reason": kill_.reason,
        "since": time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(kill_.at_ms / 1_000)),
        "answered": f"{len(one.markets) - len(one.late)} of {len(one.markets)}"
        if wants_answers(kill_)
        else "",
    }


def _as_json(one: KillProgress) -> dict[str, object]:
    kill_ = one.kill
    return {
        "scope": kill_.scope,
        "reason": kill_.reason,
        "by": kill_.by,
        "at_ms": kill_.at_ms,
        "effect": kill_.effect.value,
        "until_ms": kill_.until_ms,
        "asked": len(one.markets),
        "answered": len(one.markets) - len(one.late),
        "markets": {
            market.path: [
                {"stage": seen.stage.value, "at_ms": seen.at_ms, "evidence": seen.evidence}
                for seen in stages
            ]
            for market, stages in sorted(one.markets.items())
        },
    }


def _furthest(stages: Sequence[StageSeen]) -> str:
    """How far a market has come, in words."""
    last = max(stages, key=lambda one: tuple(KillStage).index(one.stage))
    return f"has not answered beyond '{last.stage.value.replace('_', ' ')}'"
