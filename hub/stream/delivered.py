"""What is written of deliveries: journal entries, packed, and dead letters."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from hub.delivery.delivery import Step
from hub.delivery.message import Message
from hub.delivery.schedule import Outcome
from hub.journal.entry import Entry
from hub.sdk.errors import Reject
from hub.stream.records import Output
from hub.stream.routing import letter_of
from hub.stream.stage import bare, dead_letter_outputs, journal_outputs

_HEADERS = {
    "type": "ce_type",
    "party": "ce_party",
    "source": "ce_source",
    "correlation_id": "ce_correlationid",
    "causation_id": "ce_causationid",
}
_SHARED = ("type", "party", "source")


class Happened(NamedTuple):
    """A step, with the message as it was held then."""

    step: Step
    message: Message | None


def outputs_of(happened: Sequence[Happened]) -> list[Output]:
    """Records for all that happened, in the order in which it did where that matters."""
    outputs: list[Output] = []
    alike: dict[tuple[Any, ...], list[Happened]] = defaultdict(list)
    for one in happened:
        outputs += one.step.outcome.outputs
        if one.step.verdict == "dead-lettered":
            outputs += _dead_letter(one)
        else:
            alike[_likeness(one)].append(one)
    for several in alike.values():
        outputs += _entries(several)
    return outputs


def refused(one: Happened, kind: str) -> list[Output]:
    """In place of records that Kafka does not take: a dead letter, without the payload, which lies where it says."""
    outcome = Outcome(reason=f"Kafka refuses what it leads to: {kind}", kind="refused")
    return list(bare(_dead_letter(Happened(replace(one.step, outcome=outcome), one.message))))


def _likeness(one: Happened) -> tuple[Any, ...]:
    delivery, outcome = one.step.delivery, one.step.outcome
    texts = one.message.texts if one.message else {}
    shared = tuple(texts.get(_HEADERS[name], "") for name in _SHARED)
    told = (one.step.verdict, one.step.attempt, outcome.status, outcome.reason)
    return (delivery.recipient, delivery.topic, delivery.partition, *told, *shared)


def _entries(several: Sequence[Happened]) -> list[Output]:
    """One record for entries that are alike."""
    step, message = several[0]
    delivery = step.delivery
    texts = message.texts if message else {}
    same = Entry(
        at=step.at,
        stage=delivery.stage,
        outcome=step.verdict,
        event_id="",
        subscription=delivery.recipient,
        attempt=step.attempt,
        status=step.outcome.status,
        reason=step.outcome.reason,
        topic=delivery.topic,
        partition=delivery.partition,
        type=texts.get(_HEADERS["type"], ""),
        party=texts.get(_HEADERS["party"], ""),
        source=texts.get(_HEADERS["source"], ""),
    )
    each: dict[str, Sequence[Any]] = {
        "at": [one.step.at for one in several],
        "event_id": [one.step.delivery.event_id for one in several],
        "subject": [one.step.delivery.subject for one in several],
        "offset": [one.step.delivery.offset for one in several],
    }
    for name in ("correlation_id", "causation_id"):
        header = _HEADERS[name]
        each[name] = [one.message.texts.get(header, "") if one.message else "" for one in several]
    return journal_outputs((delivery.topic, delivery.partition), same, each)


def _dead_letter(one: Happened) -> list[Output]:
    delivery, outcome = one.step.delivery, one.step.outcome
    place = (delivery.topic, delivery.partition, delivery.offset)
    message = one.message or Message(place, {}, b"", 0)
    reject = Reject(
        outcome.reason or f"the subscriber answered {outcome.status}", field=outcome.field, kind=outcome.kind
    )
    letter = letter_of(
        message, delivery.stage, reject, subscription=delivery.recipient, attempts=one.step.attempt
    )
    return dead_letter_outputs(message, letter)
