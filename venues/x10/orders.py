"""An order as bytes: everything fixed first, then signed, here or in a thread.

What the venue would round is refused before it is signed (x10.md section 5.4).
"""

import re
from dataclasses import dataclass
from decimal import Decimal

import msgspec

from desk.instrument import Instrument
from desk.orders import NewOrder, TimeInForce
from desk.ports import Clock
from desk.units import NS_PER_S, Side
from venues.x10.instruments import Catalog, Listing
from venues.x10.signing import Amounts, Nonces, Scale, Settlement, Signer

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SIDES = {Side.BUY: "BUY", Side.SELL: "SELL"}
_LIVES = {TimeInForce.GTC: "GTT", TimeInForce.IOC: "IOC"}
_BOOLEANS = ("false", "true")
_HEAD = (
    '{"id":"%s","market":%s,"type":"LIMIT","side":"%s","qty":"%s","price":"%s",'
    '"reduceOnly":%s,"postOnly":%s,"timeInForce":"%s","expiryEpochMillis":%d,'
    '"fee":"%s","nonce":"%d","selfTradeProtectionLevel":"ACCOUNT",%s'
)
_TAIL = (
    '%s"settlement":{"signature":{"r":"%#x","s":"%#x"},"starkKey":"%#x",'
    '"collateralPosition":"%d"},"debuggingAmounts":{"collateralAmount":"%d",'
    '"feeAmount":"%d","syntheticAmount":"%d"}}'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An order with everything but its signature."""

    head: str
    amounts: Amounts
    settlement: Settlement
    nonce: int
    expiry_s: int


class _Market:
    """What the orders of one market share, for as long as its listing stays the same."""

    __slots__ = ("instrument", "listing", "maker", "name", "taker")

    def __init__(self, instrument: Instrument, listing: Listing, maker_rate: Decimal) -> None:
        self.instrument = instrument
        self.listing = listing
        self.name = msgspec.json.encode(instrument.symbol).decode()
        self.maker = _rate(instrument, listing, maker_rate)
        self.taker = _rate(instrument, listing, listing.taker_rate)


class OrderWriter:
    """Writes orders of one account. `draft` belongs to the event loop; `signed` may go anywhere."""

    def __init__(
        self,
        *,
        signer: Signer,
        vault: int,
        nonces: Nonces,
        catalog: Catalog,
        clock: Clock,
        expiry_s: int,
        post_only_fee: str,
    ) -> None:
        self._signer = signer
        self._vault = vault
        self._nonces = nonces
        self._catalog = catalog
        self._clock = clock
        self._expiry_s = expiry_s
        self._maker_for_post_only = post_only_fee == "maker"
        self._markets: dict[str, _Market] = {}

    def draft(self, order: NewOrder, instrument: Instrument, listing: Listing) -> Draft:
        """Fix price, size, fee, nonce and expiry, a whole second in unix time."""
        market = self._market(instrument, listing)
        scale, fee = market.maker if order.post_only else market.taker
        prices, sizes = self._catalog.grids(instrument)
        expiry_s = -(-self._clock.wall_ns() // NS_PER_S) + self._expiry_s
        nonce = self._nonces.next()
        head = _HEAD % (
            order.client_order_id,
            market.name,
            _SIDES[order.side],
            sizes.text(order.lots),
            prices.text(order.price),
            _BOOLEANS[order.reduce_only],
            _BOOLEANS[order.post_only],
            _LIVES[order.time_in_force],
            expiry_s * 1_000,
            fee,
            nonce,
            "" if order.replaces is None else f'"cancelId":"{order.replaces}",',
        )
        return Draft(
            head=head,
            amounts=scale.amounts(order.side, order.price, order.lots),
            settlement=listing.settlement,
            nonce=nonce,
            expiry_s=expiry_s,
        )

    def signed(self, draft: Draft) -> bytes:
        """The whole body; about 0.4 ms, most of it without the interpreter's lock."""
        amounts = draft.amounts
        signature = self._signer.sign(
            amounts, draft.settlement, nonce=draft.nonce, expiry_s=draft.expiry_s
        )
        return (
            _TAIL
            % (
                draft.head,
                signature.r,
                signature.s,
                self._signer.public_key,
                self._vault,
                amounts.quote,
                amounts.fee,
                amounts.base,
            )
        ).encode("ascii")

    def _market(self, instrument: Instrument, listing: Listing) -> _Market:
        held = self._markets.get(instrument.symbol)
        if held is None or held.listing is not listing or held.instrument is not instrument:
            rate = listing.maker_rate if self._maker_for_post_only else listing.taker_rate
            held = self._markets[instrument.symbol] = _Market(instrument, listing, rate)
        return held


def objection(order: NewOrder, listing: Listing) -> str | None:
    """Why an order is not even sent; None when it may go."""
    if order.time_in_force not in _LIVES:
        return f"time in force {order.time_in_force}: X10 has withdrawn it; use IOC"
    if order.time_in_force is TimeInForce.IOC and order.post_only:
        return "an order cannot be post-only and immediate-or-cancel"
    for name in (order.client_order_id, order.replaces):
        if name is not None and not _ID.fullmatch(name):
            return f"id {name!r}: X10 takes letters, digits, - and _, at most 64"
    # What is left of a position may be smaller than the least size; the venue judges that.
    least = 1 if order.reduce_only else listing.instrument.min_lots
    if order.lots < least or order.price <= 0:
        return f"{order.lots} lots at {order.price} ticks is below what the market takes"
    return None


def _rate(instrument: Instrument, listing: Listing, rate: Decimal) -> tuple[Scale, str]:
    # A rebate is no fee to accept: the highest fee we sign for is then zero.
    most = max(Decimal(0), rate)
    scale = Scale(
        tick=instrument.tick_size,
        lot=instrument.lot_size,
        fee_rate=most,
        settlement=listing.settlement,
    )
    return scale, format(most.normalize(), "f")
