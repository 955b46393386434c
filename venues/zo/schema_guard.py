"""Whether the venue's schema still means what this program sends and reads (zo.md section 10.2).

It follows field numbers and types from `Action` and `Receipt` downwards. A new field, message or
error is fine; a number that means something else now stops live trading.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias, cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from venues.zo.protofile import ProtoField, ProtoFile, ProtoMessage
from venues.zo.schema import nord_pb2 as pb

_CATEGORIES: Mapping[str, str] = {
    **dict.fromkeys(("int32", "int64", "uint32", "uint64", "bool"), "varint"),
    **dict.fromkeys(("sint32", "sint64"), "zigzag varint"),
    **dict.fromkeys(("fixed32", "sfixed32", "float"), "32 bits"),
    **dict.fromkeys(("fixed64", "sfixed64", "double"), "64 bits"),
    **dict.fromkeys(("bytes", "string"), "bytes"),
}
_BYTES_TYPES = frozenset({FieldDescriptor.TYPE_BYTES, FieldDescriptor.TYPE_STRING})
# Never sent, or only read for the log: whatever becomes of them is none of our business.
_IGNORED: Final = frozenset(
    {
        "CreateSession.signature_framing",
        "PlaceOrder.quote_size",
        "PlaceOrder.delegator_account_id",
        "PlaceOrder.sender_tracking_id",
        "OrderLimit.quote_size",
        "CancelOrderById.delegator_account_id",
        "PlaceOrderResult.sender_tracking_id",
    }
)
# Missing before 2026-02; used only where they exist.
_OPTIONAL: Final = frozenset(
    {"Action.cancel_order_by_client_id", "CancelOrderResult.client_order_id"}
)
_NOT_CANCELLING: Final = (
    "Action.create_session",
    "Action.place_order",
    "Action.revoke_session",
    "Action.cancel_order_by_client_id",
    "Action.atomic.actions.trade_or_place",
    "Receipt.create_session_result",
    "Receipt.place_order_result",
    "Receipt.session_revoked",
    "Receipt.atomic.results.place_order_result",
)

_Pair: TypeAlias = tuple[Descriptor, ProtoMessage]


@dataclass(frozen=True, slots=True)
class SchemaReport:
    """What a comparison found.

    `problems` are sentences; `cancels_safe` says that none touches cancelling;
    `cancels_by_client_id` that the venue knows Action 44. `error_names` are the venue's.
    """

    problems: tuple[str, ...] = ()
    cancels_safe: bool = True
    cancels_by_client_id: bool = False
    error_names: Mapping[int, str] = field(default_factory=dict)


def compare(text: str) -> SchemaReport:
    """Compare the venue's schema with ours; unreadable text is a problem like any other."""
    try:
        theirs = ProtoFile(text)
    except ValueError as error:
        return SchemaReport((f"schema: it cannot be read ({error})",), cancels_safe=False)
    problems: list[str] = []
    cancels_safe = True
    for ours in (_described(pb.Action), _described(pb.Receipt)):
        root = theirs.messages.get((ours.name,))
        if root is None:
            problems.append(f"schema: the venue has no message {ours.name}")
            cancels_safe = False
            continue
        for path, sentence in _differences(theirs, ours, root):
            problems.append(sentence)
            cancels_safe = cancels_safe and path.startswith(_NOT_CANCELLING)
    action = theirs.messages.get(("Action",))
    return SchemaReport(
        tuple(problems),
        cancels_safe=cancels_safe,
        cancels_by_client_id=action is not None
        and pb.Action.CANCEL_ORDER_BY_CLIENT_ID_FIELD_NUMBER in action.fields
        and not any("cancel_order_by_client_id" in one for one in problems),
        error_names=_error_names(theirs),
    )


def _described(kind: type[Message]) -> Descriptor:
    return cast(Descriptor, kind.DESCRIPTOR)


def _differences(
    theirs: ProtoFile, ours: Descriptor, root: ProtoMessage
) -> Iterator[tuple[str, str]]:
    """Path from the root and sentence of every difference, parents first."""
    pending: list[tuple[str, _Pair]] = [(ours.name, (ours, root))]
    seen: set[tuple[str, tuple[str, ...]]] = set()
    while pending:
        path, (mine, message) = pending.pop(0)
        if (mine.name, message.path) in seen:
            continue
        seen.add((mine.name, message.path))
        for wanted in mine.fields:
            name = f"{mine.name}.{wanted.name}"
            if name in _IGNORED:
                continue
            place = f"{path}.{wanted.name}"
            found = message.fields.get(wanted.number)
            sentence = _complaint(name, wanted, found, message, theirs)
            if sentence:
                yield place, sentence
            elif found is not None and wanted.message_type is not None:
                inner = theirs.message(found.kind, message.path)
                if inner is not None:
                    pending.append((place, (wanted.message_type, inner)))


def _complaint(
    name: str,
    wanted: FieldDescriptor,
    found: ProtoField | None,
    message: ProtoMessage,
    theirs: ProtoFile,
) -> str:
    moved = next(
        (one for one in message.fields.values() if one.name == wanted.name and one != found), None
    )
    if moved is not None:
        return f"schema: {name} is field {wanted.number} here and field {moved.number} at the venue"
    if found is None:
        if name in _OPTIONAL:
            return ""
        return f"schema: {name} is field {wanted.number} here and missing at the venue"
    if found.repeated != wanted.is_repeated:
        return f"schema: {name}, field {wanted.number}, is repeated on one side only"
    mine, other = _category(wanted), _their_category(found, message, theirs)
    if mine != other:
        return (
            f"schema: {name}, field {wanted.number}, is {mine} here and {found.name} "
            f"({found.kind}) at the venue"
        )
    return _enum_complaint(name, wanted, found, message, theirs)


def _enum_complaint(
    name: str,
    wanted: FieldDescriptor,
    found: ProtoField,
    message: ProtoMessage,
    theirs: ProtoFile,
) -> str:
    enum = theirs.enum(found.kind, message.path)
    if (
        wanted.enum_type is None
        or enum is None
        or wanted.enum_type.name == pb.Error.DESCRIPTOR.name
    ):
        return ""
    numbers = {_bare(value): number for number, value in enum.values.items()}
    for value in wanted.enum_type.values:
        # Names may carry a prefix there, so they are compared by their ends.
        told = next((n for text, n in numbers.items() if text.endswith(_bare(value.name))), None)
        if told is not None and told != value.number:
            return f"schema: {name}: {value.name} is {value.number} here and {told} at the venue"
        if told is None and value.number not in enum.values:
            return f"schema: {name}: {value.name} is {value.number} here and missing at the venue"
    return ""


def _bare(name: str) -> str:
    return name.replace("_", "").upper()


def _category(ours: FieldDescriptor) -> str:
    if ours.message_type is not None:
        return "a message"
    return "bytes" if ours.type in _BYTES_TYPES else "varint"


def _their_category(found: ProtoField, message: ProtoMessage, theirs: ProtoFile) -> str:
    if theirs.message(found.kind, message.path) is not None:
        return "a message"
    if theirs.enum(found.kind, message.path) is not None:
        return "varint"
    return _CATEGORIES.get(found.kind, "unknown")


def _error_names(theirs: ProtoFile) -> Mapping[int, str]:
    receipt = theirs.messages.get(("Receipt",))
    told = None if receipt is None else receipt.fields.get(pb.Receipt.ERR_FIELD_NUMBER)
    enum = None if told is None else theirs.enum(told.kind, ("Receipt",))
    return {} if enum is None else enum.values
