"""Base of the models that are generated from the contracts: strict values in, plain Avro values out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
from types import UnionType
from typing import Annotated, Any, ClassVar, Self, Union, get_args, get_origin

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

Int = Annotated[int, Field(ge=-(2**31), lt=2**31)]
Long = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Timestamp = AwareDatetime

_LEAVES = frozenset({str, int, float, bool, bytes, type(None)})


class Classification(StrEnum):
    """How a field of an event is to be guarded; every field of every contract says which.

    `public` may be published. `internal` is the business of those who share it. `personal` is about a person
    who can be identified; `special` is personal data of the kinds that UK GDPR articles 9 and 10 single out.
    """

    PUBLIC = "public"
    INTERNAL = "internal"
    PERSONAL = "personal"
    SPECIAL = "special"


class Record(BaseModel):
    """A record of a contract: immutable, no conversion of types, no unknown fields.

    What pydantic says about a refused value must be shown by `loc` and `msg` alone: the input may be personal
    (`hide_input_in_errors` keeps it out of the text of the error too).
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", hide_input_in_errors=True)

    def to_avro(self) -> dict[str, Any]:
        """Plain values for the codec: times as whole microseconds since 1970 in UTC, records as dicts."""
        return {name: _plain(value) for name, value in self.__dict__.items()}

    @classmethod
    def from_avro(cls, data: Mapping[str, Any]) -> Self:
        """The model of decoded values. Raises `pydantic.ValidationError` or, for a time that no calendar has,
        `ValueError` that names the field."""
        values = dict(data)
        for name, convert in _converters(cls):
            if name in values:
                try:
                    values[name] = convert(values[name])
                except OverflowError:
                    raise ValueError(f"{name}: time is outside the years 1 to 9999") from None
        return cls.model_validate(values)


class EventData(Record):
    """The data of an event. `type` is the event type that it belongs to, `payments.payment.captured`."""

    type: ClassVar[str]


def to_micros(time: datetime) -> int:
    """Microseconds since 1970 in UTC, exactly. Raises `TypeError` for a time without a zone."""
    return (time - EPOCH) // MICROSECOND


def from_micros(micros: int) -> datetime:
    """The time in UTC. Raises `OverflowError` outside the years 1 to 9999."""
    return EPOCH + timedelta(microseconds=micros)


def _plain(value: Any) -> Any:
    kind = type(value)
    if kind in _LEAVES:
        return value
    if kind is datetime:
        return to_micros(value)
    if isinstance(value, Record):
        return value.to_avro()
    if kind is dict:
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value]


@cache
def _converters(model: type[Record]) -> tuple[tuple[str, Callable[[Any], Any]], ...]:
    """Per field that is not plain already, how to make its Python value; learnt once from the annotations."""
    found = ((name, _converter(field.annotation)) for name, field in model.model_fields.items())
    return tuple((name, convert) for name, convert in found if convert is not None)


def _converter(annotation: Any) -> Callable[[Any], Any] | None:
    origin = get_origin(annotation)
    if origin is Annotated or origin in (Union, UnionType):
        found = [_converter(part) for part in get_args(annotation) if part is not type(None)]
        return next((convert for convert in found if convert is not None), None)
    if origin in (list, dict):
        return _of_each(_converter(get_args(annotation)[-1]))
    if annotation is AwareDatetime or annotation is datetime:
        return lambda value: from_micros(value) if type(value) is int else value
    if isinstance(annotation, type) and issubclass(annotation, Record):
        return lambda value: annotation.from_avro(value) if isinstance(value, Mapping) else value
    return None


def _of_each(convert: Callable[[Any], Any] | None) -> Callable[[Any], Any] | None:
    """The same for every item of a list or map; what is neither is left for pydantic to refuse."""
    if convert is None:
        return None

    def each(value: Any) -> Any:
        if isinstance(value, list):
            return [convert(item) for item in value]
        return {key: convert(item) for key, item in value.items()} if isinstance(value, dict) else value

    return each
