"""Settings of the X10 adapter: every guess about the venue is a setting.

Bad input gets one sentence that names the field and the remedy; no secret appears anywhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from desk.errors import ConfigurationFault
from desk.payments import PaymentKind
from desk.ports import Capabilities
from desk.rate_ports import RateLaw
from venues._transport.address import Address
from venues._transport.secret import Secret
from venues._transport.websocket import stream_address
from venues.x10.settings import TIERS, read_settings
from venues.x10.signing import private_number, public_of

VENUE = "x10"
_MAIN, _TEST = "SN_MAIN", "SN_SEPOLIA"
_KNOWN = {
    "api.starknet.extended.exchange": (_MAIN, "wss://api.starknet.extended.exchange"),
    "api.starknet.sepolia.extended.exchange": (
        _TEST,
        "wss://api.starknet.sepolia.extended.exchange",
    ),
}
_STREAM_PATH = "/stream.extended.exchange/v1"
_LONGEST_EXPIRY_S = {_MAIN: 90 * 86_400, _TEST: 28 * 86_400}
_CANCEL_SHARE = Decimal("0.15")


@dataclass(frozen=True, slots=True, kw_only=True)
class X10Config:
    """Everything the adapter may be told. Times say their unit; fees are basis points.

    `stream_url` and `domain` may stay empty for the venue's own hosts (x10.md section 2.1).
    """

    base_url: str
    api_key: Secret
    private_key: Secret
    vault: int
    dead_man_unit: str
    stream_url: str = ""
    domain: str = ""
    public_key: int | None = None
    dead_man_timer_s: int = 30
    rate_tier: str = "default"
    rate_per_min: int | None = None
    rate_headroom: Decimal = Decimal("0.1")
    reserve_for_cancel: int | None = None
    rate_key: str = "ip"
    max_in_flight: int = 4
    max_batch_orders: int = 20
    order_connections: int = 4
    order_expiry_s: int = 900
    sign_in_threads: int = 0
    request_timeout_s: float = 3.0
    read_timeout_s: float = 10.0
    settling_ms: int = 1_000
    cancel_grace_ms: int = 250
    markets_refresh_s: float = 300.0
    trades_page: int = 200
    idle_timeout_s: float = 25.0
    book_silence_s: float = 90.0
    ping_s: float = 5.0
    refused_wait_s: float = 20.0
    depth: int = 50
    user_agent: str = "flotilla"
    maker_bps: Decimal = Decimal(0)
    taker_bps: Decimal = Decimal("2.5")
    post_only_fee: str = "taker"
    funding_fee_is: str = "received"
    """What a positive `fundingFee` means to the account."""

    @classmethod
    def from_mapping(cls, given: Mapping[str, object]) -> "X10Config":
        """Read settings as nested mappings or dotted names; ConfigurationFault says what to fix."""
        config = cls(**read_settings(given)).located()
        config.check()
        return config

    def located(self) -> "X10Config":
        """The same with domain and stream of a known host filled in."""
        domain, origin = _KNOWN.get(Address.parse(self.base_url).host, ("", ""))
        return replace(
            self,
            domain=self.domain or domain,
            stream_url=self.stream_url or (origin and origin + _STREAM_PATH),
        )

    def check(self) -> None:
        """ConfigurationFault for settings that contradict each other or the venue's rules."""
        host = Address.parse(self.base_url).host
        self._check_host(host)
        stream_address(self.stream_url)
        self._check_keys()
        self._check_times()
        if self.reserved >= self.capacity:
            raise ConfigurationFault(
                f"rate.reserve_for_cancel: {self.reserved} leaves nothing of {self.capacity} "
                "for orders; lower it or raise rate.per_min"
            )

    @property
    def capacity(self) -> int:
        """Requests a minute we allow ourselves: the tier less the headroom."""
        told = TIERS[self.rate_tier] if self.rate_per_min is None else self.rate_per_min
        return max(1, int(told * (1 - self.rate_headroom)))

    @property
    def reserved(self) -> int:
        """Requests a minute kept for cancels and the dead-man timer."""
        if self.reserve_for_cancel is not None:
            return self.reserve_for_cancel
        return int(self.capacity * _CANCEL_SHARE)

    def rate_law(self) -> RateLaw:
        """What every process behind one address may send together (section 16)."""
        return RateLaw(capacity=self.capacity, reserved=self.reserved, window_s=60.0)

    def capabilities(self) -> Capabilities:
        """What planning may rely on at this venue."""
        return Capabilities(
            atomic_ladder=False,
            batches_overlap=True,
            replaces_orders=True,
            pushes_order_updates=True,
            pushes_trade_ids=True,
            fills_name_orders=True,
            venue_dead_man=True,
            finds_by_client_id=True,
            max_batch_orders=self.max_batch_orders,
            client_order_id_length=64,
            settling_ms=self.settling_ms,
            ids_refused_for_good=True,
            tells_payments=frozenset(PaymentKind),
        )

    def _check_host(self, host: str) -> None:
        if not self.stream_url:
            raise ConfigurationFault(
                f"stream_url: it is missing and does not follow from {host}; give wss://HOST/.../v1"
            )
        if not self.domain:
            raise ConfigurationFault(
                f"domain: it is missing and does not follow from {host}; "
                f"give {_MAIN} or {_TEST}, what the venue there checks signatures for"
            )
        if self.domain == _MAIN and not Address.parse(self.base_url).secure:
            raise ConfigurationFault(
                f"domain: {host} is reached over plain http, so it is a simulated venue, and what "
                f"is signed for {_MAIN} would be valid at the real one; give {_TEST}"
            )
        expected = _KNOWN.get(host, (self.domain, ""))[0]
        if self.domain != expected:
            raise ConfigurationFault(
                f"domain: {host} checks signatures for {expected}, not {self.domain}; "
                "correct domain or base_url"
            )

    def _check_keys(self) -> None:
        public = public_of(private_number(self.private_key))
        if self.public_key is not None and self.public_key != public:
            raise ConfigurationFault(
                f"public_key: private_key belongs to {public:#x}; correct one of the two, "
                "or leave public_key out"
            )

    def _check_times(self) -> None:
        longest_s = _LONGEST_EXPIRY_S[self.domain]
        if self.order_expiry_s > longest_s:
            raise ConfigurationFault(
                f"order_expiry_s: {self.order_expiry_s} is more than the {longest_s} that "
                f"{self.domain} allows; lower it"
            )
        if self.ping_s >= self.idle_timeout_s:
            raise ConfigurationFault(
                f"streams.ping_s: {self.ping_s} is not below streams.idle_timeout_s "
                f"({self.idle_timeout_s}), so a quiet stream would count as dead; lower it"
            )
