"""Care referrals through NHS MESH, the mailboxes of health and social care, for partners without an API."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import cast

from connectors.care_messages.canonical import KINDS, Referral
from connectors.care_messages.partner import CarePartner
from connectors.nhs_mesh.config import Config
from connectors.nhs_mesh.mailbox import MeshMailbox, open_mesh
from connectors.nhs_mesh.mapping import MeshRecord, facts, letter, read
from hub.events.generated.care import ReferralUndelivered
from hub.sdk import (
    Attributes,
    Event,
    Fact,
    Http,
    Inbox,
    Letter,
    MailboxSink,
    MailboxSource,
    Receipt,
    Reject,
)


class MeshLetters(MailboxSource[Config, MeshRecord]):
    """Referrals and answers that a partner left in our mailbox, and MESH's reports of what did not arrive."""

    name = "mesh"
    emits = (*KINDS, ReferralUndelivered)

    _client: MeshMailbox | None = None

    def open_http(self) -> Http:
        """See `open_mesh`."""
        return open_mesh(self.config, self.clock)

    @property
    def client(self) -> MeshMailbox:
        """The mailbox, opened when first used."""
        self._client = self._client or MeshMailbox(self.http, self.config, self.clock)
        return self._client

    async def waiting(self) -> Inbox:
        """What waits under our workflow."""
        return await self.client.waiting()

    async def download(self, message_id: str) -> AsyncIterator[bytes]:
        """Its chunks, decompressed."""
        async for piece in self.client.download(message_id):
            yield piece

    def attributes_of(self, message_id: str) -> Attributes:
        """Its `Mex-` headers."""
        return self.client.headers.get(message_id, {})

    async def acknowledge(self, message_id: str) -> None:
        """Fetched and safe: it may go."""
        await self.client.acknowledge(message_id)

    def raw_key(self, message_id: str, letter: Letter) -> str:
        """The conversation, so that its messages stay in order."""
        try:
            return self.translate(letter.body, letter.attributes)[0].subject
        except Reject:
            return self.raw_id(message_id, letter)

    def parse(self, body: bytes, attributes: Attributes) -> MeshRecord:
        """FHIR, HL7 v2, or a report."""
        return read(body, attributes)

    def events(self, record: MeshRecord) -> Iterator[Fact]:
        """One fact per letter."""
        yield facts(record, self.config)


class MeshPartner(CarePartner[Config], MailboxSink[Config]):
    """Leaves referrals and answers in a partner's mailbox, in the language that its address tells."""

    name = "mesh-partner"

    def open_http(self) -> Http:
        """See `open_mesh`."""
        return open_mesh(self.config, self.clock)

    def mailbox(self) -> MeshMailbox:
        """Our mailbox: sending is a matter of its outbox."""
        return MeshMailbox(self.http, self.config, self.clock)

    def letter(self, event: Event, key: str) -> tuple[str, Letter]:
        """To the partner's mailbox."""
        data = cast("Referral", self.data_of(event))
        return self.config.partner_mailbox, letter(data, key, event.envelope.party, self.config.hl7_version)

    async def send(self, event: Event, data: Referral, key: str) -> Receipt:
        """Send; the hub asks `find` before it would repeat."""
        return await MailboxSink.deliver(self, event, key)
