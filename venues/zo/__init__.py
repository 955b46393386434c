"""01.xyz ("zo"): the adapter of one account. `build` is all that the outside needs."""

import random
import secrets
from collections.abc import Mapping

from desk.ports import Clock
from desk.rate_ports import RateShares
from venues.zo.assembly import assemble
from venues.zo.config import ZoConfig
from venues.zo.margins import Margins
from venues.zo.venue import ZoVenue

__all__ = ["Margins", "ZoConfig", "ZoVenue", "build"]


def build(
    config: Mapping[str, object] | ZoConfig,
    *,
    account: str,
    clock: Clock,
    random: random.Random,
    rates: RateShares | None = None,
) -> ZoVenue:
    """One account at 01.xyz; nothing is sent before it is used. ConfigurationFault for settings.

    `account` is our own name for it. Without `rates` the request budget is this process's alone,
    and without headroom. Hold `run` in a task group, `close` at the end.
    """
    settings = config if isinstance(config, ZoConfig) else ZoConfig.from_mapping(config)
    settings.check()
    return assemble(
        settings,
        account=account,
        clock=clock,
        random=random,
        rates=rates,
        # Session keys are secrets: what makes backoff and nonces differ is not good enough.
        entropy=secrets.token_bytes,
    )
