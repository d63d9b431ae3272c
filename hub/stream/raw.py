"""Raw records as they lie in Kafka: the bytes, who sent them, and what was said beside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hub.events.kafka import header
from hub.sdk.connector import FAULT, Source
from hub.stream import topics
from hub.stream.records import MAX_BYTES, Output

#: Headers of a raw record, written by whoever accepted it.
RAW_ID, INSTANCE, SOURCE = "hub-id", "hub-instance", "hub-source"

#: Attributes of a record that tells what came of a delivery: the case of the event, and its id.
CASE, CAUSE = "case", "cause"

_BESIDE = "hub-with-"

_KEY = 255  # characters of a key, which the journal and dead letters name as the subject, too

_LARGEST = MAX_BYTES - (64 << 10)  # bytes of a record, with room for what later copies of it carry besides


def raw_output(
    source: Source[Any, Any], raw_id: str, key: str, body: bytes, attributes: Mapping[str, str]
) -> Output:
    """A record of `source` for its connector's topic. `attributes` are kept as headers, names in lower case.

    One that no topic takes is landed without its bytes, which the source has still, and set aside as unreadable. Of a
    long `key` the beginning is enough for the order.
    """
    if fault := too_large(body):
        attributes, body = {**attributes, FAULT: fault}, b""
    headers = [
        (RAW_ID, raw_id.encode()),
        (INSTANCE, source.instance.name.encode()),
        (SOURCE, source.name.encode()),
        *((_BESIDE + name.lower(), text.encode(errors="replace")) for name, text in attributes.items()),
    ]
    return Output(topics.raw(source.instance.connector), key[:_KEY].encode(), body, headers)


def too_large(value: bytes) -> str:
    """Why no topic takes a record of this value; empty where one does."""
    return f"a record of {len(value)} bytes, where {_LARGEST} are taken" if len(value) > _LARGEST else ""


def beside(headers: Iterable[tuple[str, bytes | None]], name: str) -> str:
    """One of the attributes; empty where there is none."""
    return header(headers, _BESIDE + name)


def attributes_of(headers: Iterable[tuple[str, bytes | None]]) -> dict[str, str]:
    """What `raw_output` was given as attributes."""
    return {
        name[len(_BESIDE) :]: (text or b"").decode(errors="replace")
        for name, text in headers
        if name.startswith(_BESIDE)
    }
