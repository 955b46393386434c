"""Settings of the 01.xyz adapter: every guess about the venue is a setting (zo.md section 10.6).

Bad input gets one sentence that names the field and the remedy; no secret appears anywhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from desk.errors import ConfigurationFault
from desk.payments import PaymentKind
from desk.ports import Capabilities
from desk.rate_ports import RateLaw
from venues._transport.address import Address
from venues._transport.secret import Secret
from venues._transport.websocket import stream_address
from venues.zo.client_ids import LONGEST_TEXT
from venues.zo.settings import MarketOverride, read_settings
from venues.zo.signing import address_of, public_bytes, seed_of

VENUE = "zo"


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoConfig:
    """Everything the adapter may be told. Times say their unit; fees are basis points.

    `wallet_key` registers sessions; a `session_key` that was registered before trades without it,
    then with `wallet_address`. `stream_url` may stay empty: it is `base_url` over WebSocket.
    """

    base_url: str
    stream_url: str = ""
    wallet_key: Secret | None = None
    wallet_address: str = ""
    session_key: Secret | None = None
    account_id: int | None = None
    session_ttl_s: int = 86_400
    session_renew_before_s: int = 3_600
    revoke_on_close: bool = True
    """Ends sessions whose key this process made: nobody could use them again."""
    session_timeout_s: float = 120.0
    schema_guard: str = "strict"
    max_subactions: int = 4
    max_body_bytes: int = 1_024
    max_batch_orders: int = 8
    reduce_only_fill_mode: str = "ioc"
    orders_per_s: int = 10
    cancels_per_s: int = 20
    requests_per_min: int = 600
    reserve_for_cancel: int = 120
    rate_headroom: Decimal = Decimal("0.1")
    """Part of `requests_per_min` left unused where the budget is shared by the fleet."""
    ping_s: float | None = None
    silence_s: float = 2.5
    compare_ids: bool = True
    """Reads and streams count the same updates (zo.md section 3.2): proves silence harmless."""
    first_delta: str = "any"
    account_poll_s: float = 5.0
    fills_interval_s: float = 0.5
    clock_refresh_s: float = 5.0
    clock_max_age_s: float = 30.0
    order_connections: int = 4
    cancel_connections: int = 2
    request_timeout_s: float = 5.0
    read_timeout_s: float = 10.0
    cancel_all_s: float = 10.0
    settling_ms: int = 500
    trades_page: int = 50
    user_agent: str = "flotilla"
    maker_bps: Decimal = Decimal(1)
    taker_bps: Decimal = Decimal(5)
    markets: Mapping[str, MarketOverride] = field(default_factory=dict)

    @classmethod
    def from_mapping(cls, given: Mapping[str, object]) -> "ZoConfig":
        """Read settings as nested mappings or dotted names; ConfigurationFault says what to fix."""
        config = cls(**read_settings(given))
        config.check()
        return config

    def check(self) -> None:
        """ConfigurationFault for settings that contradict each other or the venue's rules."""
        Address.parse(self.base_url)
        stream_address(self.streams)
        self._check_keys()
        if self.session_renew_before_s >= self.session_ttl_s:
            raise ConfigurationFault(
                f"session.renew_before_s: {self.session_renew_before_s} is not below "
                f"session.ttl_s {self.session_ttl_s}; lower it"
            )
        if self.max_batch_orders > self.orders_per_s:
            raise ConfigurationFault(
                f"max_batch_orders: {self.max_batch_orders} can never be sent within "
                f"rate.orders_per_s {self.orders_per_s}; lower it"
            )
        self.request_law(shared=True)

    def _check_keys(self) -> None:
        if self.wallet_key is not None:
            own = address_of(seed_of("wallet_key", self.wallet_key).public)
            if self.wallet_address and self.wallet_address != own:
                raise ConfigurationFault(
                    f"wallet_address: wallet_key belongs to {own}; remove one of the two"
                )
        elif self.session_key is None or not self.wallet_address:
            raise ConfigurationFault(
                "wallet_key: it is missing; give it, or session_key together with wallet_address"
            )
        else:
            public_bytes("wallet_address", self.wallet_address)
        if self.session_key is not None:
            seed_of("session_key", self.session_key)

    @property
    def streams(self) -> str:
        """Base of the WebSocket addresses: the HTTP base over ws (zo.md section 1)."""
        return self.stream_url or f"ws{self.base_url.removeprefix('http')}"

    @property
    def user(self) -> str:
        """The wallet's public key in base58."""
        if self.wallet_key is None:
            return self.wallet_address
        return address_of(seed_of("wallet_key", self.wallet_key).public)

    def request_law(self, *, shared: bool) -> RateLaw:
        """Requests a minute, less the headroom where processes share them.

        ConfigurationFault when the cancels' share leaves nothing of it.
        """
        kept = self.rate_headroom if shared else Decimal(0)
        capacity = int(self.requests_per_min * (1 - kept))
        if self.reserve_for_cancel >= capacity:
            raise ConfigurationFault(
                f"rate.reserve_for_cancel: {self.reserve_for_cancel} leaves nothing of the "
                f"{capacity} requests a minute for orders; lower it or raise rate.requests_per_min"
            )
        return RateLaw(capacity=capacity, reserved=self.reserve_for_cancel, window_s=60.0)

    def capabilities(self) -> Capabilities:
        """What planning may rely on at this venue.

        A receipt is final, so nothing waits for order updates; those that come still count.
        """
        return Capabilities(
            atomic_ladder=False,
            replaces_orders=False,
            pushes_order_updates=False,
            pushes_trade_ids=True,
            fills_name_orders=True,
            venue_dead_man=False,
            finds_by_client_id=True,
            max_batch_orders=self.max_batch_orders,
            client_order_id_length=LONGEST_TEXT,
            settling_ms=self.settling_ms,
            ids_refused_for_good=False,
            tells_payments=frozenset(PaymentKind),
        )
