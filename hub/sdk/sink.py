"""Sinks: the hub applies an event to a system, and hears what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, Generic

from hub.events.envelope import Event
from hub.events.model import EventData
from hub.sdk.connector import C, Connector, R, Source
from hub.sdk.errors import Reject
from hub.sdk.webhook import lookup


@dataclass(frozen=True, slots=True)
class Receipt:
    """The other system's word that it has the event: its own reference.

    `outcome` is what it said, as JSON-ready values, for a sink that is also a `Source`: it is landed in
    `raw.<connector>` under the sink's name, in the transaction that notes the delivery, and so becomes outcome
    events by the ordinary translate stage.
    """

    reference: str
    outcome: Mapping[str, Any] | None = None


class Sink(Connector[C], Generic[C]):
    """A connector that applies events of the types in `accepts`, from the inbox of its instance's party.

    On the event loop of the worker that holds the inbox's partition: one event at a time per subject, in order,
    several subjects at once. First `find`, but only if an attempt may have been made before; then `deliver`. Both
    get `key`, the event's id: the same at every attempt, so pass it on as idempotency key or as reference.

    - a `Receipt`: delivered; it is noted in one transaction with `outcome`.
    - `Retry`: again on the delivery schedule (ten attempts over three days), not before `after` seconds; the
      subject's later events wait, other subjects go on.
    - `Reject`: the event is set aside as a dead letter with the reason; what follows goes on.
    - `Stop`: the instance halts with the event in hand until a person resumes it.
    - anything else is treated as `Retry` and told by its type.

    A worker that dies between the system's answer and the note leaves an event that is delivered again: at least
    once, recognisable by `key`. Where the system does not recognise a repeat by itself (GOV.UK Notify, the MESH
    outbox), `find` must.
    """

    name = "sink"
    kind = "sink"
    accepts: ClassVar[tuple[type[EventData], ...]]
    #: How long one `find` and `deliver` may take; then it is cancelled, and tried again like any other failure.
    patience: ClassVar[timedelta] = timedelta(minutes=2)

    def wants(self, event: Event) -> bool:
        """Whether an event of an accepted type is for this instance; pure. One that is not is passed over.

        A party may have several ways out, two hospitals' say, and one inbox.
        """
        return True

    async def deliver(self, event: Event, key: str) -> Receipt:
        """Apply the event; return only when the other system has confirmed it."""
        raise NotImplementedError

    async def find(self, event: Event, key: str) -> Receipt | None:
        """The receipt of an attempt that may have been made before, or None if the system knows of none.

        Asked before `deliver` when an attempt failed unclearly, when a worker may have died after one, and when the
        event is redriven or replayed. Raise as in `deliver`.
        """
        return None

    def data_of(self, event: Event) -> EventData:
        """The event's data as its model in `accepts`. Raises Reject for another type or data that do not fit."""
        for model in self.accepts:
            if model.type == event.envelope.type:
                try:
                    return model.from_avro(event.data)
                except ValueError as error:
                    raise Reject(f"the data do not fit {model.type}: {type(error).__name__}") from None
        raise Reject(f"{self.name} does not accept {event.envelope.type}", field="type")


class OutcomeSink(Sink[C], Source[C, R], Generic[C, R]):
    """A sink that tells what became of its deliveries: each receipt's `outcome` is a raw record of its own.

    class Emails(OutcomeSink[Config, Sent]):
        accepts, emits = (LicenceFeePaid,), (EmailSent,)

        async def deliver(self, event, key):
            answer = await self.http.post_json("/v2/notifications/email", to_email(event, key))
            return Receipt(answer["id"], outcome=answer | {"event": key})

        def events(self, record):            # the ordinary translation of a raw record; pure
            yield sent(record)
    """

    def raw_key(self, outcome: Mapping[str, Any], event: Event) -> str:
        """The Kafka key of an outcome: its entity, or else the subject of the event that led to it."""
        return lookup(outcome, self.key_field) or event.envelope.subject
