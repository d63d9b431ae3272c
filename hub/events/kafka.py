"""The binary mode of the CloudEvents Kafka protocol binding: attributes travel as record headers."""

from __future__ import annotations

from collections.abc import Iterable

from hub.events.envelope import Envelope

Headers = list[tuple[str, bytes]]

PREFIX = "ce_"
CONTENT_TYPE = ("content-type", b"application/avro")


def to_headers(envelope: Envelope) -> Headers:
    """Record headers: `ce_<attribute>` in UTF-8, and `content-type` for the data's media type."""
    headers = [(PREFIX + name, text.encode()) for name, text in envelope.attributes().items()]
    headers.append(CONTENT_TYPE)
    return headers


def from_headers(headers: Iterable[tuple[str, bytes | None]]) -> Envelope:
    """The envelope carried by `headers`; others are passed over. Raises ValueError naming the attribute."""
    attributes: dict[str, str] = {}
    for name, value in headers:
        if name.startswith(PREFIX) and value is not None:
            try:
                attributes[name[len(PREFIX) :]] = value.decode()
            except UnicodeDecodeError:
                raise ValueError(f"{name}: not UTF-8") from None
    return Envelope.from_attributes(attributes)


def header(headers: Iterable[tuple[str, bytes | None]], name: str) -> str:
    """The text of one header, or empty."""
    for key, value in headers:
        if key == name and value is not None:
            return value.decode(errors="replace")
    return ""
