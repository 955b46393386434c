"""A schema that moved is told by name and number; one that grew or was renamed is fine."""

from pathlib import Path

import pytest

import venues.zo.schema
from venues.zo.schema_guard import compare

OURS = (Path(venues.zo.schema.__file__).parent / "nord.proto").read_text()


def _swapped(old: str, new: str) -> str:
    assert old in OURS
    return OURS.replace(old, new)


def test_our_own_schema_is_the_venues() -> None:
    report = compare(OURS)
    assert report.problems == ()
    assert report.cancels_safe
    assert report.cancels_by_client_id
    assert report.error_names[226] == "RISK_OMF_LESS_THAN_OR_EQUAL_IMF"


def test_fields_that_changed_places_are_named_with_both_numbers() -> None:
    moved = OURS.replace("uint64 price = 6;", "uint64 price = 5000;")
    moved = moved.replace("uint64 size = 7;", "uint64 size = 6;")
    moved = moved.replace("uint64 price = 5000;", "uint64 price = 7;")
    report = compare(moved)
    assert "schema: OrderLimit.price is field 6 here and field 7 at the venue" in report.problems
    assert "schema: PlaceOrder.size is field 7 here and field 6 at the venue" in report.problems
    assert report.cancels_safe


@pytest.mark.parametrize(
    ("old", "new", "sentence", "cancels_safe"),
    [
        (
            "uint64 order_id = 2;",
            "uint64 order_id = 9;",
            "CancelOrder.order_id is field 2 here and field 9 at the venue",
            False,
        ),
        (
            "uint32 nonce = 2;",
            "uint32 nonce = 3;",
            "Action.nonce is field 2 here and field 3 at the venue",
            False,
        ),
        (
            "Atomic atomic = 35;",
            "",
            "Action.atomic is field 35 here and missing at the venue",
            False,
        ),
        (
            "repeated Subaction actions = 6;",
            "Subaction actions = 6;",
            "Atomic.actions, field 6, is repeated on one side only",
            False,
        ),
        (
            "bytes user_pubkey = 1;",
            "uint64 user_pubkey = 1;",
            "CreateSession.user_pubkey, field 1, is bytes here and user_pubkey (uint64)",
            True,
        ),
        (
            "OrderType order_type = 3;",
            "uint64 order_type = 3;",
            "TradeOrPlace.order_type, field 3, is a message here and order_type (uint64)",
            True,
        ),
        ("POST_ONLY = 1;", "POST_ONLY = 7;", "POST_ONLY is 1 here and 7 at the venue", True),
        ("BID = 1;", "", "BID is 1 here and missing at the venue", True),
    ],
)
def test_every_move_is_one_sentence(old: str, new: str, sentence: str, cancels_safe: bool) -> None:
    report = compare(_swapped(old, new))
    assert any(sentence in problem for problem in report.problems), report.problems
    assert report.cancels_safe is cancels_safe


def test_additions_and_other_names_of_types_are_fine() -> None:
    grown = _swapped("uint32 nonce = 2;", "uint32 nonce = 2;\n  optional string memo = 90;")
    grown = grown.replace(
        "PlaceOrderResult place_order_result = 34;", "Placed trade_or_place = 34;"
    )
    grown = grown.replace("message PlaceOrderResult {", "message Placed {")
    grown = grown.replace("PlaceOrderResult place_order_result = 1;", "Placed trade_or_place = 1;")
    grown = grown.replace("OrderType", "PlaceType").replace(
        "DROPPED = 999;", "DROPPED = 999; X = 7777;"
    )
    report = compare(grown + "\nmessage Rfq { map<uint32, string> quotes = 1; }\n")
    assert report.problems == ()
    assert report.error_names[7777] == "X"


def test_messages_may_be_nested_and_wear_a_package() -> None:
    nested = """
    syntax = "proto3"; package some.where; import "google/protobuf/empty.proto";
    option java_package = "x"; /* a comment { */
    """ + _swapped("package nord;", "").replace('syntax = "proto3";', "").replace(
        "message Action {",
        "message Action {\n  message CreateSession { bytes user_pubkey = 1;"
        " bytes session_pubkey = 2; int64 expiry_timestamp = 3; reserved 9; }",
    ).replace("PlaceOrder place_order = 7;", ".some.where.PlaceOrder place_order = 7;")
    assert compare(nested).problems == ()


def test_an_older_schema_without_cancel_by_client_id_is_fine_and_known() -> None:
    older = _swapped("CancelOrderByClientId cancel_order_by_client_id = 44;", "")
    report = compare(older)
    assert report.problems == ()
    assert not report.cancels_by_client_id


@pytest.mark.parametrize("text", ["", "not found", "message Action {", "message Action { x; }"])
def test_text_that_is_no_schema_stops_everything(text: str) -> None:
    report = compare(text)
    assert report.problems
    assert not report.cancels_safe
