"""What a dead letter holds, and mending it: a copy with other contents, judged as the stage would judge it."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from time import time
from typing import Any

import msgspec

from hub.delivery.dead_letter import DeadLetter, own_headers
from hub.events.envelope import Event
from hub.events.ids import derive
from hub.events.kafka import from_headers, header
from hub.registry.codec import CodecError, decode, encode
from hub.registry.schemas import Registry, Schema
from hub.sdk.errors import Reject
from hub.stream import topics
from hub.stream.reading import Message
from hub.stream.records import Output
from hub.stream.redrive import EDITS
from hub.stream.trial import Trial


@dataclass(frozen=True, slots=True)
class Contents:
    """What a record holds. `kind` is event (data of `schema`), json, text, or bytes (base64, not to be edited).

    What is JSON, and cannot be shown as JSON, is text: see `_encoded`.
    """

    kind: str
    data: Any
    schema: Schema | None = None

    def shown(self) -> dict[str, Any]:
        """For JSON."""
        return {"kind": self.kind, "schema_id": self.schema.id if self.schema else 0, "data": self.data}


def contents_of(topic: str, value: bytes, registry: Registry) -> Contents:
    """What the record of a dead letter holds; `topic` is where it failed."""
    if not topic.startswith("raw."):
        try:
            schema, data = decode(value, registry)
        except CodecError:
            return Contents("bytes", b64encode(value).decode())
        return Contents("event", data, schema)
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return Contents("bytes", b64encode(value).decode())
    try:
        data = json.loads(text)
        _encoded(data)
        return Contents("json", data)
    except (ValueError, RecursionError):
        return Contents("text", text)


def with_fields(contents: Contents, fields: Mapping[str, str]) -> Any:
    """The data with some fields set: dotted names, list positions as numbers.

    What is text stays text; anywhere else JSON is understood (`12`, `null`, `"12"`). Raises Reject.
    """
    if contents.kind not in ("event", "json"):
        raise Reject("this record has no fields: give it as a whole, from a file")
    data = deepcopy(contents.data)
    for name, text in fields.items():
        *way, last = name.split(".")
        place = data
        for part in way:
            place = _at(place, part, name)
        if isinstance(place, dict):
            place[last] = _value(place.get(last), text)
        elif isinstance(place, list) and last.isdigit() and int(last) < len(place):
            place[int(last)] = _value(place[int(last)], text)
        else:
            raise Reject(f"there is no place for {name}", field=name)
    return data


def _at(place: Any, part: str, name: str) -> Any:
    if isinstance(place, dict) and part in place:
        return place[part]
    if isinstance(place, list) and part.isdigit() and int(part) < len(place):
        return place[int(part)]
    raise Reject(f"there is no place for {name}", field=name)


def _value(before: Any, text: str) -> Any:
    if isinstance(before, str):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def value_of(contents: Contents, data: Any) -> bytes:
    """Other data in the form of these contents. Raises Reject where these, the contract or UTF-8 do not take them."""
    for change in changes(contents.data, data):
        try:
            _encoded([change["field"], change["after"]])
        except (ValueError, RecursionError):
            field = change["field"].encode(errors="replace").decode()
            raise Reject(f"{field}: JSON in UTF-8 cannot hold it", field=field) from None
    if contents.kind == "event":
        assert contents.schema is not None
        if not isinstance(data, dict):
            raise Reject("data: not an object")
        try:
            return encode(contents.schema, data)
        except CodecError as error:
            raise Reject(str(error), field=error.field, kind="contract") from None
    if contents.kind == "bytes":
        raise Reject("this record is neither an event of a known contract nor text: it cannot be edited")
    return data.encode() if isinstance(data, str) and contents.kind == "text" else _encoded(data)


def _encoded(data: Any) -> bytes:
    """As JSON. Raises ValueError for what Python reads, and nobody can be sent: half a surrogate pair, NaN."""
    return json.dumps(data, ensure_ascii=False, allow_nan=False).encode()


def faults(trial: Trial, message: Message, letter: DeadLetter, value: bytes) -> list[str]:
    """Why the stage where it failed would refuse the record with this value; nothing where it would take it."""
    headers = own_headers(message.headers())
    try:
        if letter.topic.startswith("raw."):
            trial.translate(headers, value)
            return []
        event = Event(from_headers(headers), decode(value, trial.registry, latest=True)[1])
        if letter.route:
            refused = trial.route([event])[1]
            return [
                f"route {letter.route}: {one.reason}" for one in refused if one.route in ("", letter.route)
            ]
    except Reject as reject:
        return [reject.reason]
    except CodecError as error:
        return [f"data: {error}"]
    except ValueError as error:  # of the envelope: it names the attribute
        return [str(error)]
    return []


def changes(before: Any, after: Any, name: str = "") -> Iterator[dict[str, Any]]:
    """Field by field: `field`, `before`, `after`; a field that is not there is None on that side."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys([*before, *after]):
            yield from changes(before.get(key), after.get(key), f"{name}.{key}" if name else key)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from changes(old, new, f"{name}.{index}" if name else str(index))
    elif before != after or type(before) is not type(after):
        yield {"field": name or "(all)", "before": before, "after": after}


def edited_copy(message: Message, letter: DeadLetter, value: bytes) -> tuple[str, Output]:
    """The id and record of a dead letter like this one with another value; the original stays as it is.

    The same edit of the same dead letter is the same copy.
    """
    digest = hashlib.sha256(value).hexdigest()
    copy = msgspec.structs.replace(
        letter, id=derive("edited", letter.id, digest), reason=f"edited copy of {letter.id}", at=time()
    )
    edits = ",".join(filter(None, (header(message.headers(), EDITS), letter.id)))
    headers = [(name, text) for name, text in own_headers(message.headers()) if name != EDITS and text]
    headers += [(EDITS, edits.encode()), *copy.headers()]
    return copy.id, Output(topics.DEAD_LETTERS, message.key(), value, headers, message.partition())
