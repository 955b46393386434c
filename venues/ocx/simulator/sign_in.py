"""Signing in and out, invites, and API keys. Keys are managed by sessions only."""

from enum import StrEnum
from typing import Any

from venues.ocx.simulator import siwe
from venues.ocx.simulator.answers import Answer, ApiError, invalid
from venues.ocx.simulator.calls import Call, Route
from venues.ocx.simulator.credentials import Access
from venues.ocx.simulator.users import User
from venues.ocx.simulator.world import World


class Scope(StrEnum):
    """What a key may do."""

    READ = "read"
    TRADE = "trade"


def nonce(world: World, call: Call) -> Answer:
    """`POST /auth/nonce`: good once and not for long."""
    address = call.body.get("walletAddress")
    if not siwe.is_address(address):
        raise invalid("walletAddress must be 0x and 40 hex digits")
    return Answer(body={"nonce": world.nonces.issue(str(address))})


def sign_in(world: World, call: Call) -> Answer:
    """`POST /auth/siwe`: proves the wallet and sets the session cookie."""
    message, signature = call.body.get("message"), call.body.get("signature")
    if not isinstance(message, str) or not isinstance(signature, str):
        raise ApiError(400, "INVALID_SIWE_MESSAGE", "message and signature are required")
    read = siwe.read(message, world.settings.sign_in, world.clock.now_s())
    world.nonces.use(read.address, read.nonce)
    siwe.verify(message, signature, read.address)
    user = world.sign_up(read.address)
    if user.wallet_address is None:
        raise ApiError(403, "FORBIDDEN", "this account has no wallet")
    return Answer(
        body={"userId": user.user_id, "walletAddress": user.wallet_address},
        cookie=world.sessions.issue(user.user_id),
    )


def me(_world: World, call: Call) -> Answer:
    """`GET /auth/me`: the user, or null when signed out."""
    return Answer(body=None if call.caller is None else _shown(call.caller.user))


def logout(world: World, call: Call) -> Answer:
    """`POST /auth/logout`: the session's token is dead from now on."""
    token = world.door.token(call.shown)
    if token is not None:
        world.sessions.revoke(token)
    return Answer(body={"ok": True}, cookie="")


def redeem_invite(world: World, call: Call) -> Answer:
    """`POST /auth/redeem-invite`: opens trading for the account."""
    if call.fields.needed("code") != world.settings.sign_in.invite_code:
        raise invalid("the invite code is not valid")
    call.who.user.invited = True
    return Answer(body=_shown(call.who.user))


def create_key(world: World, call: Call) -> Answer:
    """`POST /perps/me/api-keys`: the only time the secret is told."""
    fields = call.fields
    days = call.body.get("expiresInDays")
    if days is not None and (not isinstance(days, int) or isinstance(days, bool) or days < 1):
        raise invalid("expiresInDays must be a whole number above zero")
    key, secret = world.users.add_key(
        call.who.user,
        name=fields.needed("name"),
        scope=fields.choice("scope", Scope, Scope.READ).value,
        allowed_ips=_addresses(call.body.get("allowedIps")),
        expires_in_days=days,
    )
    told = "Keep the secret now: it is not shown again."
    return Answer(status=201, body={"id": key.key_id, "secret": secret, "message": told})


def list_keys(world: World, call: Call) -> Answer:
    """`GET /perps/me/api-keys`: metadata, never a secret."""
    now = world.clock.now_ns() // 1_000_000
    return Answer(body={"keys": [key.metadata(now) for key in world.users.keys(call.who.user)]})


def revoke_key(world: World, call: Call) -> Answer:
    """`DELETE /perps/me/api-keys/{id}`: at once."""
    if not world.users.revoke(call.who.user, call.path_id):
        raise ApiError(404, "UNKNOWN_KEY", f"no key {call.path_id}")
    return Answer(body={"id": call.path_id, "status": "revoked"})


def _addresses(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise invalid("allowedIps must be an array of addresses")
    return tuple(value)


def _shown(user: User) -> dict[str, Any]:
    return {
        "userId": user.user_id,
        "walletAddress": user.wallet_address,
        "inviteRedeemed": user.invited,
    }


_KEYS = "/perps/me/api-keys"

ROUTES = (
    Route(method="POST", path="/auth/nonce", handler=nonce),
    Route(method="POST", path="/auth/siwe", handler=sign_in),
    Route(method="GET", path="/auth/me", handler=me),
    Route(method="POST", path="/auth/logout", handler=logout),
    Route(method="POST", path="/auth/redeem-invite", handler=redeem_invite, access=Access.SESSION),
    Route(method="POST", path=_KEYS, handler=create_key, access=Access.SESSION),
    Route(method="GET", path=_KEYS, handler=list_keys, access=Access.SESSION),
    Route(method="DELETE", path=_KEYS + "/{id}", handler=revoke_key, access=Access.SESSION),
)
