"""The simulated venues of a demo: how each is started, and what a worker is told of it.

Two accounts each: main is left to the person, the other is new for every demo, because a simulated
venue forgets when it ends and the ledger does not.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from flotilla.demo.arbitrage.sets import OUTCOMES, Scene
from flotilla.demo.children import Child
from flotilla.demo.plan import DemoPlan
from flotilla.simulated import ocx, x10, zo
from flotilla.simulated.markets import RATE_PER_MINUTE

_READY_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What differs from venue to venue: its answers when ready, and its settings."""

    answers: tuple[str, ...]
    settings: Callable[[Mapping[str, str], str, Path, int], Mapping[str, str]]


def _ocx(urls: Mapping[str, str], account: str, key: Path, place: int) -> Mapping[str, str]:
    del place
    own = {f"{account}API_KEY_FILE": str(key)}
    if account:
        return own
    return {
        **own,
        "BASE_URL": urls["base_url"],
        "RATE__ORDER_PER_MIN": str(RATE_PER_MINUTE),
        "RATE__RESERVE_FOR_CANCEL": str(RATE_PER_MINUTE // 10),
    }


def _x10(urls: Mapping[str, str], account: str, key: Path, place: int) -> Mapping[str, str]:
    own = {
        f"{account}API_KEY_FILE": str(key),
        f"{account}PRIVATE_KEY_FILE": f"{key}.stark",
        f"{account}VAULT": str(x10.vault_of(place)),
    }
    if account:
        return own
    return {
        **own,
        "BASE_URL": urls["base_url"],
        "STREAM_URL": urls["stream_url"],
        "DOMAIN": x10.DOMAIN,
        "DEAD_MAN__UNIT": "seconds",
        "DEAD_MAN__TIMER_S": "10",
        "RATE__PER_MIN": str(RATE_PER_MINUTE),
    }


def _zo(urls: Mapping[str, str], account: str, key: Path, place: int) -> Mapping[str, str]:
    del place
    own = {f"{account}WALLET_KEY_FILE": str(key)}
    if account:
        return own
    return {
        **own,
        "BASE_URL": urls["base_url"],
        "RATE__ORDERS_PER_S": str(RATE_PER_MINUTE // 60),
        "RATE__CANCELS_PER_S": str(RATE_PER_MINUTE // 60),
        "RATE__REQUESTS_PER_MIN": str(RATE_PER_MINUTE),
    }


KINDS: Final[Mapping[str, Kind]] = {
    "ocx": Kind(answers=("base_url",), settings=_ocx),
    "x10": Kind(answers=("base_url", "stream_url"), settings=_x10),
    "zo": Kind(answers=("base_url",), settings=_zo),
}
SYMBOLS: Final[Mapping[str, Callable[[int, Path | None], tuple[str, ...]]]] = {
    "ocx": ocx.symbols,
    "x10": x10.symbols,
    "zo": zo.symbols,
}


class DemoVenue:
    """One simulated venue in a process of its own."""

    def __init__(self, name: str, plan: DemoPlan, *, account: str) -> None:
        folder = plan.data_dir.absolute() / "secrets"
        self.name = name
        self.urls: Mapping[str, str] = {}
        self._account = account
        self._keys = (folder / f"{name}-main", folder / f"{name}-{account}" / account)
        arguments = ["sim", name, "--markets", str(plan.count_at(name))]
        if plan.arb:
            arguments += ["--events", str(len(Scene)), "--outcomes", str(OUTCOMES)]
        for key in self._keys:
            arguments += ["--key-file", str(key)]
        if plan.seed is not None:
            arguments += ["--seed", str(plan.seed)]
        if plan.replay is not None:
            arguments += ["--replay", str(plan.replay)]
        self.child = Child(
            f"simulated {name}", arguments, log=plan.data_dir / "logs" / f"sim-{name}.log"
        )

    async def ready(self) -> None:
        """Wait until it says where it is. Unavailable when it does not."""
        self.urls = {
            answer: await self.child.read(answer, timeout_s=_READY_S)
            for answer in KINDS[self.name].answers
        }

    def environment(self) -> Mapping[str, str]:
        """Settings of both accounts, for whoever connects to this venue."""
        found: dict[str, str] = {}
        prefix = f"FLOTILLA_VENUE_{self.name.upper()}__"
        for place, account in enumerate(("", f"{self._account.upper()}__")):
            settings = KINDS[self.name].settings(self.urls, account, self._keys[place], place)
            found.update({f"{prefix}{key}": value for key, value in settings.items()})
        return found

    @property
    def control_url(self) -> str:
        """Where the levers under /_sim/ are."""
        parts = urlsplit(self.urls["base_url"])
        return f"{parts.scheme}://{parts.netloc}"

    def forget(self) -> None:
        """Remove the credentials of the demo's own account."""
        folder = self._keys[1].parent
        for path in folder.iterdir() if folder.exists() else ():
            path.unlink()
        if folder.exists():
            folder.rmdir()
