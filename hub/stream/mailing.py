"""What a mailbox source does in a round: fetch what waits, commit it, and only then acknowledge."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

from hub.sdk.connector import FAULT
from hub.sdk.errors import HubError, Reject, Retry
from hub.sdk.mailbox import Letter, MailboxSource
from hub.stream.instances import Desk
from hub.stream.raw import raw_output
from hub.stream.records import PORTION_BYTES, Output

#: Messages that one transaction covers at most.
_MOST = 100


class Mailing:
    """The work of a mailbox source.

    The cursor is the list of messages that are landed and not known to be acknowledged. It is what keeps a
    message, which the mailbox shows again after a worker died, from being landed twice.
    """

    def __init__(self, source: MailboxSource[Any, Any]) -> None:
        self.connector = source
        self._landed: list[str] = []
        self._failed: Counter[str] = Counter()

    @property
    def patience(self) -> float:
        """As the source says, for each message."""
        return self.connector.patience.total_seconds()

    async def begin(self, desk: Desk) -> float:
        """Know again what is landed."""
        self._landed = json.loads(desk.state.cursor or "[]")
        return 0

    async def round(self, desk: Desk) -> float:
        """Take what waits, in portions. What cannot be acknowledged is told when all else is done."""
        inbox = await self.connector.waiting()
        desk.progress()
        waiting = list(inbox.ids)
        listed = set(waiting)
        # What the mailbox shows no longer is acknowledged, whatever we heard; a list cut short says nothing.
        self._landed = [one for one in self._landed if one in listed or inbox.full]
        landed = set(self._landed)  # before they are acknowledged: this list of what waits still shows them
        failure = await self._acknowledge(desk, [one for one in self._landed if one in listed])
        new = sorted((one for one in waiting if one not in landed), key=self._failed.__getitem__)
        while new:
            new, failed = await self._take(desk, new)
            failure = failure or failed
        await desk.commit([], json.dumps(self._landed))
        if failure is not None:
            raise failure
        if inbox.full:
            return 0
        return self.connector.instance.interval(self.connector.every)

    async def end(self) -> None:
        """Nothing to release."""

    async def _take(self, desk: Desk, ids: list[str]) -> tuple[list[str], HubError | None]:
        """Land a portion and acknowledge it; gives the ids that are left, and why not all is acknowledged."""
        outputs: list[Output] = []
        size, failure = 0, None
        for message_id in ids[:_MOST]:
            try:
                output = await self._download(desk, message_id)
            except Retry as retry:
                self._failed[message_id] += 1  # next time the others go first
                failure = retry
                break
            outputs.append(output)
            size += len(output.value or b"")
            if size > PORTION_BYTES:
                break
        fresh = ids[: len(outputs)]
        await desk.commit(outputs, json.dumps([*self._landed, *fresh]))
        self._landed += fresh
        unheard = await self._acknowledge(desk, fresh)
        if failure is not None:
            raise failure
        return ids[len(fresh) :], unheard

    async def _download(self, desk: Desk, message_id: str) -> Output:
        source = self.connector
        beside: dict[str, str] = {"message": message_id}
        body = b""
        try:
            chunks, size = [], 0
            async for chunk in source.download(message_id):
                desk.progress()
                chunks.append(chunk)
                size += len(chunk)
                if size > source.largest:
                    raise Reject(f"the message is longer than {source.largest} bytes", field="body")
            body = b"".join(chunks)
        except Reject as reject:
            beside[FAULT] = reject.reason
        letter = Letter(body, {**source.attributes_of(message_id), **beside})
        raw_id = source.raw_id(message_id, letter)
        return raw_output(source, raw_id, source.raw_key(message_id, letter), body, letter.attributes)

    async def _acknowledge(self, desk: Desk, ids: Iterable[str]) -> HubError | None:
        """Acknowledge what is landed; gives why not all of it, if so. The rest is for the next round.

        What failed before goes last, and after one failure no more are tried: the mailbox may have had enough.
        """
        for message_id in sorted(ids, key=self._failed.__getitem__):
            try:
                await self.connector.acknowledge(message_id)
            except (Retry, Reject) as error:
                self._failed[message_id] += 1
                return error
            desk.progress()
            self._landed.remove(message_id)
            self._failed.pop(message_id, None)
        return None
