"""The way of an action: who signed it, when, whether it came before; then it is executed.

The order of the checks is that of zo.md section 11.4; a refused action consumes nothing.
"""

from dataclasses import dataclass

from venues.simulation.faults import FaultKind, Site
from venues.zo.schema.nord_pb2 import CreateSession, CreateSessionResult, Receipt, RevokeSession
from venues.zo.simulator import orders
from venues.zo.simulator.calls import HttpRefusal
from venues.zo.simulator.codes import INJECTED, Refusal, number_of
from venues.zo.simulator.envelope import Envelope, open_envelope
from venues.zo.simulator.orders import Actor
from venues.zo.simulator.sessions import Session, verify
from venues.zo.simulator.settings import TooLarge
from venues.zo.simulator.users import Account
from venues.zo.simulator.world import World

UNREADABLE = "/action/unreadable"
_PATHS = {
    "create_session": "/action/sessions/create",
    "revoke_session": "/action/sessions/revoke",
    "place_order": "/action/orders/place",
    "cancel_order_by_id": "/action/cancels/by_id",
    "cancel_order_by_client_id": "/action/cancels/by_client_id",
}
_SESSION_FAULTS = (FaultKind.SESSION_EXPIRED, FaultKind.KEY_REVOKED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """A body as far as it could be read, and where faults look for it."""

    envelope: Envelope | Refusal
    site: Site


def arrive(world: World, body: bytes) -> Arrived:
    """Read a body without judging it."""
    try:
        envelope = open_envelope(body)
    except Refusal as refusal:
        return Arrived(envelope=refusal, site=Site(method="POST", path=UNREADABLE))
    return Arrived(envelope=envelope, site=_site(world, envelope))


def execute(world: World, arrived: Arrived, size: int) -> Receipt:
    """The receipt of an action of so many bytes; HttpRefusal where the answer is none."""
    try:
        return _execute(world, arrived, size)
    except Refusal as refusal:
        settings = world.settings
        number = number_of(refusal, settings.revision, settings.codes)
        receipt = Receipt(action_id=world.journal.next_id)
        receipt.err = number  # type: ignore[assignment]  # numbers outside the table are allowed
        return receipt


def _execute(world: World, arrived: Arrived, size: int) -> Receipt:
    _check_size(world, size)
    if isinstance(arrived.envelope, Refusal):
        raise arrived.envelope
    envelope, site = arrived.envelope, arrived.site
    injected = world.faults.take(site, FaultKind.ORDER_REFUSED)
    if injected is not None and injected.code is not None:
        raise Refusal("INVALID", "injected", number=injected.code)
    session = _signer(world, envelope, site)
    _check_time(world, envelope)
    world.journal.check(envelope.raw)
    if world.is_paused():
        raise Refusal("MAINTENANCE", "the engine is paused")
    receipt = Receipt(action_id=world.journal.next_id)
    world.acting = True
    try:
        _dispatch(world, envelope, session, site, receipt)
        world.journal.record(envelope.raw)
    finally:
        world.acting = False
    return receipt


def _check_size(world: World, size: int) -> None:
    most = world.settings.actions.max_body
    if size <= most:
        return
    if world.settings.actions.too_large is TooLarge.STATUS:
        raise HttpRefusal(413, {"limit": most})
    raise Refusal("ENCODED_ACTION_TOO_LARGE", f"at most {most} bytes")


def _signer(world: World, envelope: Envelope, site: Site) -> Session | None:
    """Check the signature; the session that made it, None for a wallet."""
    action = envelope.action
    if envelope.kind == "create_session":
        wallet = action.create_session.user_pubkey
        if len(wallet) != 32:
            raise Refusal("SIGNATURE_MALFORMED_PUBLIC_KEY", "a public key is 32 bytes")
        verify(wallet, envelope.hex_text, envelope.signature)
        return None
    if envelope.kind == "revoke_session":
        session = world.sessions.find(action.revoke_session.session_id)
        verify(session.wallet, envelope.hex_text, envelope.signature)
        return None
    number = getattr(action, envelope.kind).session_id
    fault = world.faults.take(site, *_SESSION_FAULTS)
    if fault is not None:
        if fault.kind is FaultKind.KEY_REVOKED:
            world.sessions.revoke(number)
        raise Refusal(INJECTED[fault.kind], "injected")
    session = world.sessions.find(number)
    verify(session.pubkey, envelope.raw, envelope.signature)
    return session


def _check_time(world: World, envelope: Envelope) -> None:
    now, said = world.engine_s(), envelope.action.current_timestamp
    if abs(now - said) > world.settings.actions.tolerance_s:
        raise Refusal("TIMESTAMP_OUT_OF_THRESHOLD", f"{said} is too far from {now}")


def _dispatch(
    world: World, envelope: Envelope, session: Session | None, site: Site, receipt: Receipt
) -> None:
    action = envelope.action
    if session is None:
        if envelope.kind == "create_session":
            receipt.create_session_result.CopyFrom(_create(world, action.create_session))
        else:
            _revoke(world, action.revoke_session)
            receipt.session_revoked.SetInParent()
        return
    actor = Actor(account=_account(world, envelope, session), site=site)
    _spend(world, actor, session)
    match envelope.kind:
        case "place_order":
            placed = orders.place(world, actor, action.place_order)
            receipt.place_order_result.CopyFrom(placed)
        case "cancel_order_by_id":
            gone = orders.cancel_by_id(world, actor, action.cancel_order_by_id)
            receipt.cancel_order_result.CopyFrom(gone)
        case "cancel_order_by_client_id":
            gone = orders.cancel_by_client_id(world, actor, action.cancel_order_by_client_id)
            receipt.cancel_order_result.CopyFrom(gone)
        case _:
            receipt.atomic.CopyFrom(orders.atomic(world, actor, action.atomic))


def _create(world: World, message: CreateSession) -> CreateSessionResult:
    if world.users.user(message.user_pubkey) is None:
        raise Refusal("USER_NOT_FOUND", "this wallet never made a deposit")
    if message.signature_framing:
        raise Refusal("NOT_IMPLEMENTED", "only the hexadecimal framing is simulated")
    session = world.sessions.register(
        message.user_pubkey, message.session_pubkey, message.expiry_timestamp
    )
    return CreateSessionResult(session_id=session.session_id)


def _revoke(world: World, message: RevokeSession) -> None:
    world.sessions.revoke(message.session_id)


def _account(world: World, envelope: Envelope, session: Session) -> Account:
    """The account an action names, or the user's first."""
    message = getattr(envelope.action, envelope.kind)
    name = "account_id" if envelope.kind == "atomic" else "sender_account_id"
    if not message.HasField(name):
        user = world.users.user(session.wallet)
        if user is None:
            raise Refusal("USER_NOT_FOUND")
        return user.accounts[0]
    account = world.users.account(getattr(message, name))
    if account is None:
        raise Refusal("ACCOUNT_NOT_FOUND", f"no account {getattr(message, name)}")
    if account.wallet != session.wallet:
        raise Refusal("ACCOUNT_INVALID_OWNER", "the account belongs to another user")
    return account


def _spend(world: World, actor: Actor, session: Session) -> None:
    """Count against the user's rate; HTTP 429 when it is used up."""
    rates = world.settings.rates
    cancelling = "/cancels/" in (actor.site.path or "")
    limit = rates.cancels_per_s if cancelling else rates.orders_per_s
    if limit is None:
        return
    who = f"{'cancels' if cancelling else 'orders'}:{session.wallet.hex()}"
    wait_ns = world.seconds.take(who, limit)
    if wait_ns is not None:
        raise too_many(wait_ns)


def too_many(wait_ns: int) -> HttpRefusal:
    """The refusal of a client that sent too much."""
    return HttpRefusal(429, {"error": "too many requests"}, wait_s=max(1, -(-wait_ns // 10**9)))


def _site(world: World, envelope: Envelope) -> Site:
    action, kind = envelope.action, envelope.kind
    message = getattr(action, kind)
    market_id: int | None = None
    path = _PATHS.get(kind)
    if kind == "place_order":
        market_id = message.market_id
    if path is None:
        parts = [one.trade_or_place for one in message.actions if one.HasField("trade_or_place")]
        path = "/action/orders/atomic" if parts else "/action/cancels/atomic"
        market_id = parts[0].market_id if parts else None
    market = None if market_id is None else world.listing.by_id(market_id)
    return Site(
        method="POST",
        path=path,
        market=None if market is None else market.symbol,
        account=_named(world, envelope),
    )


def _named(world: World, envelope: Envelope) -> str | None:
    """The engine account an action is for, as far as that is known before it is checked."""
    message = getattr(envelope.action, envelope.kind)
    if envelope.kind in {"create_session", "revoke_session"}:
        return None
    name = "account_id" if envelope.kind == "atomic" else "sender_account_id"
    try:
        wallet = world.sessions.find(message.session_id).wallet
    except Refusal:
        return None
    if message.HasField(name):
        account = world.users.account(getattr(message, name))
        return None if account is None else account.name
    user = world.users.user(wallet)
    return None if user is None else user.accounts[0].name
