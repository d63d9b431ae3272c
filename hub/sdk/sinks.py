"""Kinds of sinks beyond HTTP: files, whole registers on a schedule, mailboxes, MLLP."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Generic

from hub.events.envelope import Event
from hub.sdk.connector import C
from hub.sdk.errors import Reject, Retry, Stop
from hub.sdk.hl7 import Framer, Message, Unframed, framed
from hub.sdk.mailbox import Letter, Mailbox
from hub.sdk.places import FileSettings, Place
from hub.sdk.sink import Receipt, Sink

#: Codes of faults: HL7 table 0357; others may be a person's number. A location begins with the name of a segment.
_FAULT = re.compile(r"0|10[0-4]|19[89]|20[0-7]", re.ASCII)
_WHERE = re.compile(r"([A-Z][A-Z0-9]{2})(-\d{1,3})*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A file to be written: a bare name, and its bytes."""

    name: str
    body: bytes


class _Filing(Sink[C], Generic[C]):
    _place: Place | None = None

    def place(self) -> Place:
        """Where files go; by the config, where it is a `FileSettings`. Called once."""
        if isinstance(self.config, FileSettings):
            return self.config.place()
        raise Stop(f"{type(self).__name__} does not say where its files go: define place()")

    @property
    def files(self) -> Place:
        """The place, opened when first used and closed with the sink."""
        if self._place is None:
            self._place = self.place()
        return self._place

    async def close(self) -> None:
        """Close the place too."""
        if self._place is not None:
            await self._place.close()
        await super().close()


class FileSink(_Filing[C], Generic[C]):
    """A sink that leaves one file per event: written under a temporary name, then renamed, so that nobody takes half.

    The name must follow from the event and its key alone: a repeat then replaces the file by itself.
    """

    def file(self, event: Event, key: str) -> Outgoing:
        """The file for an event; pure. Raise `Reject` for one that cannot be written down."""
        raise NotImplementedError

    async def deliver(self, event: Event, key: str) -> Receipt:
        """Write the file."""
        outgoing = self.file(event, key)
        await self.files.write(outgoing.name, _once(outgoing.body))
        return Receipt(outgoing.name)


@dataclass(frozen=True, slots=True)
class Entry:
    """What an event does to a register: the row under `key` becomes `row`, or goes where `row` is None."""

    key: str
    row: Mapping[str, Any] | None


class ExportSink(_Filing[C], Generic[C]):
    """A sink whose system takes whole registers, not single events: the national taxi database, say.

    Each event is folded into a register of ours by `entry`, in the transaction that notes its delivery (`hub.registers`
    in Kafka, a copy on the worker's disk); its receipt says no more than that. Every `every` (the instance's
    `poll_every_s` overrides it), and only if something changed, and then did not for `settled_after` (so that half of
    what is coming in does not replace the whole), `export` is given all rows, sorted by key, in a stream, on the loop
    of the worker that holds the instance. What it returns is landed like any outcome. If it
    raises `Retry` it is called again later with the rows of then; `Stop` halts the instance. With `at_least_every`,
    what did not change is handed over again after so long.
    """

    kind = "export"
    every: ClassVar[timedelta] = timedelta(days=1)
    at_least_every: ClassVar[timedelta] = timedelta.max
    settled_after: ClassVar[timedelta] = timedelta(seconds=10)

    def entry(self, event: Event) -> Entry:
        """What an event does to the register; pure. Raise `Reject` for one that cannot be entered."""
        raise NotImplementedError

    async def export(self, rows: AsyncIterable[Mapping[str, Any]], moment: datetime) -> Receipt:
        """Hand over the whole register and return when it is taken. May be repeated with the same rows."""
        raise NotImplementedError

    async def deliver(self, event: Event, key: str) -> Receipt:
        """Nothing leaves yet: the hub folds `entry` into the register."""
        return Receipt(self.entry(event).key)


