"""Counter-flow of markets whose prices belong together: outcomes of an event, and spot pairs."""

from decimal import Decimal
from random import Random

from desk.errors import ConfigurationFault
from venues.ocx.simulator.settings import SimMarket
from venues.ocx.simulator.world import World
from venues.simulation.counterflow import FlowKind, regime_of
from venues.simulation.flow import Flow, SyntheticFlow
from venues.simulation.leg_faults import ShownEdge
from venues.simulation.linked import OutcomeWalks, PairWalks
from venues.simulation.regimes import TRAITS
from venues.simulation.walks import Walk

_FLOOR_TICKS = 3


class LinkedCrowds:
    """Makes the flows of such markets; each event and all pairs together draw their own seeds."""

    def __init__(self, world: World, random: Random) -> None:
        self._world = world
        self._random = random
        self._events: dict[str, OutcomeWalks] = {}
        self._pairs: PairWalks | None = None

    def flow(self, symbol: str) -> Flow | None:
        """A market's flow, None for one that moves by itself or has no crowd.

        ConfigurationFault when its price does not fit the others'.
        """
        market = self._world.markets[symbol]
        if market.flow is not FlowKind.SYNTHETIC:
            return None
        walk = self._walk(market)
        if walk is None:
            return None
        engine = self._world.engine
        return SyntheticFlow(
            engine,
            symbol,
            self._seed(),
            regime_of(market),
            walk=walk,
            edge=ShownEdge(engine, self._world.faults, symbol),
        )

    def _walk(self, market: SimMarket) -> Walk | None:
        if market.settlement is not None:
            event = market.settlement.event
            if event not in self._events:
                self._events[event] = self._outcomes(event, market)
            return self._events[event].of(market.symbol)
        if market.spot:
            self._pairs = self._pairs or self._currencies(market)
            return self._pairs.of(*market.currencies)
        return None

    def _outcomes(self, event: str, first: SimMarket) -> OutcomeWalks:
        markets = [
            market
            for market in self._world.settings.markets
            if market.settlement is not None and market.settlement.event == event
        ]
        listed = {market.symbol: market.price for market in markets}
        settlement = first.settlement
        if (
            settlement is not None
            and len(markets) == settlement.outcomes
            and sum(listed.values()) != 1
        ):
            raise ConfigurationFault(
                f"event {event}: the prices of its outcomes add up to {sum(listed.values())}; "
                "make it 1"
            )
        try:
            return OutcomeWalks(
                listed,
                self._seed(),
                floor=_FLOOR_TICKS * max(market.tick for market in markets),
                volatility_bps=TRAITS[regime_of(first)].volatility_bps,
            )
        except ValueError as fault:
            raise ConfigurationFault(f"event {event}: {fault}") from fault

    def _currencies(self, first: SimMarket) -> PairWalks:
        """What each currency is worth in the collateral, by the pairs that are quoted in it."""
        pairs = [market for market in self._world.settings.markets if market.spot]
        cash = self._world.engine.assets.cash
        worth = {cash: Decimal(1)}
        worth |= {market.currencies[0]: market.price for market in pairs if market.quote == cash}
        for market in pairs:
            unknown = [one for one in market.currencies if one not in worth]
            if unknown:
                raise ConfigurationFault(
                    f"market {market.symbol}: no pair says what {unknown[0]} is worth; "
                    f"list {unknown[0]}-{cash}-SPOT too"
                )
        return PairWalks(
            worth, self._seed(), volatility_bps=TRAITS[regime_of(first)].volatility_bps
        )

    def _seed(self) -> Random:
        return Random(self._random.getrandbits(64))  # noqa: S311 - a crowd, not a secret
