"""The schema the venue publishes about itself: own wording, the venue's numbers and nesting.

Names differ by revision while numbers do not (zo.md section 4.6), so a guard must follow numbers.
"""

from venues.zo.schema.nord_pb2 import Error
from venues.zo.simulator.settings import Revision, SchemaShown

_ENUMS = """
enum Side { ASK = 0; BID = 1; }
enum FillMode { LIMIT = 0; POST_ONLY = 1; IMMEDIATE_OR_CANCEL = 2; FILL_OR_KILL = 3; }
enum TriggerKind { STOP_LOSS = 0; TAKE_PROFIT = 1; }
"""

_FRAMING = """
  enum SignatureFraming { HEX = 0; SOLANA_TRANSACTION = 1; }
"""

_PLACE = """
message PlaceOrder {
  uint64 session_id = 1;
  uint32 market_id = 2;
  Side side = 3;
  FillMode fill_mode = 4;
  {head}
  {quote} quote_size = 8;
  optional uint32 delegator_account_id = 32;
  optional uint64 client_order_id = 33;
  optional uint32 sender_account_id = 34;
  optional uint64 sender_tracking_id = 35;
}
"""
_HEAD = "bool is_reduce_only = 5; uint64 price = 6; uint64 size = 7;"
_MOVED_HEAD = "uint64 price = 5; uint64 size = 6; bool is_reduce_only = 7;"

_CANCELS = """
message CancelOrderById {
  uint64 session_id = 1;
  uint64 order_id = 2;
  optional uint32 delegator_account_id = 32;
  optional uint32 sender_account_id = 33;
}
message RevokeSession { uint64 session_id = 1; }
"""
_BY_CLIENT_ID = """
message CancelOrderByClientId {
  uint64 session_id = 1;
  uint64 client_order_id = 2;
  optional uint32 sender_account_id = 3;
}
"""

_BATCH = """
// order of the parts within one market: cancels, trades, places
message {order_type} { Side side = 3; FillMode fill_mode = 4; bool is_reduce_only = 5; }
message OrderLimit { uint64 price = 6; uint64 size = 7; {quote} quote_size = 8; }
message TradeOrPlace {
  uint32 market_id = 2;
  {order_type} order_type = 3;
  OrderLimit limit = 6;
  optional uint64 client_order_id = 33;
}
message CancelOrder { uint64 order_id = 2; }
message {subaction} {
  oneof inner { TradeOrPlace trade_or_place = 6; CancelOrder cancel_order = 7; }
}
message Atomic {
  uint64 session_id = 1;
  optional uint32 account_id = 2;
  repeated {subaction} actions = 6;
}
"""

_RESULTS = """
message CreateSessionResult { uint64 session_id = 1; }
message Posted {
  Side side = 1;
  uint32 market_id = 2;
  uint64 price = 3;
  uint64 size = 4;
  uint64 order_id = 5;
  uint32 account_id = 6;
}
message Trade { uint64 order_id = 2; uint64 price = 4; uint64 size = 5; uint32 account_id = 6; }
message {placed} {
  optional Posted posted = 1;
  repeated Trade fills = 2;
  optional uint64 client_order_id = 3;
  optional uint64 sender_tracking_id = 4;
}
message CancelOrderResult {
  uint64 order_id = 1;
  uint32 account_id = 2;
  {cancelled}
}
message AtomicSubactionResult {
  oneof inner { {placed} {placed_name} = 1; CancelOrderResult cancel_order = 2; }
}
message AtomicResult { repeated AtomicSubactionResult results = 1; }
message SessionRevoked {}
"""


def schema_text(shown: SchemaShown, revision: Revision) -> str:
    """The published schema; `absent` has none (ValueError)."""
    if shown is SchemaShown.ABSENT:
        raise ValueError("an absent schema has no text")
    words = _words(shown, revision)
    requests = _create(revision) + _PLACE + _CANCELS + _BATCH
    if revision is not Revision.R2025_12:
        requests += _BY_CLIENT_ID
    results = _RESULTS
    errors = _errors(revision)
    nested = shown is not SchemaShown.FLAT
    header = 'syntax = "proto3";\npackage nord;\n' + _ENUMS + _quote_message(revision)
    action, receipt = _action(revision), _receipt(words)
    if nested:
        text = f"{header}{errors}message Action {{{requests}{action}}}\n"
        text += f"message Receipt {{{results}{receipt}}}\n"
    else:
        text = f"{header}{errors}{requests}message Action {{{action}}}\n"
        text += f"{results}message Receipt {{{receipt}}}\n"
    for word, value in words.items():
        text = text.replace("{" + word + "}", value)
    return text


def _words(shown: SchemaShown, revision: Revision) -> dict[str, str]:
    newest = revision is Revision.R2026_03
    old = revision is Revision.R2025_12
    return {
        "head": _MOVED_HEAD if shown is SchemaShown.MOVED else _HEAD,
        "quote": "QuoteSize" if old else "U128",
        "order_type": "PlaceType" if newest else "OrderType",
        "subaction": "AtomicSubaction" if newest else "AtomicSubactionKind",
        "placed": "TradeOrPlaceResult" if newest else "PlaceOrderResult",
        "placed_name": "trade_or_place" if newest else "place_order_result",
        "cancelled": "" if old else "optional uint64 client_order_id = 3;",
    }


def _quote_message(revision: Revision) -> str:
    if revision is Revision.R2025_12:
        return "message QuoteSize { uint64 size = 1; uint64 price = 2; }\n"
    return "message U128 { uint64 lo = 1; uint64 hi = 2; }\n"


def _create(revision: Revision) -> str:
    keys = "bytes user_pubkey = 1; bytes session_pubkey = 2; int64 expiry_timestamp = 3;"
    if revision is Revision.R2025_12:
        return f"\nmessage CreateSession {{ {keys} }}\n"
    framed = "optional SignatureFraming signature_framing = 4;"
    return f"\nmessage CreateSession {{{_FRAMING}  {keys} {framed} }}\n"


def _action(revision: Revision) -> str:
    by_client_id = "CancelOrderByClientId cancel_order_by_client_id = 44;"
    return f"""
  int64 current_timestamp = 1;
  uint32 nonce = 2;
  oneof kind {{
    CreateSession create_session = 4;
    PlaceOrder place_order = 7;
    CancelOrderById cancel_order_by_id = 8;
    RevokeSession revoke_session = 15;
    Atomic atomic = 35;
    {"" if revision is Revision.R2025_12 else by_client_id}
  }}
"""


def _receipt(words: dict[str, str]) -> str:
    return f"""
  uint64 action_id = 1;
  oneof kind {{
    Error err = 32;
    CreateSessionResult create_session_result = 33;
    {words["placed"]} {words["placed_name"]} = 34;
    CancelOrderResult cancel_order_result = 35;
    SessionRevoked session_revoked = 44;
    AtomicResult atomic = 67;
  }}
"""


def _errors(revision: Revision) -> str:
    rows = {name: number for name, number in Error.items() if name != "DECODE_FAILURE_2025"}
    if revision is Revision.R2025_12:
        rows |= {
            "DECODE_FAILURE": 2,
            "ATOMICS_TRADES_CANNOT_FOLLOW_PLACES": 256,
            "ATOMICS_CANCELS_CANNOT_FOLLOW_TRADES_PLACES": 257,
        }
        rows.pop("ATOMICS")
    return "enum Error {\n" + "".join(f"  {name} = {rows[name]};\n" for name in rows) + "}\n"
