"""Data of any event type, made up from its contract: enough to be encoded, and nothing that means anything."""

from __future__ import annotations

from datetime import UTC, datetime
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import AwareDatetime

from hub.events.model import Record

R = TypeVar("R", bound=Record)

_MOMENT = datetime(2026, 1, 25, tzinfo=UTC)
_PLAIN: dict[Any, Any] = {int: 1, float: 1.5, bool: True, bytes: b"x", AwareDatetime: _MOMENT}


def made_up(model: type[R]) -> R:
    """What a contract requires, with the name of each text as its value; what may be missing is."""
    required = {name: field for name, field in model.model_fields.items() if field.is_required()}
    return model(**{name: _value(field.annotation, name) for name, field in required.items()})


def _value(annotation: Any, name: str) -> Any:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _value(arguments[0], name)
    if origin in (Union, UnionType):
        return None if type(None) in arguments else _value(arguments[0], name)
    if origin is Literal:
        return arguments[0]
    if origin in (list, dict):
        return origin()
    if isinstance(annotation, type) and issubclass(annotation, Record):
        return made_up(annotation)
    return _PLAIN.get(annotation, name)
