# ruff: noqa: E501, I001, RUF023, UP007, UP045
# fmt: off
# mypy: disable-error-code="type-arg"
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Side(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ASK: _ClassVar[Side]
    BID: _ClassVar[Side]

class FillMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LIMIT: _ClassVar[FillMode]
    POST_ONLY: _ClassVar[FillMode]
    IMMEDIATE_OR_CANCEL: _ClassVar[FillMode]
    FILL_OR_KILL: _ClassVar[FillMode]

class SignatureFraming(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    HEX: _ClassVar[SignatureFraming]
    SOLANA_TRANSACTION: _ClassVar[SignatureFraming]

class Error(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DUPLICATE: _ClassVar[Error]
    DECODE_FAILURE_2025: _ClassVar[Error]
    INVALID_SIGNATURE: _ClassVar[Error]
    MARKET_NOT_FOUND: _ClassVar[Error]
    TOKEN_NOT_FOUND: _ClassVar[Error]
    USER_NOT_FOUND: _ClassVar[Error]
    SESSION_NOT_FOUND: _ClassVar[Error]
    ORDER_NOT_FOUND: _ClassVar[Error]
    ORDER_SIZE_ZERO: _ClassVar[Error]
    ARITHMETIC: _ClassVar[Error]
    ARITHMETIC_OVERFLOW: _ClassVar[Error]
    ARITHMETIC_UNDERFLOW: _ClassVar[Error]
    ARITHMETIC_DIVISION_BY_ZERO: _ClassVar[Error]
    KEY_ALREADY_REGISTERED: _ClassVar[Error]
    EXPIRY_TIMESTAMP_IN_PAST: _ClassVar[Error]
    UPDATE_TIMESTAMP_IN_PAST: _ClassVar[Error]
    TOO_MANY_OPEN_ORDERS: _ClassVar[Error]
    WITHDRAW_AMOUNT_TOO_SMALL: _ClassVar[Error]
    INVALID_ORDER_OWNER: _ClassVar[Error]
    DECODE_FAILURE: _ClassVar[Error]
    DECODE_FAILURE_LENGTH_PREFIX: _ClassVar[Error]
    DECODE_FAILURE_RAW: _ClassVar[Error]
    DECODE_FAILURE_DOMAIN: _ClassVar[Error]
    UPDATE_PUBLISH_TIME_IN_PAST: _ClassVar[Error]
    FUNDING_OVERFLOW: _ClassVar[Error]
    CAN_REDUCE_POSITION_ONLY_IF_ALL_ORDERS_ARE_CANCELED: _ClassVar[Error]
    UNEXPECTED_TOKEN_ID: _ClassVar[Error]
    REPEATED_ORDER_ID: _ClassVar[Error]
    CLIENT_ORDER_ID_TOO_LARGE: _ClassVar[Error]
    TOKEN_NOT_READY: _ClassVar[Error]
    IMMEDIATE_ORDER_GOT_NO_FILLS: _ClassVar[Error]
    FAILED_TO_FILL_LIMIT: _ClassVar[Error]
    POST_ONLY_MUST_NOT_FILL_ANY_OPPOSITE_ORDERS: _ClassVar[Error]
    INVALID: _ClassVar[Error]
    MAINTENANCE: _ClassVar[Error]
    MINIMUM_SIZE_DECIMALS: _ClassVar[Error]
    PARAMETERS_WILL_CREATE_NON_OPERATIONAL_MARKET: _ClassVar[Error]
    ONLY_IMMEDIATE_ORDERS_ALLOWED: _ClassVar[Error]
    TOO_MANY_USER_ACCOUNTS: _ClassVar[Error]
    ACCOUNT_NOT_FOUND: _ClassVar[Error]
    ACCOUNT_INVALID_OWNER: _ClassVar[Error]
    DUST_ACCOUNT: _ClassVar[Error]
    BALANCE: _ClassVar[Error]
    BALANCE_DEPOSIT_OVERFLOW: _ClassVar[Error]
    BALANCE_CHANGE_OVERFLOW: _ClassVar[Error]
    BALANCE_CHANGE_LIMIT_EXCEEDED: _ClassVar[Error]
    BALANCE_INSUFFICIENT: _ClassVar[Error]
    UNAUTHENTICATED_L1_ACTION: _ClassVar[Error]
    ENCODED_ACTION_TOO_LARGE: _ClassVar[Error]
    TRIGGER: _ClassVar[Error]
    TRIGGER_INVALID_PRICE: _ClassVar[Error]
    TRIGGER_NOT_FOUND: _ClassVar[Error]
    TRIGGER_ONLY_DECREASE_ORDERS_SUPPORTED: _ClassVar[Error]
    TRIGGER_MAX_SIZE_PLACEMENT_EXCEEDED: _ClassVar[Error]
    TIMESTAMP: _ClassVar[Error]
    TIMESTAMP_OUT_OF_THRESHOLD: _ClassVar[Error]
    TIMESTAMP_STALE: _ClassVar[Error]
    BANKRUPTCY_INSUFFICIENT_COVERAGE: _ClassVar[Error]
    BANKRUPTCY_NOT_FOUND: _ClassVar[Error]
    BANKRUPTCY_NOT_ALLOWED: _ClassVar[Error]
    MARKET_NOT_READY: _ClassVar[Error]
    MARKET_FROZEN: _ClassVar[Error]
    MARKET_EMPTY: _ClassVar[Error]
    POSITION: _ClassVar[Error]
    POSITION_NOT_FOUND: _ClassVar[Error]
    POSITION_STATE_ORDER: _ClassVar[Error]
    POSITION_STATE_ORDER_PRICE: _ClassVar[Error]
    POSITION_STATE_ORDER_SIZE: _ClassVar[Error]
    POSITION_STATE_ORDER_SIDE: _ClassVar[Error]
    POSITION_SIZE_LIMIT: _ClassVar[Error]
    POSITION_STATE_PERP: _ClassVar[Error]
    POSITION_STATE_ORDER_DELEGATION: _ClassVar[Error]
    PRICE: _ClassVar[Error]
    SIGNATURE_VERIFICATION: _ClassVar[Error]
    SIGNATURE_MALFORMED_PUBLIC_KEY: _ClassVar[Error]
    SIGNATURE_INVALID_LENGTH: _ClassVar[Error]
    RISK: _ClassVar[Error]
    RISK_DELEGATION_MF_TO_BE_LESS_THAN_OR_EQUAL_MMF: _ClassVar[Error]
    RISK_OMF_LESS_THAN_OR_EQUAL_IMF: _ClassVar[Error]
    RISK_OMF_LESS_THAN_OR_EQUAL_CMF: _ClassVar[Error]
    RISK_UNHEALTHY_MF_AND_PON_AFTER_BETTER_OF_BEFORE: _ClassVar[Error]
    RISK_TRADE_OMF_LESS_THAN_OR_EQUAL_CMF: _ClassVar[Error]
    ORDER_EXECUTION: _ClassVar[Error]
    ORDER_EXECUTION_EMPTY: _ClassVar[Error]
    ORDER_EXECUTION_FILL_OR_KILL: _ClassVar[Error]
    ORDER_EXECUTION_MISSING_LIMITS: _ClassVar[Error]
    ORDER_EXECUTION_MISSING_PRICE: _ClassVar[Error]
    ORDER_EXECUTION_SIZE_LIMIT: _ClassVar[Error]
    ORDER_EXECUTION_LIMIT_PRICE: _ClassVar[Error]
    ORDER_REDUCE_IS_POST_ONLY: _ClassVar[Error]
    ORDER_EXECUTION_SELL_PRICE: _ClassVar[Error]
    ORDER_SIZE_EXCEEDS_POSITION_SIZE: _ClassVar[Error]
    ATOMICS: _ClassVar[Error]
    ATOMICS_TRADES_CANNOT_FOLLOW_PLACES: _ClassVar[Error]
    ATOMICS_CANCELS_CANNOT_FOLLOW_TRADES_PLACES: _ClassVar[Error]
    ACTION_POSITION_SHOULD_BE_COVERED: _ClassVar[Error]
    ACTION_INVALID_NONCE: _ClassVar[Error]
    ACTION_PROPOSED_PRICE_MUST_BE_HIGHER: _ClassVar[Error]
    TRANSFER: _ClassVar[Error]
    TRANSFER_TO_UNOWNED_ACCOUNT_IS_PROHIBITED: _ClassVar[Error]
    TRANSFER_TO_OWNED_ACCOUNT_WAS_REQUESTED: _ClassVar[Error]
    NOT_IMPLEMENTED: _ClassVar[Error]
    ACTION_NOT_ALLOWED: _ClassVar[Error]
    DROPPED: _ClassVar[Error]
ASK: Side
BID: Side
LIMIT: FillMode
POST_ONLY: FillMode
IMMEDIATE_OR_CANCEL: FillMode
FILL_OR_KILL: FillMode
HEX: SignatureFraming
SOLANA_TRANSACTION: SignatureFraming
DUPLICATE: Error
DECODE_FAILURE_2025: Error
INVALID_SIGNATURE: Error
MARKET_NOT_FOUND: Error
TOKEN_NOT_FOUND: Error
USER_NOT_FOUND: Error
SESSION_NOT_FOUND: Error
ORDER_NOT_FOUND: Error
ORDER_SIZE_ZERO: Error
ARITHMETIC: Error
ARITHMETIC_OVERFLOW: Error
ARITHMETIC_UNDERFLOW: Error
ARITHMETIC_DIVISION_BY_ZERO: Error
KEY_ALREADY_REGISTERED: Error
EXPIRY_TIMESTAMP_IN_PAST: Error
UPDATE_TIMESTAMP_IN_PAST: Error
TOO_MANY_OPEN_ORDERS: Error
WITHDRAW_AMOUNT_TOO_SMALL: Error
INVALID_ORDER_OWNER: Error
DECODE_FAILURE: Error
DECODE_FAILURE_LENGTH_PREFIX: Error
DECODE_FAILURE_RAW: Error
DECODE_FAILURE_DOMAIN: Error
UPDATE_PUBLISH_TIME_IN_PAST: Error
FUNDING_OVERFLOW: Error
CAN_REDUCE_POSITION_ONLY_IF_ALL_ORDERS_ARE_CANCELED: Error
UNEXPECTED_TOKEN_ID: Error
REPEATED_ORDER_ID: Error
CLIENT_ORDER_ID_TOO_LARGE: Error
TOKEN_NOT_READY: Error
IMMEDIATE_ORDER_GOT_NO_FILLS: Error
FAILED_TO_FILL_LIMIT: Error
POST_ONLY_MUST_NOT_FILL_ANY_OPPOSITE_ORDERS: Error
INVALID: Error
MAINTENANCE: Error
MINIMUM_SIZE_DECIMALS: Error
PARAMETERS_WILL_CREATE_NON_OPERATIONAL_MARKET: Error
ONLY_IMMEDIATE_ORDERS_ALLOWED: Error
TOO_MANY_USER_ACCOUNTS: Error
ACCOUNT_NOT_FOUND: Error
ACCOUNT_INVALID_OWNER: Error
DUST_ACCOUNT: Error
BALANCE: Error
BALANCE_DEPOSIT_OVERFLOW: Error
BALANCE_CHANGE_OVERFLOW: Error
BALANCE_CHANGE_LIMIT_EXCEEDED: Error
BALANCE_INSUFFICIENT: Error
UNAUTHENTICATED_L1_ACTION: Error
ENCODED_ACTION_TOO_LARGE: Error
TRIGGER: Error
TRIGGER_INVALID_PRICE: Error
TRIGGER_NOT_FOUND: Error
TRIGGER_ONLY_DECREASE_ORDERS_SUPPORTED: Error
TRIGGER_MAX_SIZE_PLACEMENT_EXCEEDED: Error
TIMESTAMP: Error
TIMESTAMP_OUT_OF_THRESHOLD: Error
TIMESTAMP_STALE: Error
BANKRUPTCY_INSUFFICIENT_COVERAGE: Error
BANKRUPTCY_NOT_FOUND: Error
BANKRUPTCY_NOT_ALLOWED: Error
MARKET_NOT_READY: Error
MARKET_FROZEN: Error
MARKET_EMPTY: Error
POSITION: Error
POSITION_NOT_FOUND: Error
POSITION_STATE_ORDER: Error
POSITION_STATE_ORDER_PRICE: Error
POSITION_STATE_ORDER_SIZE: Error
POSITION_STATE_ORDER_SIDE: Error
POSITION_SIZE_LIMIT: Error
POSITION_STATE_PERP: Error
POSITION_STATE_ORDER_DELEGATION: Error
PRICE: Error
SIGNATURE_VERIFICATION: Error
SIGNATURE_MALFORMED_PUBLIC_KEY: Error
SIGNATURE_INVALID_LENGTH: Error
RISK: Error
RISK_DELEGATION_MF_TO_BE_LESS_THAN_OR_EQUAL_MMF: Error
RISK_OMF_LESS_THAN_OR_EQUAL_IMF: Error
RISK_OMF_LESS_THAN_OR_EQUAL_CMF: Error
RISK_UNHEALTHY_MF_AND_PON_AFTER_BETTER_OF_BEFORE: Error
RISK_TRADE_OMF_LESS_THAN_OR_EQUAL_CMF: Error
ORDER_EXECUTION: Error
ORDER_EXECUTION_EMPTY: Error
ORDER_EXECUTION_FILL_OR_KILL: Error
ORDER_EXECUTION_MISSING_LIMITS: Error
ORDER_EXECUTION_MISSING_PRICE: Error
ORDER_EXECUTION_SIZE_LIMIT: Error
ORDER_EXECUTION_LIMIT_PRICE: Error
ORDER_REDUCE_IS_POST_ONLY: Error
ORDER_EXECUTION_SELL_PRICE: Error
ORDER_SIZE_EXCEEDS_POSITION_SIZE: Error
ATOMICS: Error
ATOMICS_TRADES_CANNOT_FOLLOW_PLACES: Error
ATOMICS_CANCELS_CANNOT_FOLLOW_TRADES_PLACES: Error
ACTION_POSITION_SHOULD_BE_COVERED: Error
ACTION_INVALID_NONCE: Error
ACTION_PROPOSED_PRICE_MUST_BE_HIGHER: Error
TRANSFER: Error
TRANSFER_TO_UNOWNED_ACCOUNT_IS_PROHIBITED: Error
TRANSFER_TO_OWNED_ACCOUNT_WAS_REQUESTED: Error
NOT_IMPLEMENTED: Error
ACTION_NOT_ALLOWED: Error
DROPPED: Error

class Action(_message.Message):
    __slots__ = ("current_timestamp", "nonce", "create_session", "place_order", "cancel_order_by_id", "revoke_session", "atomic", "cancel_order_by_client_id")
    CURRENT_TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    CREATE_SESSION_FIELD_NUMBER: _ClassVar[int]
    PLACE_ORDER_FIELD_NUMBER: _ClassVar[int]
    CANCEL_ORDER_BY_ID_FIELD_NUMBER: _ClassVar[int]
    REVOKE_SESSION_FIELD_NUMBER: _ClassVar[int]
    ATOMIC_FIELD_NUMBER: _ClassVar[int]
    CANCEL_ORDER_BY_CLIENT_ID_FIELD_NUMBER: _ClassVar[int]
    current_timestamp: int
    nonce: int
    create_session: CreateSession
    place_order: PlaceOrder
    cancel_order_by_id: CancelOrderById
    revoke_session: RevokeSession
    atomic: Atomic
    cancel_order_by_client_id: CancelOrderByClientId
    def __init__(self, current_timestamp: _Optional[int] = ..., nonce: _Optional[int] = ..., create_session: _Optional[_Union[CreateSession, _Mapping]] = ..., place_order: _Optional[_Union[PlaceOrder, _Mapping]] = ..., cancel_order_by_id: _Optional[_Union[CancelOrderById, _Mapping]] = ..., revoke_session: _Optional[_Union[RevokeSession, _Mapping]] = ..., atomic: _Optional[_Union[Atomic, _Mapping]] = ..., cancel_order_by_client_id: _Optional[_Union[CancelOrderByClientId, _Mapping]] = ...) -> None: ...

class CreateSession(_message.Message):
    __slots__ = ("user_pubkey", "session_pubkey", "expiry_timestamp", "signature_framing")
    USER_PUBKEY_FIELD_NUMBER: _ClassVar[int]
    SESSION_PUBKEY_FIELD_NUMBER: _ClassVar[int]
    EXPIRY_TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FRAMING_FIELD_NUMBER: _ClassVar[int]
    user_pubkey: bytes
    session_pubkey: bytes
    expiry_timestamp: int
    signature_framing: SignatureFraming
    def __init__(self, user_pubkey: _Optional[bytes] = ..., session_pubkey: _Optional[bytes] = ..., expiry_timestamp: _Optional[int] = ..., signature_framing: _Optional[_Union[SignatureFraming, str]] = ...) -> None: ...

class RevokeSession(_message.Message):
    __slots__ = ("session_id",)
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: int
    def __init__(self, session_id: _Optional[int] = ...) -> None: ...

class QuoteSize(_message.Message):
    __slots__ = ("lo", "hi")
    LO_FIELD_NUMBER: _ClassVar[int]
    HI_FIELD_NUMBER: _ClassVar[int]
    lo: int
    hi: int
    def __init__(self, lo: _Optional[int] = ..., hi: _Optional[int] = ...) -> None: ...

class PlaceOrder(_message.Message):
    __slots__ = ("session_id", "market_id", "side", "fill_mode", "is_reduce_only", "price", "size", "quote_size", "delegator_account_id", "client_order_id", "sender_account_id", "sender_tracking_id")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    MARKET_ID_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    FILL_MODE_FIELD_NUMBER: _ClassVar[int]
    IS_REDUCE_ONLY_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    QUOTE_SIZE_FIELD_NUMBER: _ClassVar[int]
    DELEGATOR_ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    SENDER_ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    SENDER_TRACKING_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: int
    market_id: int
    side: Side
    fill_mode: FillMode
    is_reduce_only: bool
    price: int
    size: int
    quote_size: QuoteSize
    delegator_account_id: int
    client_order_id: int
    sender_account_id: int
    sender_tracking_id: int
    def __init__(self, session_id: _Optional[int] = ..., market_id: _Optional[int] = ..., side: _Optional[_Union[Side, str]] = ..., fill_mode: _Optional[_Union[FillMode, str]] = ..., is_reduce_only: _Optional[bool] = ..., price: _Optional[int] = ..., size: _Optional[int] = ..., quote_size: _Optional[_Union[QuoteSize, _Mapping]] = ..., delegator_account_id: _Optional[int] = ..., client_order_id: _Optional[int] = ..., sender_account_id: _Optional[int] = ..., sender_tracking_id: _Optional[int] = ...) -> None: ...

class CancelOrderById(_message.Message):
    __slots__ = ("session_id", "order_id", "delegator_account_id", "sender_account_id")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    DELEGATOR_ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    SENDER_ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: int
    order_id: int
    delegator_account_id: int
    sender_account_id: int
    def __init__(self, session_id: _Optional[int] = ..., order_id: _Optional[int] = ..., delegator_account_id: _Optional[int] = ..., sender_account_id: _Optional[int] = ...) -> None: ...

class CancelOrderByClientId(_message.Message):
    __slots__ = ("session_id", "client_order_id", "sender_account_id")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    SENDER_ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: int
    client_order_id: int
    sender_account_id: int
    def __init__(self, session_id: _Optional[int] = ..., client_order_id: _Optional[int] = ..., sender_account_id: _Optional[int] = ...) -> None: ...

class OrderType(_message.Message):
    __slots__ = ("side", "fill_mode", "is_reduce_only")
    SIDE_FIELD_NUMBER: _ClassVar[int]
    FILL_MODE_FIELD_NUMBER: _ClassVar[int]
    IS_REDUCE_ONLY_FIELD_NUMBER: _ClassVar[int]
    side: Side
    fill_mode: FillMode
    is_reduce_only: bool
    def __init__(self, side: _Optional[_Union[Side, str]] = ..., fill_mode: _Optional[_Union[FillMode, str]] = ..., is_reduce_only: _Optional[bool] = ...) -> None: ...

class OrderLimit(_message.Message):
    __slots__ = ("price", "size", "quote_size")
    PRICE_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    QUOTE_SIZE_FIELD_NUMBER: _ClassVar[int]
    price: int
    size: int
    quote_size: QuoteSize
    def __init__(self, price: _Optional[int] = ..., size: _Optional[int] = ..., quote_size: _Optional[_Union[QuoteSize, _Mapping]] = ...) -> None: ...

class TradeOrPlace(_message.Message):
    __slots__ = ("market_id", "order_type", "limit", "client_order_id")
    MARKET_ID_FIELD_NUMBER: _ClassVar[int]
    ORDER_TYPE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    market_id: int
    order_type: OrderType
    limit: OrderLimit
    client_order_id: int
    def __init__(self, market_id: _Optional[int] = ..., order_type: _Optional[_Union[OrderType, _Mapping]] = ..., limit: _Optional[_Union[OrderLimit, _Mapping]] = ..., client_order_id: _Optional[int] = ...) -> None: ...

class CancelOrder(_message.Message):
    __slots__ = ("order_id",)
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    order_id: int
    def __init__(self, order_id: _Optional[int] = ...) -> None: ...

class Subaction(_message.Message):
    __slots__ = ("trade_or_place", "cancel_order")
    TRADE_OR_PLACE_FIELD_NUMBER: _ClassVar[int]
    CANCEL_ORDER_FIELD_NUMBER: _ClassVar[int]
    trade_or_place: TradeOrPlace
    cancel_order: CancelOrder
    def __init__(self, trade_or_place: _Optional[_Union[TradeOrPlace, _Mapping]] = ..., cancel_order: _Optional[_Union[CancelOrder, _Mapping]] = ...) -> None: ...

class Atomic(_message.Message):
    __slots__ = ("session_id", "account_id", "actions")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    ACTIONS_FIELD_NUMBER: _ClassVar[int]
    session_id: int
    account_id: int
    actions: _containers.RepeatedCompositeFieldContainer[Subaction]
    def __init__(self, session_id: _Optional[int] = ..., account_id: _Optional[int] = ..., actions: _Optional[_Iterable[_Union[Subaction, _Mapping]]] = ...) -> None: ...

class Receipt(_message.Message):
    __slots__ = ("action_id", "err", "create_session_result", "place_order_result", "cancel_order_result", "session_revoked", "atomic")
    ACTION_ID_FIELD_NUMBER: _ClassVar[int]
    ERR_FIELD_NUMBER: _ClassVar[int]
    CREATE_SESSION_RESULT_FIELD_NUMBER: _ClassVar[int]
    PLACE_ORDER_RESULT_FIELD_NUMBER: _ClassVar[int]
    CANCEL_ORDER_RESULT_FIELD_NUMBER: _ClassVar[int]
    SESSION_REVOKED_FIELD_NUMBER: _ClassVar[int]
    ATOMIC_FIELD_NUMBER: _ClassVar[int]
    action_id: int
    err: Error
    create_session_result: CreateSessionResult
    place_order_result: PlaceOrderResult
    cancel_order_result: CancelOrderResult
    session_revoked: SessionRevoked
    atomic: AtomicResult
    def __init__(self, action_id: _Optional[int] = ..., err: _Optional[_Union[Error, str]] = ..., create_session_result: _Optional[_Union[CreateSessionResult, _Mapping]] = ..., place_order_result: _Optional[_Union[PlaceOrderResult, _Mapping]] = ..., cancel_order_result: _Optional[_Union[CancelOrderResult, _Mapping]] = ..., session_revoked: _Optional[_Union[SessionRevoked, _Mapping]] = ..., atomic: _Optional[_Union[AtomicResult, _Mapping]] = ...) -> None: ...

class CreateSessionResult(_message.Message):
    __slots__ = ("session_id",)
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: int
    def __init__(self, session_id: _Optional[int] = ...) -> None: ...

class SessionRevoked(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Posted(_message.Message):
    __slots__ = ("side", "market_id", "price", "size", "order_id", "account_id")
    SIDE_FIELD_NUMBER: _ClassVar[int]
    MARKET_ID_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    side: Side
    market_id: int
    price: int
    size: int
    order_id: int
    account_id: int
    def __init__(self, side: _Optional[_Union[Side, str]] = ..., market_id: _Optional[int] = ..., price: _Optional[int] = ..., size: _Optional[int] = ..., order_id: _Optional[int] = ..., account_id: _Optional[int] = ...) -> None: ...

class Trade(_message.Message):
    __slots__ = ("order_id", "price", "size", "account_id")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    order_id: int
    price: int
    size: int
    account_id: int
    def __init__(self, order_id: _Optional[int] = ..., price: _Optional[int] = ..., size: _Optional[int] = ..., account_id: _Optional[int] = ...) -> None: ...

class PlaceOrderResult(_message.Message):
    __slots__ = ("posted", "fills", "client_order_id", "sender_tracking_id")
    POSTED_FIELD_NUMBER: _ClassVar[int]
    FILLS_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    SENDER_TRACKING_ID_FIELD_NUMBER: _ClassVar[int]
    posted: Posted
    fills: _containers.RepeatedCompositeFieldContainer[Trade]
    client_order_id: int
    sender_tracking_id: int
    def __init__(self, posted: _Optional[_Union[Posted, _Mapping]] = ..., fills: _Optional[_Iterable[_Union[Trade, _Mapping]]] = ..., client_order_id: _Optional[int] = ..., sender_tracking_id: _Optional[int] = ...) -> None: ...

class CancelOrderResult(_message.Message):
    __slots__ = ("order_id", "account_id", "client_order_id")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    order_id: int
    account_id: int
    client_order_id: int
    def __init__(self, order_id: _Optional[int] = ..., account_id: _Optional[int] = ..., client_order_id: _Optional[int] = ...) -> None: ...

class SubactionResult(_message.Message):
    __slots__ = ("place_order_result", "cancel_order")
    PLACE_ORDER_RESULT_FIELD_NUMBER: _ClassVar[int]
    CANCEL_ORDER_FIELD_NUMBER: _ClassVar[int]
    place_order_result: PlaceOrderResult
    cancel_order: CancelOrderResult
    def __init__(self, place_order_result: _Optional[_Union[PlaceOrderResult, _Mapping]] = ..., cancel_order: _Optional[_Union[CancelOrderResult, _Mapping]] = ...) -> None: ...

class AtomicResult(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[SubactionResult]
    def __init__(self, results: _Optional[_Iterable[_Union[SubactionResult, _Mapping]]] = ...) -> None: ...
