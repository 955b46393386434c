"""`flotilla hedge …`: hedge one market's inventory at another, and settle what is owed.

The one rule: a release is a decision with a name and a reason.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

import click

from desk.errors import ConfigurationFault
from desk.identity import MarketId
from flotilla.cli.kill import by_option, json_option
from flotilla.cli.render import emit_json, emit_rows, talk
from flotilla.fields import checked, fields
from flotilla.hedges import Handle, obligations, start_hedge, with_hedge
from workflows import names
from workflows.hedge import HedgeWorkflow
from workflows.hedge_messages import HedgeStatus, ReleaseHedge, StartHedge
from workflows.messages import Request

T = TypeVar("T")

_SHOWN = 20

source_argument = click.argument("source", metavar="SOURCE")
set_option = click.option(
    "--set", "values", multiple=True, metavar="FIELD=VALUE", help="A field, may be repeated."
)


@click.group()
def hedge() -> None:
    """Hedge a market's inventory at another market. SOURCE and HEDGE are VENUE/[ACCOUNT/]SYMBOL."""


@hedge.command()
@source_argument
@click.argument("market", metavar="HEDGE")
@set_option
@click.option("--fleet", default="main", help="Fleet this hedge belongs to.")
@json_option
def start(source: str, market: str, values: tuple[str, ...], fleet: str, *, as_json: bool) -> None:
    """Start, e.g.: flotilla hedge start ocx/BTC-PERP x10/BTC-USD --set threshold=0.5."""
    source_id, hedge_id = _market(source), _market(market)
    form = {
        "source_venue": source_id.venue,
        "source_account": source_id.account,
        "source_symbol": source_id.symbol,
        "hedge_venue": hedge_id.venue,
        "hedge_account": hedge_id.account,
        "hedge_symbol": hedge_id.symbol,
        "fleet": fleet,
        **fields(values),
    }
    spec = checked(lambda: StartHedge.model_validate(form))
    state = asyncio.run(start_hedge(spec))
    workflow_id = names.hedge_workflow_id(spec.source)
    _done(as_json, f"started {workflow_id}: {state}", {"workflow_id": workflow_id, "state": state})


@hedge.command()
@source_argument
@json_option
def show(source: str, *, as_json: bool) -> None:
    """Show what is hedged, what is owed, and the life so far."""
    status = _run(source, lambda handle: handle.query(HedgeWorkflow.status))
    if as_json:
        emit_json(status.model_dump(mode="json"))
        return
    _print(status)


@hedge.command()
@source_argument
@json_option
def owed(source: str, *, as_json: bool) -> None:
    """List obligations from the ledger, newest first; also when no hedge runs."""
    found = asyncio.run(obligations(_market(source), _SHOWN))
    rows = [
        {
            "number": one.number,
            "hedge": one.hedge.path,
            "owed at opening": one.opening_owed,
            "filled": one.filled,
            "owed": one.owed,
            "opened": _time(one.opened_at_ms),
            "discharged": _time(one.discharged_at_ms),
            "by": one.discharged_by,
            "reason": one.reason,
        }
        for one in found
    ]
    emit_rows(f"hedges of {_market(source).path}", rows, as_json=as_json)


@hedge.command()
@source_argument
@click.option("--reason", required=True, help="Why, for the record.")
@by_option
@json_option
def release(source: str, reason: str, by: str, *, as_json: bool) -> None:
    """Decide that what is owed now is owed no longer. More inventory is hedged again."""
    request = checked(lambda: ReleaseHedge(by=by, reason=reason))
    _run(source, lambda handle: handle.signal(HedgeWorkflow.release, request))
    _done(as_json, "asked to release", {"asked": "release"})


@hedge.command()
@source_argument
@click.option("--wait", is_flag=True, help="Wait until it stopped and print how it stood.")
@click.option("--reason", default="asked by the operator", help="For the record.")
@by_option
@json_option
def stop(source: str, reason: str, by: str, *, wait: bool, as_json: bool) -> None:
    """Stop hedging and give the hedge market back. Its position and what is owed stay."""
    request = Request(reason=reason, by=by)

    async def work(handle: Handle) -> HedgeStatus | None:
        await handle.signal(HedgeWorkflow.stop, request)
        return await handle.result() if wait else None

    result = _run(source, work)
    if result is None:
        _done(as_json, "asked to stop", {"asked": "stop"})
    else:
        emit_json(result.model_dump(mode="json"))


def _print(status: HedgeStatus) -> None:
    for key in ("source", "hedge", "state", "reason", "source_quantity", "position", "owed"):
        click.echo(f"{key:<16} {getattr(status, key)}")
    if status.waived:
        click.echo(f"{'waived':<16} {status.waived}")
    if status.obligation is not None:
        click.echo(
            f"{'obligation':<16} {status.obligation}, open since {_time(status.opened_at_ms)}"
        )
    for event in status.history:
        click.echo(f"  {event.at[:19]}  {event.state.value:<10} {event.text}")


def _time(at_ms: int | None) -> str:
    return "" if at_ms is None else f"{datetime.fromtimestamp(at_ms / 1_000, UTC):%F %T} UTC"


def _market(name: str) -> MarketId:
    try:
        return MarketId.parse(name)
    except ValueError as error:
        raise ConfigurationFault(str(error)) from error


def _run(source: str, work: Callable[[Handle], Awaitable[T]]) -> T:
    return asyncio.run(with_hedge(_market(source), work))


def _done(as_json: bool, text: str, value: dict[str, object]) -> None:  # noqa: FBT001
    if as_json:
        emit_json(value)
    else:
        talk(text)
