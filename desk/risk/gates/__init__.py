"""Gates, one rule a file: pure functions of a batch and its context that deny or stay mute.

The order is from what makes the others meaningless to what is most costly to compute.
"""

from collections.abc import Callable
from typing import Final, TypeAlias

from desk.orders import Batch
from desk.risk.context import GateContext
from desk.risk.gates.duplicate_id import duplicate_id
from desk.risk.gates.exposure_share import market_exposure, total_exposure
from desk.risk.gates.free_collateral import free_collateral
from desk.risk.gates.margin_fraction import margin_fraction
from desk.risk.gates.max_position import max_position
from desk.risk.gates.order_notional import order_notional
from desk.risk.gates.order_rate import order_rate
from desk.risk.gates.order_size import order_size
from desk.risk.gates.price_collar import price_collar
from desk.risk.gates.sanity import sanity
from desk.risk.gates.self_crossing import self_crossing
from desk.risk.gates.stale_account import stale_account
from desk.risk.gates.stale_book import stale_book
from desk.risk.reasons import Denied

Gate: TypeAlias = Callable[[Batch, GateContext], Denied | None]

GATES: Final[tuple[Gate, ...]] = (
    sanity,
    stale_book,
    stale_account,
    order_rate,
    duplicate_id,
    order_size,
    order_notional,
    price_collar,
    self_crossing,
    max_position,
    free_collateral,
    margin_fraction,
    market_exposure,
    total_exposure,
)
