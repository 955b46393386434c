"""`flotilla market …`: start, stop and steer one market through its workflow."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

import click
from temporalio.client import WorkflowUpdateFailedError

from desk.errors import ConfigurationFault
from desk.identity import MarketId
from flotilla.cli.import_env import import_env
from flotilla.cli.kill import by_option, json_option
from flotilla.cli.owned import owned
from flotilla.cli.render import emit_json, talk
from flotilla.fields import checked, fields
from flotilla.markets import (
    Handle,
    abandon_flatten,
    flatten_market,
    start_market,
    with_market,
)
from workflows import names
from workflows.flatten_messages import StartFlatten, StopFlatten
from workflows.market import MarketWorkflow
from workflows.messages import (
    MarketResult,
    ParameterChange,
    Request,
    StartMarket,
    StopMarket,
)

T = TypeVar("T")

market_argument = click.argument("name", metavar="MARKET")
reason_option = click.option("--reason", default="asked by the operator", help="For the record.")
set_option = click.option(
    "--set", "values", multiple=True, metavar="FIELD=VALUE", help="A parameter, may be repeated."
)


@click.group()
def market() -> None:
    """Start, stop and steer one market. MARKET is VENUE/SYMBOL or VENUE/ACCOUNT/SYMBOL."""


market.add_command(import_env)
market.add_command(owned)


@market.command()
@market_argument
@set_option
@click.option("--fleet", default="main", help="Fleet this market belongs to.")
@json_option
def start(name: str, values: tuple[str, ...], fleet: str, *, as_json: bool) -> None:
    """Start quoting, e.g.: flotilla market start ocx/BTC-PERP --set level_notional=250."""
    market_id = _market(name)
    form = {
        "venue": market_id.venue,
        "account": market_id.account,
        "symbol": market_id.symbol,
        "fleet": fleet,
        **fields(values),
    }
    spec = checked(lambda: StartMarket.model_validate(form))
    state = asyncio.run(start_market(spec))
    workflow_id = names.market_workflow_id(spec.market)
    _done(as_json, f"started {workflow_id}: {state}", {"workflow_id": workflow_id, "state": state})


@market.command()
@market_argument
@click.option("--flatten/--keep", default=None, help="Trade the position to zero first, or not.")
@click.option("--wait", is_flag=True, help="Wait until it stood down and print what was verified.")
@reason_option
@by_option
@json_option
def stop(
    name: str, reason: str, by: str, *, flatten: bool | None, wait: bool, as_json: bool
) -> None:
    """Stand down: cancel everything, verify, finish."""
    request = StopMarket(reason=reason, by=by, flatten=flatten)

    async def work(handle: Handle) -> MarketResult | None:
        await handle.signal(MarketWorkflow.stop, request)
        return await handle.result() if wait else None

    result = _run(name, work)
    if result is None:
        _done(as_json, "asked to stand down", {"asked": "stop"})
    else:
        emit_json(result.model_dump(mode="json"))


def _request(verb: str, signal: Callable[[MarketWorkflow, Request], None], text: str) -> None:
    """Add a command that sends one signal with a reason and a name, and says so."""

    @market.command(name=verb, help=text)
    @market_argument
    @reason_option
    @by_option
    @json_option
    def ask(name: str, reason: str, by: str, *, as_json: bool) -> None:
        request = Request(reason=reason, by=by)
        _run(name, lambda handle: handle.signal(signal, request))
        _done(as_json, f"asked to {verb}", {"asked": verb})


_request(
    "pause", MarketWorkflow.pause, "Cancel all orders and wait for resume; the position stays."
)
_request("resume", MarketWorkflow.resume, "Quote again after a pause.")


@market.command()
@market_argument
@set_option
@click.option("--fleet", default="main", help="Fleet this market belongs to.")
@click.option("--abandon", is_flag=True, help="End the flatten that runs, whatever is left.")
@reason_option
@by_option
@json_option
def flatten(
    name: str,
    values: tuple[str, ...],
    fleet: str,
    reason: str,
    by: str,
    *,
    abandon: bool,
    as_json: bool,
) -> None:
    """Trade what is left of the position to zero, reduce-only and gradually.

    A market that is quoted does it with its own settings and stands down. Of one that is not, say
    how, e.g.: flotilla market flatten ocx/BTC-PERP --set maker_s=5 --by ana.
    """
    market_id = _market(name)
    if abandon:
        stop = checked(lambda: StopFlatten(by=by, reason=reason))
        workflow_id = asyncio.run(abandon_flatten(market_id, stop))
        _done(
            as_json,
            f"asked {workflow_id} to stop",
            {"asked": "abandon", "workflow_id": workflow_id},
        )
        return
    form = {
        "venue": market_id.venue,
        "account": market_id.account,
        "symbol": market_id.symbol,
        "fleet": fleet,
        "reason": reason,
        "by": by,
        **fields(values),
    }
    spec = checked(lambda: StartFlatten.model_validate(form))
    workflow_id, started = asyncio.run(flatten_market(spec))
    verb = "started" if started else "asked"
    _done(
        as_json,
        f"{verb} {workflow_id}",
        {"asked": "flatten", "workflow_id": workflow_id, "started": started},
    )


@market.command(name="set")
@market_argument
@click.argument("values", nargs=-1, required=True, metavar="FIELD=VALUE...")
@by_option
@json_option
def set_(name: str, values: tuple[str, ...], by: str, *, as_json: bool) -> None:
    """Change parameters, e.g.: flotilla market set ocx/BTC-PERP skew=0.4 --by ana."""
    change = checked(lambda: ParameterChange.model_validate({**fields(values), "by": by}))

    async def work(handle: Handle) -> int:
        try:
            changed = await handle.execute_update(MarketWorkflow.set_parameters, change)
        except WorkflowUpdateFailedError as error:
            raise ConfigurationFault(str(error.cause)) from error
        return changed.version

    version = _run(name, work)
    _done(as_json, f"parameters are now version {version}", {"version": version})


@market.command()
@market_argument
@json_option
def show(name: str, *, as_json: bool) -> None:
    """Show state, parameters, counters and history."""
    status = _run(name, lambda handle: handle.query(MarketWorkflow.status)).model_dump(mode="json")
    if as_json:
        emit_json(status)
        return
    for key in ("market", "state", "reason", "epoch", "sessions", "cycles", "requotes", "fills"):
        click.echo(f"{key:<10} {status[key]}")
    if status["progress"] is not None and (until_ms := status["progress"]["dead_man_until_ms"]):
        until = datetime.fromtimestamp(until_ms / 1_000, UTC)
        click.echo(f"{'dead man':<10} armed until {until:%Y-%m-%d %H:%M:%S} UTC, when last told")
    for change in status["history"]:
        click.echo(f"  {change['at'][:19]}  {change['state']:<14} {change['reason']}")


def _market(name: str) -> MarketId:
    try:
        return MarketId.parse(name)
    except ValueError as error:
        raise ConfigurationFault(str(error)) from error


def _run(name: str, work: Callable[[Handle], Awaitable[T]]) -> T:
    return asyncio.run(with_market(_market(name), work))


def _done(as_json: bool, text: str, value: dict[str, object]) -> None:  # noqa: FBT001
    if as_json:
        emit_json(value)
    else:
        talk(text)
