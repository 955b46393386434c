"""Where a hedge may stand: only at venues that never take a client order id a second time."""

import pytest

from activities.hedge_watch import cannot_hedge
from desk.identity import MarketId
from desk.ports import Capabilities
from tests.venues.zo.vectors import WALLET_SECRET
from venues.ocx.config import OcxConfig
from venues.x10 import X10Config
from venues.zo import ZoConfig

OCX = OcxConfig.from_mapping({"base_url": "https://api.example", "api_key": "ocx_sk_x"})
ZO = ZoConfig.from_mapping({"base_url": "https://zo-devnet.n1.xyz", "wallet_key": WALLET_SECRET})
X10 = X10Config.from_mapping(
    {
        "base_url": "http://127.0.0.1:9/api/v1",
        "stream_url": "ws://127.0.0.1:9/stream.extended.exchange/v1",
        "domain": "SN_SEPOLIA",
        "api_key": "x10-key-0123456789",
        "private_key": "0x7a7ff6fd3cab02ccdcd4a572563f5976f8976899b03a39773795a3c486d4986",
        "public_key": "0x61c5e7e8339b7d56f197f54ea91b776776690e3232313de0f2ecbd0ef76f466",
        "vault": 10_002,
        "dead_man": {"unit": "seconds"},
    }
)


@pytest.mark.parametrize(
    ("able", "hedges"),
    [(OCX.capabilities(), True), (X10.capabilities(), True), (ZO.capabilities(), False)],
    ids=["ocx", "x10", "zo"],
)
def test_only_venues_that_spend_an_id_for_good_take_hedges(
    able: Capabilities, *, hedges: bool
) -> None:
    assert able.ids_refused_for_good is hedges


def test_the_refusal_names_the_venue_and_the_remedy() -> None:
    sentence = cannot_hedge(MarketId("zo", "main", "BTCUSD"))
    assert sentence.startswith("hedge_venue: zo refuses a client order id only while")
    assert sentence.endswith("hedge at another venue")
