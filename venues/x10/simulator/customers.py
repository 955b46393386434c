"""Who may call: accounts by their API key, with what each has chosen.

A key is good until it is revoked; keys are never shown.
"""

from dataclasses import dataclass, field
from decimal import Decimal

from desk.errors import ConfigurationFault
from venues.x10.simulator.numbers import Numbers
from venues.x10.simulator.settings import SeedAccount
from venues.x10.simulator.stark import is_public_key


@dataclass(slots=True, kw_only=True, eq=False)
class Customer:
    """One account. `leverage` holds what it chose, by market."""

    seed: SeedAccount
    number: int
    revoked: bool = False
    leverage: dict[str, Decimal] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The engine's account."""
        return self.seed.name

    @property
    def owner(self) -> str:
        """The client the account belongs to."""
        return self.seed.client or self.seed.name


class Customers:
    """All accounts."""

    def __init__(self, numbers: Numbers) -> None:
        self._numbers = numbers
        self._by_name: dict[str, Customer] = {}
        self._by_key: dict[str, Customer] = {}

    def add(self, seed: SeedAccount) -> Customer:
        """Register an account; ConfigurationFault when its key cannot be one."""
        if not is_public_key(seed.stark_public_key):
            raise ConfigurationFault(
                f"account {seed.name}: stark_public_key is no Stark key; give the public key"
            )
        customer = Customer(seed=seed, number=self._numbers.account())
        self._by_name[seed.name] = customer
        self._by_key[seed.api_key] = customer
        return customer

    def of_key(self, key: str | None) -> Customer | None:
        """Who a key belongs to; None when it is unknown or revoked."""
        customer = None if key is None else self._by_key.get(key)
        return None if customer is None or customer.revoked else customer

    def of_name(self, name: str) -> Customer:
        """By the engine's account; KeyError when there is none."""
        return self._by_name[name]

    def names(self) -> list[str]:
        """Engine accounts."""
        return list(self._by_name)

    def of_owner(self, owner: str) -> list[Customer]:
        """All accounts of a client."""
        return [each for each in self._by_name.values() if each.owner == owner]
