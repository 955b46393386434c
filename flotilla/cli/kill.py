"""`flotilla kill`, `unkill`, `kills`: durable orders to stop, set and lifted by a named person."""

import asyncio
import time

import click

from desk.errors import Unavailable
from desk.identity import MarketId
from desk.records import Kill
from flotilla.cli.render import emit_json, emit_rows, talk
from flotilla.control import lift_kills, open_control, record_kill, tell_board
from flotilla.failures import RefusedBySafety
from infra.settings import load_settings

_SCOPES = "fleet, venue:V, account:V/A or market:V/A/S"

scope_option = click.option("--scope", required=True, help=f"What to stop: {_SCOPES}.")
reason_option = click.option("--reason", required=True, help="Why, for the record.")
by_option = click.option("--by", required=True, help="Your name, for the record.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")


@click.command()
@scope_option
@reason_option
@by_option
@json_option
def kill(scope: str, reason: str, by: str, *, as_json: bool) -> None:
    """Stop quoting in a scope at once; stays in force until a named person lifts it.

    Put on the kill board first, which every session reads, then into the durable record.
    """
    order = Kill(
        scope=checked_scope(scope), reason=reason, by=by, at_ms=time.time_ns() // 1_000_000
    )
    asyncio.run(_set(order))
    if as_json:
        emit_json({"scope": order.scope, "reason": reason, "by": by, "at_ms": order.at_ms})
    else:
        talk(f"killed: {order.scope}; sessions cancel everything and stand down")


@click.command()
@scope_option
@reason_option
@by_option
@json_option
def unkill(scope: str, reason: str, by: str, *, as_json: bool) -> None:
    """Lift what stands at exactly this scope now. Markets do not start by themselves.

    A kill that somebody sets there meanwhile stays in force.
    """
    lifted, stands = asyncio.run(_lift(checked_scope(scope), reason, by))
    if stands:
        raise RefusedBySafety(
            f"scope: another kill was set at {scope} meanwhile and stays in force; 'flotilla "
            "kills' shows whose, as soon as it is recorded; repeat the command to lift it too"
        )
    if not lifted:
        raise RefusedBySafety(
            f"scope: no kill is in force at {scope}; 'flotilla kills' lists those that are"
        )
    if as_json:
        emit_json({"scope": scope, "lifted": True, "by": by, "reason": reason})
    else:
        talk(f"lifted: {scope}")


@click.command()
@json_option
def kills(*, as_json: bool) -> None:
    """List the kills in force, from the durable record."""
    rows = [
        {"scope": item.scope, "reason": item.reason, "by": item.by, "at_ms": item.at_ms}
        for item in asyncio.run(_active())
    ]
    emit_rows("kills in force", rows, as_json=as_json)


def checked_scope(text: str) -> str:
    """The scope in its one spelling; click.BadParameter otherwise."""
    kind, _, rest = text.partition(":")
    parts = rest.split("/") if rest else []
    wanted = {"fleet": 0, "venue": 1, "account": 2, "market": 3}
    if kind == "market" and len(parts) == 2:
        return f"market:{MarketId.parse(rest).path}"
    if kind not in wanted or len(parts) != wanted[kind] or not all(parts):
        raise click.BadParameter(f"'{text}' is not {_SCOPES}", param_hint="--scope")
    return text


async def _set(order: Kill) -> None:
    settings = load_settings()
    unheard = await tell_board(settings, order)
    unwritten = await record_kill(settings, order)
    if unwritten and unheard:
        raise Unavailable(
            f"nobody was told of the kill ({unheard}; {unwritten}); put a file KILL into the state "
            "folder of every worker's machine, and repeat the command when a service is back"
        )
    if unwritten:
        raise Unavailable(
            f"the kill of {order.scope} is in force but not durable yet ({unwritten}); "
            "repeat the command when PostgreSQL is back"
        )
    if unheard:
        # The durable record holds; a board that cannot be read stops sessions by itself.
        talk(f"warning: the kill board was not told ({unheard}); workers copy it from the record")


async def _lift(scope: str, reason: str, by: str) -> tuple[bool, bool]:
    async with open_control() as control:
        return await lift_kills(control.board, control.ledger, scope, by=by, reason=reason)


async def _active() -> list[Kill]:
    async with open_control() as control:
        return list(await control.ledger.active_kills())
