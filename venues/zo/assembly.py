"""Puts the parts of the adapter together; only here do they meet."""

import random
from collections.abc import Callable

import httpx

from desk.ports import Clock
from desk.rate_ports import RateShares
from venues._transport.backoff import Backoff
from venues._transport.http import HttpPool
from venues._transport.rate_limit import Budget, RateBudget
from venues._transport.shared_rate import SharedRate
from venues.zo.access import Access
from venues.zo.account import ZoAccount
from venues.zo.account_stream import AccountStream
from venues.zo.actions import Actions
from venues.zo.cancels import Cancels
from venues.zo.client_ids import ClientIds
from venues.zo.config import VENUE, ZoConfig
from venues.zo.diagnosis import Diagnosis
from venues.zo.engine_clock import EngineClock
from venues.zo.execution import ZoExecution
from venues.zo.feed import ZoFeed
from venues.zo.heard import Heard
from venues.zo.instruments import Catalog
from venues.zo.known_orders import KnownOrders
from venues.zo.limits import Limits
from venues.zo.markets import Markets
from venues.zo.own_trades import OwnTrades
from venues.zo.payments import Payments
from venues.zo.reads import Reads, decode_integer
from venues.zo.session import Session
from venues.zo.user import User
from venues.zo.venue import ZoVenue
from venues.zo.views import Views


def assemble(
    config: ZoConfig,
    *,
    account: str,
    clock: Clock,
    random: random.Random,
    rates: RateShares | None,
    entropy: Callable[[int], bytes],
) -> ZoVenue:
    """A venue from checked settings."""

    def backoff() -> Backoff:
        return Backoff(uniform=random.uniform)

    def pool(connections: int) -> HttpPool:
        return HttpPool(
            config.base_url,
            clock=clock,
            connections=connections,
            timeout_s=config.request_timeout_s,
            uniform=random.uniform,
        )

    law = config.request_law(shared=rates is not None)
    local = RateBudget(clock=clock, capacity=law.capacity, reserved=law.reserved)
    shared = (
        None
        if rates is None
        else SharedRate(shares=rates, key=f"{VENUE}/{account}", law=law, local=local, clock=clock)
    )
    budget: Budget = shared or local

    def actions(connections: HttpPool) -> Actions:
        return Actions(
            pool=connections,
            budget=budget,
            clock=clock,
            user_agent=config.user_agent,
            max_body_bytes=config.max_body_bytes,
        )

    # Proxies of the environment are not used: the fast transport knows none either.
    http = httpx.AsyncClient(
        base_url=config.base_url,
        timeout=config.read_timeout_s,
        headers={"User-Agent": config.user_agent},
        trust_env=False,
    )
    orders, urgent = pool(config.order_connections), pool(config.cancel_connections)
    reads = Reads(http=http, budget=budget, clock=clock)

    async def timestamp() -> int:
        return await reads.json("timestamp", decode_integer)

    engine = EngineClock(read=timestamp, clock=clock, first_nonce=random.getrandbits(32))
    user = User(config=config, reads=reads)
    catalog = Catalog(config, account=account)
    markets = Markets(reads=reads, catalog=catalog, user=user)
    session = Session(
        config=config,
        user=user,
        actions=actions(urgent),
        engine=engine,
        clock=clock,
        entropy=entropy,
    )
    access = Access(
        config=config, reads=reads, engine=engine, user=user, session=session, backoff=backoff()
    )
    known, ids, heard = KnownOrders(), ClientIds(), Heard()
    limits = Limits(config=config, requests=budget, clock=clock)
    trades = OwnTrades(
        reads=reads, catalog=catalog, known=known, account=account, page=config.trades_page
    )
    ours = ZoAccount(
        user=user,
        reads=reads,
        markets=markets,
        trades=trades,
        known=known,
        ids=ids,
        payments=Payments(
            reads=reads, user=user, markets=markets, account=account, page=config.trades_page
        ),
        views=Views(user=user, reads=reads, markets=markets, heard=heard, clock=clock),
        clock=clock,
    )
    cancels = Cancels(
        config=config,
        access=access,
        actions=actions(urgent),
        account=ours,
        engine=engine,
        known=known,
        limits=limits,
        clock=clock,
    )
    return ZoVenue(
        config=config,
        access=access,
        account=ours,
        account_stream=AccountStream(
            config=config,
            user=user,
            engine=engine,
            markets=markets,
            account=ours,
            trades=trades,
            known=known,
            heard=heard,
            ids=ids,
            clock=clock,
            backoff=backoff(),
        ),
        feed=ZoFeed(config=config, markets=markets, reads=reads, clock=clock, backoff=backoff),
        execution=ZoExecution(
            config=config,
            access=access,
            actions=actions(orders),
            account=ours,
            markets=markets,
            cancels=cancels,
            engine=engine,
            known=known,
            ids=ids,
            limits=limits,
            clock=clock,
        ),
        session=session,
        engine=engine,
        markets=markets,
        diagnosis=Diagnosis(
            config=config,
            access=access,
            engine=engine,
            markets=markets,
            user=user,
        ),
        reads=reads,
        pools=(orders, urgent),
        rate=shared,
        http=http,
        backoff=backoff,
    )
