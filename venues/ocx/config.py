"""Settings of the OCX adapter: every guess about the venue is a setting.

Bad input gets one sentence that names the field and the remedy; no secret appears anywhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from desk.errors import ConfigurationFault
from desk.ports import Capabilities
from desk.rate_ports import RateLaw
from venues._transport.address import Address
from venues.ocx.settings import CREDENTIALS, PATHS, MarketOverride, read_settings
from venues.ocx.signing import Secret

VENUE = "ocx"


@dataclass(frozen=True, slots=True, kw_only=True)
class OcxConfig:
    """Everything the adapter may be told. Times say their unit; fees are basis points."""

    base_url: str
    api_key: Secret | None = None
    session_jwt: Secret | None = None
    wallet_key: Secret | None = None
    siwe_domain: str = "api.ocx.global"
    siwe_uri: str = "https://api.ocx.global"
    siwe_chain_id: int = 84_532
    siwe_expiry_s: int = 600
    siwe_statement: str = "Sign in to OCX"
    session_renew_after_s: int = 5 * 86_400
    key_header: str = "x-api-key"
    session_style: str = "cookie"
    session_cookie: str = "astra_session"
    credentials: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: CREDENTIALS)
    paths: Mapping[str, str] = field(default_factory=lambda: PATHS)
    levels_key: str = "levels"
    max_levels: int = 20
    margin_mode: str | None = None
    spot_route: str = "none"
    """Where orders of spot pairs go: with those of perpetuals, or nowhere (ocx.md section 4.1)."""
    trade_ids: str = "derived"
    order_per_min: int = 120
    reserve_for_cancel: int = 10
    rate_headroom: Decimal = Decimal("0.1")
    """Part of `order_per_min` left unused where the budget is shared by the fleet."""
    heartbeat_timeout_s: float = 40.0
    user_interval_ms: int = 100
    book_interval_ms: int = 50
    depth: int = 25
    order_connections: int = 4
    request_timeout_s: float = 5.0
    read_timeout_s: float = 10.0
    settling_ms: int = 500
    client_order_id_max_len: int = 32
    trades_page: int = 500
    maker_bps: Decimal = Decimal(2)
    taker_bps: Decimal = Decimal(5)
    markets: Mapping[str, MarketOverride] = field(default_factory=dict)

    @classmethod
    def from_mapping(cls, given: Mapping[str, object]) -> "OcxConfig":
        """Read settings as nested mappings or dotted names; ConfigurationFault says what to fix."""
        config = cls(**read_settings(given))
        config.check()
        return config

    def check(self) -> None:
        """ConfigurationFault for settings that contradict each other or the venue's rules."""
        Address.parse(self.base_url)
        if not (self.api_key or self.session_jwt or self.wallet_key):
            raise ConfigurationFault(
                "api_key: no credential is given; give api_key, session_jwt or wallet_key"
            )
        if self.reserve_for_cancel >= self.order_per_min:
            raise ConfigurationFault(
                f"rate.reserve_for_cancel: {self.reserve_for_cancel} leaves nothing of "
                f"{self.order_per_min} for orders; lower it or raise rate.order_per_min"
            )

    def shared_rate(self) -> RateLaw:
        """The account's order-path limit a minute, less the headroom (ocx.md section 6.4).

        ConfigurationFault when the cancels' share leaves nothing of it.
        """
        capacity = int(self.order_per_min * (1 - self.rate_headroom))
        if self.reserve_for_cancel >= capacity:
            raise ConfigurationFault(
                f"rate.reserve_for_cancel: {self.reserve_for_cancel} leaves nothing of the "
                f"{capacity} a minute that rate.headroom {self.rate_headroom} allows; lower one "
                "of them or raise rate.order_per_min"
            )
        return RateLaw(capacity=capacity, reserved=self.reserve_for_cancel, window_s=60.0)

    def capabilities(self) -> Capabilities:
        """What planning may rely on at this venue."""
        return Capabilities(
            atomic_ladder=True,
            replaces_orders=False,
            pushes_order_updates=False,
            pushes_trade_ids=self.trade_ids == "venue",
            fills_name_orders=False,
            venue_dead_man=False,
            finds_by_client_id=True,
            max_batch_orders=self.max_levels,
            client_order_id_length=self.client_order_id_max_len,
            settling_ms=self.settling_ms,
            ids_refused_for_good=True,
            closes_positions=True,
        )
