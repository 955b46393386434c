"""X10 (Extended): the adapter of one account. `build` is all that the outside needs."""

import random
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import httpx

from desk.ports import Clock, Venue
from desk.rate_ports import RateShares
from venues._transport.backoff import Backoff
from venues._transport.http import HttpPool
from venues._transport.rate_limit import RateBudget
from venues._transport.shared_rate import SharedRate
from venues.x10.account import X10Account
from venues.x10.account_stream import AccountStream
from venues.x10.cancels import Cancels
from venues.x10.config import VENUE, X10Config
from venues.x10.credentials import Credentials
from venues.x10.dead_man import DeadMan
from venues.x10.execution import X10Execution
from venues.x10.feed import X10Feed
from venues.x10.instruments import Catalog
from venues.x10.orders import OrderWriter
from venues.x10.payments import Payments
from venues.x10.reads import Reads
from venues.x10.rules import Rules
from venues.x10.signing import Nonces, Signer
from venues.x10.trades import History
from venues.x10.venue import X10Venue
from venues.x10.views import Heard, Views

__all__ = ["X10Config", "build"]

_CANCEL_CONNECTIONS = 2


def build(
    config: Mapping[str, object] | X10Config,
    *,
    account: str,
    clock: Clock,
    random: random.Random,
    rates: RateShares | None = None,
) -> Venue:
    """One account at X10; nothing is sent before it is used. ConfigurationFault for bad settings.

    `account` is our own name for it. Without `rates` the request budget is this process's alone,
    though the venue counts per address. Hold `run` in a task group, `close` at the end.
    """
    settings = config.located() if isinstance(config, X10Config) else X10Config.from_mapping(config)
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
    credentials = Credentials(settings)
    own = RateBudget(clock=clock, capacity=settings.capacity, reserved=settings.reserved)
    shared = None if rates is None else _shared(rates, settings, own, clock)
    budget = shared or own
    reads = Reads(credentials=credentials, http=http, budget=budget, clock=clock)
    catalog = Catalog(settings)
    history = History(reads=reads, page=settings.trades_page)
    heard = Heard()
    ours = X10Account(
        config=settings,
        account=account,
        reads=reads,
        catalog=catalog,
        history=history,
        payments=Payments(config=settings, reads=reads, account=account),
        views=Views(reads=reads, catalog=catalog, heard=heard, clock=clock),
        clock=clock,
    )
    rules = Rules(reads=reads, catalog=catalog, refresh_s=settings.markets_refresh_s)
    orders, cancel_pool = pool(settings.order_connections), pool(_CANCEL_CONNECTIONS)
    cancels = Cancels(credentials=credentials, pool=cancel_pool, budget=budget, clock=clock)
    threads = ThreadPoolExecutor(settings.sign_in_threads) if settings.sign_in_threads else None
    return X10Venue(
        config=settings,
        account=ours,
        feed=X10Feed(
            config=settings, credentials=credentials, catalog=catalog, clock=clock, backoff=backoff
        ),
        execution=X10Execution(
            config=settings,
            credentials=credentials,
            catalog=catalog,
            rules=rules,
            account=ours,
            writer=_writer(settings, catalog, clock, random),
            orders=orders,
            cancels=cancels,
            budget=budget,
            threads=threads,
            clock=clock,
        ),
        dead_man=DeadMan(
            cancels=cancels,
            list_all=lambda: ours.open_orders(None),
            clock=clock,
            timer_s=settings.dead_man_timer_s,
            unit=settings.dead_man_unit,
        ),
        reads=reads,
        rules=rules,
        account_stream=AccountStream(
            config=settings,
            credentials=credentials,
            reads=reads,
            history=history,
            account=ours,
            heard=heard,
            clock=clock,
            backoff=backoff(),
        ),
        pools=(orders, cancel_pool),
        rate=shared,
        threads=threads,
        http=http,
        clock=clock,
        backoff=backoff,
    )


def _writer(
    settings: X10Config, catalog: Catalog, clock: Clock, random: random.Random
) -> OrderWriter:
    return OrderWriter(
        signer=Signer(
            private_key=settings.private_key, vault=settings.vault, domain=settings.domain
        ),
        vault=settings.vault,
        nonces=Nonces(random),
        catalog=catalog,
        clock=clock,
        expiry_s=settings.order_expiry_s,
        post_only_fee=settings.post_only_fee,
    )


def _shared(rates: RateShares, settings: X10Config, local: RateBudget, clock: Clock) -> SharedRate:
    return SharedRate(
        shares=rates,
        key=f"{VENUE}/{settings.rate_key}",
        law=settings.rate_law(),
        local=local,
        clock=clock,
    )
