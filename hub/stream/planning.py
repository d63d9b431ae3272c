"""Making a plan of a replay: reads inputs and inboxes, asks today's mappings, and writes nothing."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from time import time
from typing import Any

from confluent_kafka import KafkaException

from hub.events.envelope import Event
from hub.events.kafka import header
from hub.loading import Loaded
from hub.registry.codec import CodecError, decode
from hub.routes.engine import Made
from hub.sdk.errors import Reject
from hub.stream import topics
from hub.stream.editing import changes
from hub.stream.reading import Message, read_between
from hub.stream.replay import Asked, Plan, Planned, Unsent, digest_of, events_in
from hub.stream.trial import Trial

_BATCH = 500


class CannotPlan(Exception):
    """More than a plan may hold, or Kafka is away; the message says what to do."""


@dataclass(slots=True)
class _Found:
    """What the inputs come to today, before it is compared with what was."""

    read: int = 0
    inputs: set[str] = field(default_factory=set)  # ids of the events
    made: list[tuple[str, Made]] = field(default_factory=list)  # with the input's place
    refused: list[Unsent] = field(default_factory=list)


class Planner:
    """Plans replays over one Kafka by one configuration, which need not be the one that is running.

    `limit` bounds the inputs, and so the plan's size and memory. `values` has plans show what fields held and
    will hold, beside their names.
    """

    def __init__(self, servers: str, loaded: Loaded, limit: int = 10_000, *, values: bool = False) -> None:
        self._servers = servers
        self._loaded = loaded
        self._registry = loaded.registry
        self._trial = Trial(loaded)
        self._limit = limit
        self._values = values

    def plan(self, asked: Asked) -> Plan:
        """Who would receive what. Raises CannotPlan."""
        try:
            return self._plan(asked)
        except KafkaException as error:
            raise CannotPlan(f"Kafka does not answer ({error.args[0].name()})") from None

    def _plan(self, asked: Asked) -> Plan:
        found = _Found()
        batch: list[tuple[str, Event]] = []
        for place, event in self._events(asked, found):
            batch.append((place, event))
            if len(batch) == _BATCH:
                self._route(asked, batch, found)
                batch = []
        self._route(asked, batch, found)
        then, withdrawn = self._received(asked, found)
        return Plan(
            id=secrets.token_hex(6),
            made_at=time(),
            asked=asked,
            read=found.read,
            items=tuple(self._compared(place, made, then) for place, made in found.made),
            refused=tuple(found.refused),
            withdrawn=tuple(withdrawn),
        )

    def _events(self, asked: Asked, found: _Found) -> Iterator[tuple[str, Event]]:
        for message in self._inputs(asked):
            found.read += 1
            if found.read > self._limit:
                raise CannotPlan(
                    f"more than {self._limit} records fit: give a shorter time, a type, a party or a subject"
                )
            place = _place(message)
            try:
                for event in events_in(message, self._trial):
                    # A fact that is told twice, by webhook and poller, is one event: the first is as good.
                    if _fits(asked, event) and event.envelope.id not in found.inputs:
                        found.inputs.add(event.envelope.id)
                        yield place, event
            except Reject as reject:
                subject = (message.key() or b"").decode(errors="replace")
                found.refused.append(Unsent(at=place, reason=reject.reason, subject=subject))

    def _inputs(self, asked: Asked) -> Iterator[Message]:
        names: list[str]
        wanted: Callable[[Message], bool]
        if asked.source == "raw":
            names = [topics.raw(name) for name in self._loaded.fleet.connectors]
            wanted = lambda _: True  # noqa: E731 - what it is about is known when it is translated
        else:
            names = [topics.events(name) for name in self._loaded.domains]
            wanted = lambda message: _header_fits(asked, message)  # noqa: E731
        for name in names:
            yield from read_between(self._servers, name, asked.since, asked.until, wanted)

    def _route(self, asked: Asked, batch: list[tuple[str, Event]], found: _Found) -> None:
        made, refused = self._trial.route([event for _, event in batch])
        for one in made:
            if asked.route in ("", one.route) and asked.to in ("", one.party):
                found.made.append((batch[one.row][0], one))
        for fault in refused:
            if asked.route in ("", fault.route) or not fault.route:  # then no route can take it
                place, event = batch[fault.row]
                envelope = event.envelope
                found.refused.append(
                    Unsent(
                        at=place,
                        reason=fault.reason,
                        type=envelope.type,
                        subject=envelope.subject,
                        route=fault.route,
                    )
                )

    def _received(self, asked: Asked, found: _Found) -> tuple[dict[tuple[str, str], Message], list[Unsent]]:
        """What the parties got of these inputs then, by party and id; and of that, what no route makes today."""
        ids = {(made.party, made.event.envelope.id) for _, made in found.made}
        then: dict[tuple[str, str], Message] = {}
        gone: dict[tuple[str, str], Unsent] = {}
        source = f"/routes/{asked.route}" if asked.route else ""
        since = asked.since
        if asked.source == "raw":  # it may have told anew what had been told before
            since -= self._loaded.settings.config.dedup_window_days * 86_400
        for party in [asked.to] if asked.to else self._loaded.settings.config.parties:

            def about(message: Message) -> bool:
                return header(message.headers() or [], "ce_causationid") in found.inputs

            for message in read_between(self._servers, topics.inbox(party), since, time(), about):
                headers = message.headers() or []
                key = (party, header(headers, "ce_id"))
                if key in ids:
                    then[key] = message
                elif source in ("", header(headers, "ce_source")):
                    gone[key] = Unsent(
                        at=_place(message),
                        reason="no route makes this today",
                        type=header(headers, "ce_type"),
                        subject=header(headers, "ce_subject"),
                        route=header(headers, "ce_source").removeprefix("/routes/"),
                        to=party,
                    )
        return then, list(gone.values())

    def _compared(self, place: str, made: Made, then: dict[tuple[str, str], Message]) -> Planned:
        envelope = made.event.envelope
        before = then.get((made.party, envelope.id))
        differ = self._differences(before, made) if before else []
        return Planned(
            at=place,
            id=envelope.id,
            type=envelope.type,
            subject=envelope.subject,
            route=made.route,
            to=made.party,
            compared=("changed" if differ else "same") if before else "new",
            digest=digest_of(made),
            fields=tuple(change["field"] for change in differ),
            changes=tuple(differ) if self._values else (),
        )

    def _differences(self, before: Message, made: Made) -> list[dict[str, Any]]:
        envelope, headers = made.event.envelope, before.headers() or []
        then = {"type": header(headers, "ce_type"), "subject": header(headers, "ce_subject")}
        now = {"type": envelope.type, "subject": envelope.subject}
        try:
            _, data = decode(before.value() or b"", self._registry)
        except CodecError:
            return [{"field": "(all)", "before": None, "after": made.event.data}]
        # Read back, so that both are what a receiver would see.
        return [*changes(then, now, "ce"), *changes(data, decode(made.value, self._registry)[1])]


def _place(message: Message) -> str:
    return f"{message.topic()}/{message.partition()}/{message.offset()}"


def _fits(asked: Asked, event: Event) -> bool:
    envelope = event.envelope
    return (
        any(fnmatchcase(envelope.type, pattern) for pattern in asked.types)
        and asked.party in ("", envelope.party)
        and asked.subject in ("", envelope.subject)
    )


def _header_fits(asked: Asked, message: Message) -> bool:
    headers = message.headers() or []
    return (
        any(fnmatchcase(header(headers, "ce_type"), pattern) for pattern in asked.types)
        and asked.party in ("", header(headers, "ce_party"))
        and asked.subject in ("", header(headers, "ce_subject"))
    )