class MailboxSink(Sink[C], Generic[C]):
    """A sink that sends one message per event through a mailbox that takes repeats for new messages.

    A message is sent under the event's id as local id; before a second attempt the mailbox is asked for it.
    """

    def mailbox(self) -> Mailbox:
        """The client of the mailbox. Called once."""
        raise NotImplementedError

    def letter(self, event: Event, key: str) -> tuple[str, Letter]:
        """The recipient and the message for an event; pure."""
        raise NotImplementedError

    _mailbox: Mailbox | None = None

    @property
    def post(self) -> Mailbox:
        """The mailbox, opened when first used."""
        if self._mailbox is None:
            self._mailbox = self.mailbox()
        return self._mailbox

    async def deliver(self, event: Event, key: str) -> Receipt:
        """Send."""
        recipient, letter = self.letter(event, key)
        return Receipt(await self.post.send(recipient, letter, key))

    async def find(self, event: Event, key: str) -> Receipt | None:
        """What the mailbox has under the event's id."""
        known = await self.post.find(key)
        return None if known is None else Receipt(str(known.get("message_id", key)), outcome=known)


class MllpSink(Sink[C], Generic[C]):
    """A sink that sends one HL7 v2 message per event over MLLP and waits for its acknowledgement.

    MSH-10 must be `key` (shortened by `control_id` to the 20 characters of older versions), so that the receiver
    recognises a repeat. `AA`/`CA`: delivered, the reply is the outcome. `AE`/`CE`: set aside with the fault's
    code. `AR`/`CR`, no reply in `patience_s`, or a broken connection: again later. One connection is kept open.
    What stands in an answer in place of a code or a location may be prose about a person, and is not told: neither a
    code of the receiver's own, nor a place in a segment that is neither in the message nor in `segments`.
    """

    #: Names of segments that a message could have had: an answer may say that one of them is missing.
    segments: ClassVar[frozenset[str]] = frozenset()

    #: How long to wait for an acknowledgement, seconds.
    patience_s: float = 30.0

    _link: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    def address(self) -> tuple[str, int]:
        """Host and port of the receiver."""
        raise NotImplementedError

    def message(self, event: Event, key: str) -> bytes:
        """The message for an event; pure."""
        raise NotImplementedError

    @staticmethod
    def control_id(key: str) -> str:
        """An event's id as MSH-10, which holds 20 characters in most versions."""
        return re.sub(r"[^0-9A-Za-z]", "", key)[:20]

    async def deliver(self, event: Event, key: str) -> Receipt:
        """Send and wait for the acknowledgement of this message."""
        message = self.message(event, key)
        sent = Message.parse(message)
        async with self._turn():
            try:
                async with asyncio.timeout(self.patience_s):
                    reply = await self._exchange(message, sent.get("MSH-10"))
            except (OSError, TimeoutError, Unframed) as error:
                await self._hang_up()
                raise Retry(f"MLLP: {type(error).__name__}") from None
        return self._judge(reply, sent)

    async def close(self) -> None:
        """Hang up."""
        await self._hang_up()
        await super().close()

    _lock: asyncio.Lock | None = None

    def _turn(self) -> asyncio.Lock:
        self._lock = self._lock or asyncio.Lock()
        return self._lock

    async def _exchange(self, message: bytes, sent: str) -> Message:
        if self._link is None:
            self._link = await asyncio.open_connection(*self.address())
        reader, writer = self._link
        writer.write(framed(message))
        await writer.drain()
        framer = Framer()
        while data := await reader.read(65_536):
            for reply in framer.feed(data):
                try:
                    told = Message.parse(reply)
                except Reject:
                    raise Unframed("the reply is not HL7") from None
                if told.get("MSA-2") == sent:  # otherwise of an earlier message that we gave up waiting for
                    return told
        raise ConnectionResetError

    def _judge(self, reply: Message, sent: Message) -> Receipt:
        code, fault, where = (reply.get(place) for place in ("MSA-1", "ERR-3", "ERR-2"))
        if code in ("AA", "CA"):
            control_id = sent.get("MSH-10")
            return Receipt(control_id, outcome={"code": code, "control_id": control_id})
        fault = fault if _FAULT.fullmatch(fault) else "no code"
        if code in ("AE", "CE"):
            found = _WHERE.fullmatch(where)
            known = found is not None and (found[1] in self.segments or sent.all(found[1]))
            field = where if known else ""
            raise Reject(f"the receiver answered {code} ({fault})", field=field, kind="hl7")
        raise Retry(f"the receiver answered {code if code in ('AR', 'CR') else 'without a code'} ({fault})")

    async def _hang_up(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            link[1].close()
            with suppress(OSError):
                await link[1].wait_closed()


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body
