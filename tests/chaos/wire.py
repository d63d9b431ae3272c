"""Kafka's wire protocol, as far as a fault needs it: which request is this, and which answer answers it.

Requests are a length, an api key, a version, a correlation id and more; answers a length, the correlation id and
more (https://kafka.apache.org/protocol, "Common Request and Response Structure"). All numbers big-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

APIS = {
    "Produce": 0,
    "Fetch": 1,
    "Metadata": 3,
    "FindCoordinator": 10,
    "JoinGroup": 11,
    "Heartbeat": 12,
    "SyncGroup": 14,
    "InitProducerId": 22,
    "AddPartitionsToTxn": 24,
    "AddOffsetsToTxn": 25,
    "EndTxn": 26,
    "TxnOffsetCommit": 28,
}

REQUEST_HEAD, ANSWER_HEAD = 8, 4  # bytes after the length that say what a frame is
_LENGTH = 4


class Frames:
    """Cuts a stream into pieces of frames, without waiting for whole ones: `(head, piece)`.

    `head` is the first bytes after the length where a frame begins, and None for what follows of it.
    """

    def __init__(self, head: int) -> None:
        self._first = _LENGTH + head
        self._held = b""
        self._left = 0

    def feed(self, data: bytes) -> Iterator[tuple[bytes | None, bytes]]:
        """The pieces of what came in."""
        at = 0
        while at < len(data):
            if self._left:
                piece = data[at : at + self._left]
                self._left -= len(piece)
                at += len(piece)
                yield None, piece
                continue
            piece = data[at : at + self._first - len(self._held)]
            self._held += piece
            at += len(piece)
            if len(self._held) == self._first:
                began, self._held = self._held, b""
                self._left = _LENGTH + int.from_bytes(began[:_LENGTH], "big") - self._first
                yield began[_LENGTH:], began


def request_of(head: bytes) -> tuple[int, int]:
    """Api key and correlation id of a request."""
    api, _, correlation = struct.unpack(">hhi", head)
    return api, correlation


def answered_by(head: bytes) -> int:
    """The correlation id of an answer."""
    return int.from_bytes(head, "big", signed=True)
