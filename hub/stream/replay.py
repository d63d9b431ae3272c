"""Replays: what was sent once is sent again as today's mappings make it, to those that a plan names, and to no other.

A plan is made first (`hub.stream.planning`) and read by a person. Running it makes each output anew and sends it
only if it is, byte for byte, what the plan says: a route that changed meanwhile sends nothing that nobody saw.
Outputs keep their ids, since they are the same facts, and carry `hub-replay`, so that a receiver that has them
can tell a replay from a repeat. A plan is run once: its id is the job's.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from time import time
from typing import Any

import msgspec

from hub.delivery.message import REPLAY
from hub.events.envelope import Event
from hub.events.kafka import from_headers, header, to_headers
from hub.journal.entry import Entry
from hub.registry.codec import CodecError, decode
from hub.routes.engine import Made
from hub.sdk.errors import Reject
from hub.stream import topics
from hub.stream.job_runner import Done
from hub.stream.jobs import Item, Job, Progress
from hub.stream.picking import Picker
from hub.stream.reading import Message
from hub.stream.records import Output
from hub.stream.stage import journal_output
from hub.stream.trial import Trial

#: On a replayed record: the instances whose sinks may take it, separated by commas. The others must not.
SINKS = "hub-sinks"

#: What a sandbox may be called.
SANDBOX = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


class Asked(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a plan is about. `since` and `until` are epoch seconds, by when the hub took a record.

    `source` is events, or raw: then today's connectors translate anew. `types` may be patterns; `party` is whose
    fact it is. `route` and `to` choose outputs; a `sandbox` gets them in place of the inboxes. `sinks` names
    the instances whose sinks may take them.
    """

    source: str
    since: float
    until: float
    types: tuple[str, ...] = ("*",)
    party: str = ""
    subject: str = ""
    route: str = ""
    to: str = ""
    sandbox: str = ""
    sinks: tuple[str, ...] = ()


class Planned(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One output: where its input stands, who gets it, and how it compares with what they got then.

    `compared` is same, changed or new. `fields` names what changed; `changes` has before and after as well, in
    plans that were asked to show what may be personal data.
    """

    at: str
    id: str
    type: str
    subject: str
    route: str
    to: str
    compared: str
    digest: str
    fields: tuple[str, ...] = ()
    changes: tuple[dict[str, Any], ...] = ()


class Unsent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is not sent: refused by today's code, or received then and made by no route today (`withdrawn`)."""

    at: str
    reason: str
    type: str = ""
    subject: str = ""
    route: str = ""
    to: str = ""


class Plan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who would receive what. `read` counts the inputs."""

    id: str
    made_at: float
    asked: Asked
    read: int
    items: tuple[Planned, ...]
    refused: tuple[Unsent, ...] = ()
    withdrawn: tuple[Unsent, ...] = ()


def items_of(plan: Plan) -> list[Item]:
    """A plan's outputs as a job refers to them. Raises ValueError for a place that is none."""
    return [Item(one.id, *place_of(one.at), one.route, one.to, one.digest) for one in plan.items]


def place_of(text: str) -> tuple[str, int, int]:
    """`events.payments/0/12` as topic, partition, offset. Raises ValueError: only inputs of the hub may be named."""
    topic, partition, offset = text.split("/")
    if not topic.startswith(("raw.", "events.")):
        raise ValueError(f"{topic} holds no inputs of a replay")
    return topic, int(partition), int(offset)


def digest_of(made: Made) -> str:
    """16 hex characters over all that a receiver gets."""
    envelope = made.event.envelope
    told = "\x1f".join((envelope.id, envelope.type, envelope.subject, made.party, made.route)).encode()
    return hashlib.sha256(told + b"\x1f" + made.value).hexdigest()[:16]


def events_in(message: Message, trial: Trial) -> list[Event]:
    """The events of a record: one, or what a raw record is today. Raises Reject."""
    value = message.value() or b""
    if message.topic().startswith("raw."):
        return trial.translate(message.headers() or [], value)
    try:
        _, data = decode(value, trial.registry, latest=True)  # as the routes read it
        return [Event(from_headers(message.headers() or []), data)]
    except CodecError as error:
        raise Reject(f"data: {error}", field=error.field, kind="codec") from None
    except ValueError as error:
        raise Reject(str(error), kind="envelope") from None


def may_apply(headers: Iterable[tuple[str, bytes | None]], instance: str) -> bool:
    """Whether the sinks of an instance may take a record: a replay only where its plan names them."""
    headers = list(headers)
    return not header(headers, REPLAY) or instance in header(headers, SINKS).split(",")


class Replaying:
    """What replay jobs do."""

    def __init__(self, picker: Picker, trial: Trial) -> None:
        self._picker = picker
        self._trial = trial

    def do(self, job: Job, item: Item) -> Done:
        """Make the output anew, and send it if it is what was planned."""
        message = self._picker.pick(item.topic, item.partition, item.offset)
        if message is None:
            return Done("gone", note="some are past their retention")
        try:
            made, _ = self._trial.route(events_in(message, self._trial))
        except Reject:
            made = []
        for one in made:
            if digest_of(one) == item.digest:  # over its id, route and party, too
                return Done("sent", [_output(job, one), journal_output(_entry(job, one, message))])
        return Done("refused", note="some are not what was planned any more: plan again")

    def more(self, job: Job, progress: Progress) -> tuple[list[Item], str | None]:
        """A plan is all that there is."""
        return [], ""


def _output(job: Job, made: Made) -> Output:
    envelope = made.event.envelope
    headers = [*to_headers(envelope), (REPLAY, job.plan.encode())]
    if job.sinks:
        headers.append((SINKS, ",".join(job.sinks).encode()))
    topic = f"sandbox.{job.sandbox}" if job.sandbox else topics.inbox(made.party)
    return Output(topic, envelope.subject.encode(), made.value, headers)


def _entry(job: Job, made: Made, message: Message) -> Entry:
    envelope = made.event.envelope
    where = f" to the sandbox {job.sandbox}" if job.sandbox else ""
    return Entry(
        at=time(),
        stage="replay",
        outcome="replayed",
        event_id=envelope.id,
        type=envelope.type,
        subject=envelope.subject,
        party=made.party,
        source=envelope.source,
        correlation_id=envelope.correlation_id,
        causation_id=envelope.causation_id,
        route=made.route,
        reason=f"plan {job.plan}{where}",
        topic=message.topic(),
        partition=message.partition(),
        offset=message.offset(),
    )
