"""`flotilla market …`: start, stop and steer one market through its workflow."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar

import click
import pydantic
from temporalio.client import (
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowUpdateFailedError,
)
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from desk.errors import ConfigurationFault
from desk.identity import MarketId
from desk.lifecycle import MarketState
from flotilla.cli.kill import by_option, json_option
from flotilla.cli.render import emit_json, talk
from flotilla.control import open_temporal
from flotilla.failures import RefusedBySafety
from workflows import names
from workflows.market import MarketWorkflow
from workflows.messages import (
    MarketResult,
    ParameterChange,
    Request,
    StartMarket,
    StopMarket,
)

T = TypeVar("T")
Handle = WorkflowHandle[MarketWorkflow, MarketResult]

_PREFLIGHT_LOOKS, _LOOK_S = 50, 0.2

market_argument = click.argument("name", metavar="MARKET")
reason_option = click.option("--reason", default="asked by the operator", help="For the record.")
set_option = click.option(
    "--set", "values", multiple=True, metavar="FIELD=VALUE", help="A parameter, may be repeated."
)


@click.group()
def market() -> None:
    """Start, stop and steer one market. MARKET is VENUE/SYMBOL or VENUE/ACCOUNT/SYMBOL."""


@market.command()
@market_argument
@set_option
@click.option("--fleet", default="main", help="Fleet this market belongs to.")
@json_option
def start(name: str, values: tuple[str, ...], fleet: str, *, as_json: bool) -> None:
    """Start quoting, e.g.: flotilla market start ocx/BTC-PERP --set level_notional=250."""
    market_id = _market(name)
    fields = {
        "venue": market_id.venue,
        "account": market_id.account,
        "symbol": market_id.symbol,
        "fleet": fleet,
        **_fields(values),
    }
    spec = _checked(lambda: StartMarket.model_validate(fields))
    state = asyncio.run(_start(spec))
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

    result = asyncio.run(_with_market(name, work))
    if result is None:
        _done(as_json, "asked to stand down", {"asked": "stop"})
    else:
        emit_json(result.model_dump(mode="json"))


@market.command()
@market_argument
@reason_option
@by_option
@json_option
def pause(name: str, reason: str, by: str, *, as_json: bool) -> None:
    """Cancel all orders and wait for resume; the position stays."""
    request = Request(reason=reason, by=by)
    asyncio.run(_with_market(name, lambda handle: handle.signal(MarketWorkflow.pause, request)))
    _done(as_json, "asked to pause", {"asked": "pause"})


@market.command()
@market_argument
@reason_option
@by_option
@json_option
def resume(name: str, reason: str, by: str, *, as_json: bool) -> None:
    """Quote again after a pause."""
    request = Request(reason=reason, by=by)
    asyncio.run(_with_market(name, lambda handle: handle.signal(MarketWorkflow.resume, request)))
    _done(as_json, "asked to resume", {"asked": "resume"})


@market.command()
@market_argument
@reason_option
@by_option
@json_option
def flatten(name: str, reason: str, by: str, *, as_json: bool) -> None:
    """Trade the position to zero, reduce-only and gradually, then stand down."""
    request = Request(reason=reason, by=by)
    asyncio.run(_with_market(name, lambda handle: handle.signal(MarketWorkflow.flatten, request)))
    _done(as_json, "asked to flatten", {"asked": "flatten"})


@market.command(name="set")
@market_argument
@click.argument("values", nargs=-1, required=True, metavar="FIELD=VALUE...")
@by_option
@json_option
def set_(name: str, values: tuple[str, ...], by: str, *, as_json: bool) -> None:
    """Change parameters, e.g.: flotilla market set ocx/BTC-PERP skew=0.4 --by ana."""
    change = _checked(lambda: ParameterChange.model_validate({**_fields(values), "by": by}))

    async def work(handle: Handle) -> int:
        try:
            changed = await handle.execute_update(MarketWorkflow.set_parameters, change)
        except WorkflowUpdateFailedError as error:
            raise ConfigurationFault(str(error.cause)) from error
        return changed.version

    version = asyncio.run(_with_market(name, work))
    _done(as_json, f"parameters are now version {version}", {"version": version})


@market.command()
@market_argument
@json_option
def show(name: str, *, as_json: bool) -> None:
    """Show state, parameters, counters and history."""
    status = asyncio.run(
        _with_market(name, lambda handle: handle.query(MarketWorkflow.status))
    ).model_dump(mode="json")
    if as_json:
        emit_json(status)
        return
    for key in ("market", "state", "reason", "epoch", "sessions", "cycles", "requotes", "fills"):
        click.echo(f"{key:<10} {status[key]}")
    for change in status["history"]:
        click.echo(f"  {change['at'][:19]}  {change['state']:<14} {change['reason']}")


def _market(name: str) -> MarketId:
    try:
        return MarketId.parse(name)
    except ValueError as error:
        raise ConfigurationFault(str(error)) from error


def _fields(values: tuple[str, ...]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for value in values:
        key, equals, text = value.partition("=")
        if not equals or not key:
            raise ConfigurationFault(f"'{value}': write FIELD=VALUE, like level_notional=250")
        fields[key] = json.loads(text) if text in ("true", "false", "null") else text
    return fields


def _checked(make: Callable[[], T]) -> T:
    try:
        return make()
    except pydantic.ValidationError as error:
        sentences = []
        for item in error.errors():
            place = ".".join(str(part) for part in item["loc"])
            text = item["msg"].removeprefix("Value error, ")
            sentences.append(f"{place}: {text}" if place else text)
        raise ConfigurationFault("; ".join(sentences)) from error


async def _start(spec: StartMarket) -> str:
    """Start and wait until preflight has spoken; the state the market is in then."""
    async with open_temporal() as client:
        try:
            handle = await client.start_workflow(
                MarketWorkflow.run,
                spec,
                id=names.market_workflow_id(spec.market),
                task_queue=names.MARKETS_QUEUE,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                static_summary=f"{spec.venue} {spec.symbol} ({spec.account})",
            )
        except WorkflowAlreadyStartedError as error:
            raise RefusedBySafety(
                f"{spec.market.path} runs already; one market has one owner. "
                f"Look at it with 'flotilla market show {spec.market.path}'"
            ) from error
        return await _after_preflight(handle)


async def _after_preflight(handle: Handle) -> str:
    """RefusedBySafety with preflight's sentence when it said no."""
    for _ in range(_PREFLIGHT_LOOKS):
        description = await handle.describe()
        if description.status is WorkflowExecutionStatus.FAILED:
            try:
                await handle.result()
            except WorkflowFailureError as failure:
                raise RefusedBySafety(_innermost(failure)) from failure
        try:
            status = await handle.query(MarketWorkflow.status, rpc_timeout=timedelta(seconds=2))
        except RPCError:
            status = None  # no worker has taken it up yet
        if status is not None and status.state is not MarketState.STARTING:
            return status.state.value
        await asyncio.sleep(_LOOK_S)
    return "starting, no worker has answered yet; is 'flotilla worker' running?"


def _innermost(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error)


async def _with_market(name: str, work: Callable[[Handle], Awaitable[T]]) -> T:
    market_id = _market(name)
    async with open_temporal() as client:
        handle = client.get_workflow_handle_for(
            MarketWorkflow.run, names.market_workflow_id(market_id)
        )
        try:
            return await work(handle)
        except WorkflowFailureError as error:
            raise RefusedBySafety(f"{market_id.path} failed: {error.cause}") from error
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                raise ConfigurationFault(
                    f"{market_id.path} does not run; start it with "
                    f"'flotilla market start {market_id.path}'"
                ) from error
            raise


def _done(as_json: bool, text: str, value: dict[str, object]) -> None:  # noqa: FBT001
    if as_json:
        emit_json(value)
    else:
        talk(text)
