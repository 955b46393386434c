"""Signals of people, read inside the handler: the form that was said, or why it is none.

The one rule: nothing that is said can harm a workflow: no input, two inputs, unknown fields.
"""

from typing import Final, TypeVar

import pydantic

from workflows.messages import Message, Request

F = TypeVar("F", bound=Message)
R = TypeVar("R", bound=Request)

_SHOWN: Final = 200


def read_form(form: type[F], said: tuple[object, ...]) -> tuple[F | None, str]:
    """The form, or None and in words what of it is not understood. No input is an empty form."""
    if len(said) > 1:
        return None, f"one input is taken, {len(said)} came: {_cut(said)}"
    try:
        return form.model_validate(_given(said)), ""
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        field = ".".join(map(str, first["loc"])) or "input"
        return None, f"{field}: {first['msg']}: {_cut(said[0] if said else {})}"


def read_order(form: type[R], said: tuple[object, ...]) -> tuple[R, str]:
    """For orders that make things safer, which hold whatever else was said.

    What of it can be read; its reason names what could not, and so does the second value.
    """
    understood, why = read_form(form, said)
    if understood is not None:
        return understood, ""
    partly = _readable(form, said)
    return partly.model_copy(update={"reason": f"{partly.reason} (not understood: {why})"}), why


def _readable(form: type[R], said: tuple[object, ...]) -> R:
    """Fields that can be read, each by itself; those of two inputs are not told apart."""
    given = _given(said) if len(said) == 1 else {}
    fields = given if isinstance(given, dict) else {}
    known = {}
    for name, value in fields.items():
        try:
            known[name] = getattr(form.model_validate({name: value}), name)
        except pydantic.ValidationError:
            continue
    return form.model_validate(known)


def _given(said: tuple[object, ...]) -> object:
    return said[0] if said and said[0] is not None else {}


def _cut(value: object) -> str:
    return str(value)[:_SHOWN]
