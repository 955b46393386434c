"""Sign-In With Ethereum: reads an EIP-4361 message and proves who signed it.

A message for another domain, chain or moment is refused before its signature is looked at.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from venues.ocx.simulator.answers import ApiError
from venues.ocx.simulator.settings import SignIn

_HEAD = re.compile(
    r"\A(?P<domain>\S+) wants you to sign in with your Ethereum account:\n"
    r"(?P<address>0x[0-9a-fA-F]{40})\n"
)
_FIELD = re.compile(
    r"^(URI|Version|Chain ID|Nonce|Issued At|Expiration Time|Not Before|Request ID): (.*)$",
    re.MULTILINE,
)
_ADDRESS = re.compile(r"\A0x[0-9a-fA-F]{40}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class SiweMessage:
    """The fields a server checks. Times are unix seconds."""

    address: str
    nonce: str


def is_address(value: object) -> bool:
    """Whether this is 20 bytes of hex with the 0x prefix."""
    return isinstance(value, str) and _ADDRESS.match(value) is not None


def read(message: str, rules: SignIn, now_s: int) -> SiweMessage:
    """Parse and check a message; ApiError 400 INVALID_SIWE_MESSAGE when it does not hold."""
    head = _HEAD.match(message)
    if head is None:
        raise _bad("the first two lines are not those of EIP-4361")
    fields = dict(_FIELD.findall(message[head.end() :]))
    expected = {"URI": rules.uri, "Version": "1", "Chain ID": str(rules.chain_id)}
    for name, value in expected.items():
        if fields.get(name) != value:
            raise _bad(f"{name} must be {value}")
    if head["domain"] != rules.domain:
        raise _bad(f"domain must be {rules.domain}")
    if not fields.get("Nonce") or _seconds(fields.get("Issued At")) is None:
        raise _bad("Nonce and Issued At are required")
    _check_window(fields, rules, now_s)
    return SiweMessage(address=head["address"], nonce=fields["Nonce"])


def verify(message: str, signature: str, address: str) -> None:
    """ApiError 401 INVALID_SIGNATURE unless `address` signed exactly this text."""
    from eth_account import Account  # noqa: PLC0415 - half a second, for wallets only
    from eth_account.messages import encode_defunct  # noqa: PLC0415 - as above

    try:
        signer = Account.recover_message(encode_defunct(text=message), signature=signature)
    except Exception as fault:  # the key library's own error classes have no common public base
        raise _unsigned() from fault
    if str(signer).lower() != address.lower():
        raise _unsigned()


def _check_window(fields: dict[str, str], rules: SignIn, now_s: int) -> None:
    if "Expiration Time" not in fields:
        if rules.expiration_required:
            raise _bad("Expiration Time is required")
        return
    expires = _seconds(fields["Expiration Time"])
    if expires is None or not now_s < expires <= now_s + rules.expiration_max_s:
        raise _bad(f"Expiration Time must lie within the next {rules.expiration_max_s} seconds")
    starts = _seconds(fields.get("Not Before"))
    if starts is not None and starts > now_s:
        raise _bad("Not Before lies ahead")


def _seconds(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _bad(message: str) -> ApiError:
    return ApiError(400, "INVALID_SIWE_MESSAGE", message)


def _unsigned() -> ApiError:
    return ApiError(401, "INVALID_SIGNATURE", "the signature is not that of the address")
