"""Wire vectors: a few as literals, and the whole file where it lies beside the checkout."""

import json
from pathlib import Path
from typing import Any

import pytest

_FILE = Path(__file__).parents[4] / "shared" / "venues" / "zo-vectors.json"
WALLET_SEED = bytes(range(32))
SESSION_SEED = bytes(range(32, 64))
WALLET_ADDRESS = "FAe4sisG95oZ42w7buUn5qEE4TAnfTTFPiguZUHmhiF"
WALLET_SECRET = (
    "1GMkH3brNXiNNs1tiFZHu4yZSRrzJwxi5wB9bHFtMikjwpAW9DMZzU2Pqakc5it8X3N5vPmqdN7KF4CCUpmKhq"  # noqa: S105
)
SESSION_ADDRESS = "3ogUn1GNXoASaRbxPNeVJnVv5rG4EPBtmQmX61jVorUe"

PLACE_RAW = "1d0880e2cfaa0610013a13082a180120013095d62738648802e907900207"
PLACE_SIGNATURE = (
    "35e6fb76ba5796e4eb67b5e7ebb3db3e2695dd5554ba07c4b5eeda509d2736c0"
    "90072eaeaf77334767e56212ebb4669c5825f4da1cb68e142824a53b94c9cf0f"
)
CREATE_RAW = (
    "540880e2cfaa061001224a0a2003a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"
    "122029acbae141bccaf0b22e1a94d34d0bc7361e526d0bfe12c89794bc9322966dd71880fcedab06"
)
CREATE_SIGNATURE = (
    "d2b6e3945d89c891f0d65dd265cc9df31f332b9a2c18845c180b07bf4cdbcc7d"
    "de2a87e951f0af290a8c333d31daba097cfaedac834952f6436c408ccb48d50a"
)
ATOMIC_FOUR_RAW = (
    "87010880e2cfaa0610019a027c082a1007321d321b10011a0418012001320730fca61238b96088028180ead7bcae"
    "fe0f321b321910011a022001320730a8a91238b96088028280ead7bcaefe0f321d321b10011a0418012001320730"
    "b4a51238b96088028380ead7bcaefe0f321b321910011a022001320730f0aa1238b96088028480ead7bcaefe0f"
)
DUPLICATE_RECEIPT = "06088407800200"


def vectors(part: str) -> list[Any]:
    """Parameters from the whole file; one skipped parameter that says so without it."""
    if not _FILE.exists():
        absent = pytest.mark.skip(reason=f"the vector file is not at {_FILE.name} beside here")
        return [pytest.param(None, marks=absent, id="no-vector-file")]
    found = json.loads(_FILE.read_text())[part]
    return [pytest.param(one, id=one["name"]) for one in found]
