"""The wallet as the venue knows it: its accounts and its sessions (zo.md section 2.4)."""

from collections.abc import Mapping

import msgspec

from desk.errors import ConfigurationFault, Refused
from desk.orders import RejectReason
from venues.zo.config import ZoConfig
from venues.zo.payloads import unix_ms
from venues.zo.reads import Reads, is_absent


class WireSession(msgspec.Struct, frozen=True):
    """One registered session key, base58; `expiry` is RFC 3339."""

    pubkey: str
    expiry: str

    @property
    def expires_at_s(self) -> int:
        """Unix seconds of the engine's clock."""
        return unix_ms(self.expiry) // 1_000


class WireUser(msgspec.Struct, frozen=True, rename="camel"):
    """Accounts, the default first, and sessions by id."""

    account_ids: list[int]
    sessions: dict[str, WireSession] = {}


_decode = msgspec.json.Decoder(WireUser).decode


class User:
    """Reads of one wallet."""

    def __init__(self, *, config: ZoConfig, reads: Reads) -> None:
        self._reads = reads
        self._wanted = config.account_id
        self._account_id: int | None = None
        self.address = config.user

    @property
    def known_account_id(self) -> int | None:
        """The account, once it was looked up."""
        return self._account_id

    async def account_id(self) -> int:
        """The account this adapter trades; ConfigurationFault when it is not the wallet's.

        Raises Refused (a wallet without an account), NotSent or Unresolved.
        """
        if self._account_id is None:
            told = await self.look()
            if not told.account_ids:
                raise no_account(self.address)
            wanted = self._wanted
            if wanted is not None and wanted not in told.account_ids:
                known = ", ".join(map(str, told.account_ids))
                raise ConfigurationFault(
                    f"account_id: {wanted} is not an account of {self.address}; use one of {known}"
                )
            self._account_id = told.account_ids[0] if wanted is None else wanted
        return self._account_id

    async def look(self) -> WireUser:
        """Accounts and sessions now. Raises Refused, NotSent or Unresolved."""
        try:
            return await self._reads.json("user", _decode, self.address)
        except Refused as refusal:
            if is_absent(refusal):
                raise no_account(self.address) from None
            raise

    async def sessions(self) -> Mapping[str, tuple[int, int]]:
        """Session id and expiry (unix seconds) by public key, base58."""
        told = await self.look()
        return {
            one.pubkey: (int(number), one.expires_at_s) for number, one in told.sessions.items()
        }


def no_account(address: str) -> Refused:
    """What to say of a wallet that never deposited (zo.md section 1)."""
    return Refused(
        RejectReason.FORBIDDEN,
        f"wallet {address} has no account at 01.xyz: the first deposit makes one",
    )
