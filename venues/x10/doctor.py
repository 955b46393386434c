"""Says in words which of key, vault, domain or keys is wrong, before the first order finds out.

It only reads: no order is ever placed to test a signature.
"""

from collections.abc import Sequence

from desk.errors import Refused
from desk.orders import RejectReason
from venues.x10.config import X10Config
from venues.x10.reads import Reads
from venues.x10.signing import private_number, public_of
from venues.x10.wire import WireAccountInfo, decode_info

_OF_THE_KEY = frozenset({RejectReason.AUTH, RejectReason.FORBIDDEN})


async def diagnose(
    config: X10Config, reads: Reads, *, signature_refused: bool = False
) -> Sequence[str]:
    """Findings, each a sentence with its remedy; empty when everything that can be read matches.

    `signature_refused`: the venue answered 1101 to an order since the start; when all else
    matches, that leaves the domain. Raises as reads do, except for a refused key.
    """
    findings = list(_own(config))
    try:
        info = (await reads.get("/user/account/info", decode_info, {})).data
    except Refused as refusal:
        if refusal.reason not in _OF_THE_KEY:
            raise
        return [*findings, _refused(refusal)]
    findings += _against(config, info)
    if signature_refused and not findings:
        findings.append(
            f"domain: key, vault and keys match the account, yet the venue refused a signature "
            f"(1101): it is for {config.domain}; give the domain that {config.base_url} checks for"
        )
    return findings


def _own(config: X10Config) -> Sequence[str]:
    public = public_of(private_number(config.private_key))
    if config.public_key is not None and config.public_key != public:
        told = f"private_key belongs to {public:#x}, not to {config.public_key:#x}"
        return [f"public_key: {told}; give the pair of one account"]
    return []


def _refused(refusal: Refused) -> str:
    if refusal.reason is RejectReason.AUTH:
        return f"api_key: the venue does not know it ({refusal.message}); give this account's key"
    return (
        f"api_key: the venue forbids this address or key ({refusal.message}); "
        "look at the key's permissions, and whether the venue blocks this address"
    )


def _against(config: X10Config, info: WireAccountInfo) -> Sequence[str]:
    findings = []
    public = public_of(private_number(config.private_key))
    if info.l2_vault is not None and str(info.l2_vault) != str(config.vault):
        findings.append(
            f"vault: the account of this api_key is position {info.l2_vault}, not {config.vault}; "
            "correct vault, or give the api_key of that position"
        )
    if info.l2_key is not None and _number(info.l2_key) != public:
        findings.append(
            f"private_key: its public key is {public:#x}, but the account's is {info.l2_key}; "
            "give the Stark key of this account"
        )
    if info.status is not None and info.status.upper() != "ACTIVE":
        findings.append(f"account: the venue calls it {info.status}; it may refuse orders")
    return findings


def _number(text: str) -> int | None:
    try:
        return int(text, 16)
    except ValueError:
        return None
