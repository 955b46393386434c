"""Server frames of RFC 6455 by hand, for faults that cut or split what a library sends whole."""

_TEXT = 0x81
_SHORT, _MEDIUM = 126, 1 << 16


def text_frame(payload: bytes) -> bytes:
    """One unmasked, final text frame."""
    length = len(payload)
    if length < _SHORT:
        head = bytes((_TEXT, length))
    elif length < _MEDIUM:
        head = bytes((_TEXT, 126)) + length.to_bytes(2, "big")
    else:
        head = bytes((_TEXT, 127)) + length.to_bytes(8, "big")
    return head + payload
