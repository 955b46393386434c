"""Wallets, their accounts and the numbers by which the wire knows them.

The first account of a wallet is its default (zo.md section 1).
"""

from dataclasses import dataclass, field

import base58

from desk.errors import ConfigurationFault
from venues.zo.simulator.settings import SeedAccount

_KEY_BYTES = 32
_FIRST_OUTSIDER = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One (sub)account; `name` is the engine's."""

    account_id: int
    name: str
    wallet: bytes


@dataclass(slots=True, kw_only=True)
class User:
    """One wallet with its accounts, the default one first."""

    wallet: bytes
    accounts: list[Account] = field(default_factory=list)

    @property
    def wallet_text(self) -> str:
        """The public key in base58."""
        return base58.b58encode(self.wallet).decode()


class Directory:
    """All users. Engine accounts nobody registered (the crowd) get numbers on first sight."""

    def __init__(self) -> None:
        self._users: dict[bytes, User] = {}
        self._accounts: dict[int, Account] = {}
        self._numbers: dict[str, int] = {}
        self._outsiders = 0

    def add(self, seed: SeedAccount) -> Account:
        """Register a seeded account; ConfigurationFault when its key or number is not right."""
        wallet = _key(seed)
        number = seed.account_id
        if number is None:
            number = max(self._accounts, default=0) + 1
        if number < 1 or number in self._accounts:
            raise ConfigurationFault(
                f"account_id of {seed.name} is {number}; give a free number from 1"
            )
        account = Account(account_id=number, name=seed.name, wallet=wallet)
        self._users.setdefault(wallet, User(wallet=wallet)).accounts.append(account)
        self._accounts[number] = account
        self._numbers[seed.name] = number
        return account

    def user(self, wallet: bytes) -> User | None:
        """The user of a wallet."""
        return self._users.get(wallet)

    def user_of_text(self, text: str) -> User | None:
        """The user of a base58 public key."""
        try:
            return self._users.get(base58.b58decode(text))
        except ValueError:
            return None

    def account(self, number: int) -> Account | None:
        """A registered account by its number."""
        return self._accounts.get(number)

    def accounts(self) -> list[Account]:
        """Registered accounts in the order they came."""
        return list(self._accounts.values())

    def number(self, name: str) -> int:
        """The number of an engine account."""
        known = self._numbers.get(name)
        if known is None:
            known = self._numbers[name] = _FIRST_OUTSIDER + self._outsiders
            self._outsiders += 1
        return known

    def named(self, name: str) -> Account | None:
        """A registered account by its engine name."""
        number = self._numbers.get(name)
        return None if number is None else self._accounts.get(number)


def _key(seed: SeedAccount) -> bytes:
    try:
        wallet = base58.b58decode(seed.wallet)
    except ValueError:
        wallet = b""
    if len(wallet) != _KEY_BYTES:
        raise ConfigurationFault(
            f"wallet of {seed.name} is no public key; give the base58 of its 32 bytes"
        )
    return wallet
