"""Mailboxes: messages wait until we fetch them, and go when we acknowledge them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar, Generic

from hub.events.ids import derive
from hub.sdk.connector import NO_ATTRIBUTES, Attributes, C, R, Source
from hub.sdk.webhook import lookup, outline_of


@dataclass(frozen=True, slots=True)
class Letter:
    """A message in full: its bytes, decompressed and put together, and the control headers that came with it."""

    body: bytes
    attributes: Attributes = field(default_factory=dict)


class MailboxSource(Source[C, R], Generic[C, R]):
    """A source that fetches messages from a mailbox (NHS MESH).

    On the event loop of the worker that holds the instance, every `every`, and at once again when `waiting` was
    full: `waiting`, then for each message `download`, then, **after** the message is committed to Kafka,
    `acknowledge`. A worker that dies in between leaves the message in the mailbox; its successor knows from
    Kafka that it is landed and only acknowledges it. So a message is landed once and never lost, and the sender
    is never told "fetched" of what could still be lost.

    `Retry` from any of the three leaves the message for the next round, in which those that did not fail go first;
    `Reject` from `download` sets it aside as a dead letter (with its id and no bytes) and acknowledges it, and from
    `acknowledge` is as `Retry`; `Stop` halts the instance.
    """

    name = "mailbox"
    kind = "mailbox"
    every: ClassVar[timedelta] = timedelta(minutes=5)
    #: How long one call, or one piece of a download, may take; then the round is cancelled and begun again later.
    patience: ClassVar[timedelta] = timedelta(minutes=1)
    #: The dotted name, in the JSON, of the message's own id, where one message may be sent twice under two ids.
    message_field: ClassVar[str] = ""
    #: Largest message taken, bytes, decompressed; a larger one is set aside.
    largest: ClassVar[int] = 1 << 20

    async def waiting(self) -> Inbox:
        """The ids that wait, oldest first."""
        raise NotImplementedError

    def download(self, message_id: str) -> AsyncIterator[bytes]:
        """The message's bytes in pieces, its chunks in order and decompressed; `attributes_of` is asked after it.

        Must be safe to call again. Stop reading and raise `Reject` for what is not for us.
        """
        raise NotImplementedError

    def attributes_of(self, message_id: str) -> Attributes:
        """What the last `download` of this message said beside its bytes: sender, workflow, linked message."""
        return NO_ATTRIBUTES

    async def acknowledge(self, message_id: str) -> None:
        """Remove the message from the mailbox. A message that is gone already is no error."""
        raise NotImplementedError

    def raw_id(self, message_id: str, letter: Letter) -> str:
        """The id of the raw record: from the message's own id in its JSON, or from the mailbox's."""
        own = lookup(outline_of(letter.body), self.message_field) if self.message_field else ""
        return derive(self.instance.source, self.name, own or message_id)

    def raw_key(self, message_id: str, letter: Letter) -> str:
        """The Kafka key of the raw record: the entity, so that its messages stay in order."""
        return lookup(outline_of(letter.body), self.key_field) or self.raw_id(message_id, letter)


@dataclass(frozen=True, slots=True)
class Inbox:
    """What waits in a mailbox; `full` says that there may be more than was listed."""

    ids: Sequence[str]
    full: bool = False


class Mailbox:
    """The sending side, for sinks: what a `Sink` over a mailbox needs of its client."""

    async def send(self, recipient: str, letter: Letter, local_id: str) -> str:
        """Send; the mailbox's id of the message. **Not to be repeated blindly**: after an unclear answer, `find`."""
        raise NotImplementedError

    async def find(self, local_id: str) -> Mapping[str, Any] | None:
        """What the mailbox knows of a message that was sent under `local_id`; None where it never arrived."""
        raise NotImplementedError
