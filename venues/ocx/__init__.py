"""OCX: the adapter of one account. `build` is all that the outside needs."""

import random
from collections.abc import Mapping

import httpx

from desk.ports import Clock, Venue
from desk.rate_ports import RateShares
from venues._transport.backoff import Backoff
from venues._transport.http import HttpPool
from venues._transport.rate_limit import RateBudget
from venues._transport.shared_rate import SharedRate
from venues.ocx.account import OcxAccount
from venues.ocx.cancels import Cancels
from venues.ocx.config import VENUE, OcxConfig
from venues.ocx.execution import OcxExecution
from venues.ocx.feed import OcxFeed
from venues.ocx.instruments import Catalog
from venues.ocx.reads import Reads
from venues.ocx.session import Session
from venues.ocx.user_stream import UserStream
from venues.ocx.venue import OcxVenue

__all__ = ["OcxConfig", "build"]


def build(
    config: Mapping[str, object] | OcxConfig,
    *,
    account: str,
    clock: Clock,
    random: random.Random,
    rates: RateShares | None = None,
) -> Venue:
    """One account at OCX; nothing is sent before it is used. ConfigurationFault for bad settings.

    `account` is our own name for it. Without `rates` the request budget is this process's alone,
    and without headroom. Hold `run` in a task group, `close` at the end.
    """
    settings = config if isinstance(config, OcxConfig) else OcxConfig.from_mapping(config)
    settings.check()

    def backoff() -> Backoff:
        return Backoff(uniform=random.uniform)

    def pool(connections: int) -> HttpPool:
        return HttpPool(
            settings.base_url,
            clock=clock,
            connections=connections,
            timeout_s=settings.request_timeout_s,
            uniform=random.uniform,
        )

    # Proxies of the environment are not used: the fast transport knows none either.
    http = httpx.AsyncClient(
        base_url=settings.base_url, timeout=settings.read_timeout_s, trust_env=False
    )
    session = Session(config=settings, http=http, clock=clock, backoff=backoff())
    reads = Reads(config=settings, http=http, session=session)
    catalog = Catalog(settings)
    ours = OcxAccount(config=settings, account=account, reads=reads, catalog=catalog, clock=clock)
    shared = None if rates is None else _shared(rates, settings, account, clock)
    budget = shared or RateBudget(
        clock=clock, capacity=settings.order_per_min, reserved=settings.reserve_for_cancel
    )
    orders, cancels = pool(settings.order_connections), pool(1)
    return OcxVenue(
        config=settings,
        account=ours,
        feed=OcxFeed(config=settings, catalog=catalog, clock=clock, backoff=backoff),
        execution=OcxExecution(
            config=settings,
            session=session,
            catalog=catalog,
            account=ours,
            orders=orders,
            cancels=Cancels(
                path=settings.paths["cancel_all"],
                session=session,
                pool=cancels,
                budget=budget,
                clock=clock,
            ),
            budget=budget,
            clock=clock,
        ),
        session=session,
        reads=reads,
        catalog=catalog,
        user_stream=UserStream(
            config=settings,
            session=session,
            clock=clock,
            backoff=backoff(),
            on_snapshot=ours.snapshot,
            on_change=ours.change,
            on_alive=ours.alive,
            on_lost=ours.lost,
        ),
        pools=(orders, cancels),
        rate=shared,
        http=http,
        clock=clock,
        backoff=backoff,
    )


def _shared(rates: RateShares, settings: OcxConfig, account: str, clock: Clock) -> SharedRate:
    law = settings.shared_rate()
    return SharedRate(
        shares=rates,
        key=f"{VENUE}/{account}",
        law=law,
        local=RateBudget(clock=clock, capacity=law.capacity, reserved=law.reserved),
        clock=clock,
    )
