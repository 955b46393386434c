"""The venue's numbers for refusals (x10.md section 15), with its names as their words.

A refusal means nothing was applied.
"""

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Any

from venues.x10.simulator.settings import Answers


class Code(IntEnum):
    """Codes this simulator finds on its own; a fault may carry any other."""

    BAD_REQUEST = 400
    UNAUTHORIZED = 401
    FORBIDDEN = 403
    NOT_FOUND = 404
    RATE_LIMITED = 429
    SERVER_ERROR = 500
    MARKET_NOT_FOUND = 1001
    MARKET_DISABLED = 1002
    MAINTENANCE_MODE = 1010
    POST_ONLY_MODE = 1011
    REDUCE_ONLY_MODE = 1012
    MARKET_REDUCE_ONLY = 1014
    LEVERAGE_TOO_LOW = 1049
    LEVERAGE_TOO_HIGH = 1050
    LEVERAGE_MARGIN = 1052
    LEVERAGE_PRECISION = 1053
    INVALID_PUBLIC_KEY = 1100
    INVALID_SIGNATURE = 1101
    INVALID_VAULT = 1102
    QTY_TOO_SMALL = 1120
    QTY_INCREMENT = 1121
    VALUE_TOO_LARGE = 1122
    QTY_PRECISION = 1123
    PRICE_MOVEMENT = 1124
    PRICE_PRECISION = 1125
    TOO_MANY_ORDERS = 1126
    POSITION_TOO_LARGE = 1127
    INVALID_FEE = 1128
    TPSL_QTY = 1129
    MISSING_PRICE = 1130
    MISSING_TPSL_TRIGGER = 1131
    ORDER_TYPE = 1132
    INVALID_PARAMETERS = 1133
    DUPLICATE_ORDER = 1134
    INVALID_EXPIRATION = 1135
    REDUCE_ONLY_SIZE = 1136
    REDUCE_ONLY_NO_POSITION = 1137
    REDUCE_ONLY_SAME_SIDE = 1138
    MARKET_MUST_BE_IOC = 1139
    COST_EXCEEDS_BALANCE = 1140
    PRICE_BAND = 1141
    EDIT_ORDER_NOT_FOUND = 1142
    MISSING_CONDITIONAL_TRIGGER = 1143
    POST_ONLY_CONDITIONAL_MARKET = 1144
    TWAP_MUST_BE_GTT = 1146
    LEVERAGE_FOR_POSITION = 10501


_MESSAGES: Mapping[int, str] = MappingProxyType(
    {
        Code.BAD_REQUEST: "Bad request",
        Code.UNAUTHORIZED: "Unauthorized",
        Code.FORBIDDEN: "Forbidden",
        Code.NOT_FOUND: "Not found",
        Code.RATE_LIMITED: "Too many requests",
        Code.SERVER_ERROR: "Internal server error",
        Code.MARKET_NOT_FOUND: "Market not found",
        Code.MARKET_DISABLED: "Market is disabled",
        Code.MAINTENANCE_MODE: "Maintenance mode",
        Code.POST_ONLY_MODE: "Post-only mode",
        Code.REDUCE_ONLY_MODE: "Reduce-only mode",
        Code.MARKET_REDUCE_ONLY: "Market is reduce-only",
        Code.LEVERAGE_TOO_LOW: "Leverage is below the minimum",
        Code.LEVERAGE_TOO_HIGH: "Leverage exceeds the maximum",
        Code.LEVERAGE_MARGIN: "Insufficient margin",
        Code.LEVERAGE_PRECISION: "Invalid leverage precision",
        Code.INVALID_PUBLIC_KEY: "Invalid Starknet public key",
        Code.INVALID_SIGNATURE: "Invalid Starknet signature",
        Code.INVALID_VAULT: "Invalid Starknet vault",
        Code.QTY_TOO_SMALL: "Order quantity is less than the minimum trade size",
        Code.QTY_INCREMENT: "Invalid quantity, wrong size increment",
        Code.VALUE_TOO_LARGE: "Order value exceeds the maximum order value",
        Code.QTY_PRECISION: "Invalid quantity precision",
        Code.PRICE_MOVEMENT: "Invalid price, wrong price movement",
        Code.PRICE_PRECISION: "Invalid price precision",
        Code.TOO_MANY_ORDERS: "Maximum number of open orders exceeded",
        Code.POSITION_TOO_LARGE: "Maximum position value exceeded",
        Code.INVALID_FEE: "Invalid trading fees",
        Code.TPSL_QTY: "Invalid position TP/SL quantity",
        Code.MISSING_PRICE: "Order price is missing",
        Code.MISSING_TPSL_TRIGGER: "TP/SL trigger is missing",
        Code.ORDER_TYPE: "Order type is not allowed",
        Code.INVALID_PARAMETERS: "Invalid order parameters",
        Code.DUPLICATE_ORDER: "Duplicate order",
        Code.INVALID_EXPIRATION: "Invalid order expiration",
        Code.REDUCE_ONLY_SIZE: "Reduce-only order size exceeds the position size",
        Code.REDUCE_ONLY_NO_POSITION: "Reduce-only order without a position",
        Code.REDUCE_ONLY_SAME_SIDE: "Reduce-only order on the side of the position",
        Code.MARKET_MUST_BE_IOC: "Market order must be IOC",
        Code.COST_EXCEEDS_BALANCE: "Order cost exceeds balance",
        Code.PRICE_BAND: "Invalid price amount",
        Code.EDIT_ORDER_NOT_FOUND: "Edit order not found",
        Code.MISSING_CONDITIONAL_TRIGGER: "Conditional trigger is missing",
        Code.POST_ONLY_CONDITIONAL_MARKET: "Conditional market order can't be post-only",
        Code.TWAP_MUST_BE_GTT: "TWAP order must be GTT",
        Code.LEVERAGE_FOR_POSITION: "Leverage exceeds the maximum for the position value",
    }
)
_HTTP_CODES = 1000


class ApiRefused(Exception):
    """A refusal; `detail` is free text that nobody may parse."""

    def __init__(self, code: int, detail: str | None = None) -> None:
        super().__init__(f"{code}: {detail or _MESSAGES.get(code, '')}")
        self.code = code
        self.detail = detail

    def status(self, answers: Answers) -> int:
        """HTTP status of this refusal."""
        return self.code if self.code < _HTTP_CODES else answers.error_status

    def body(self, answers: Answers) -> dict[str, Any]:
        """The error envelope (section 4.1)."""
        shown: int | str = self.code
        if self.code == Code.NOT_FOUND and answers.not_found_as_text:
            shown = "NOT_FOUND"
        error: dict[str, Any] = {"code": shown, "message": _MESSAGES.get(self.code, "Refused")}
        if self.detail is not None:
            error["debugInfo"] = self.detail
        return {"status": "ERROR", "error": error}
