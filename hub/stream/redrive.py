"""Sending a dead letter again: the record as it was, to the topic where it failed."""

from __future__ import annotations

from hub.delivery.dead_letter import DeadLetter, own_headers
from hub.journal.rows import Failure
from hub.stream.reading import read_one
from hub.stream.records import Output
from hub.stream.routing import ONLY


def redriven(servers: str, failure: Failure) -> Output | None:
    """The record to write, or None where the dead letter is gone (past retention).

    A route or subscription that failed alone gets it alone: the others have it already.
    """
    message = read_one(servers, failure.position_topic, failure.position_partition, failure.position_offset)
    if message is None:
        return None
    letter = DeadLetter.from_headers(message.headers())
    headers = [(name, value) for name, value in own_headers(message.headers()) if name != ONLY and value]
    only = letter.subscription or letter.route
    if only:
        headers.append((ONLY, only.encode()))
    return Output(letter.topic, message.key(), message.value(), headers)
