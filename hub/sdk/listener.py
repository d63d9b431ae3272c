"""Listeners: the system opens a connection and sends HL7 v2 messages over MLLP."""

from __future__ import annotations

import hashlib
from typing import ClassVar, Generic

from pydantic import Field

from hub.events.ids import derive
from hub.sdk.config import ConnectorConfig
from hub.sdk.connector import C, R, Source
from hub.sdk.errors import Reject
from hub.sdk.hl7 import Fault, Message


class ListenerSettings(ConnectorConfig):
    """Where an MLLP listener listens: base of the `Config` of connectors that have one."""

    listen_host: str = Field(default="127.0.0.1", description="Address that the MLLP listener binds to.")
    listen_port: int = Field(
        ge=0, le=65_535, description="TCP port of the MLLP listener; 0 takes a free one."
    )
    allow_from: tuple[str, ...] = Field(
        default=("127.0.0.1", "::1"),
        description="Addresses that may connect; MLLP itself knows no authentication.",
    )


class ListenerSource(Source[C, R], Generic[C, R]):
    """A source that sends HL7 v2 over MLLP to a port of the gateway (`ListenerSettings.listen_port`).

    On the gateway's loop, per message, in the order of the connection: `check`, then the bytes go to Kafka, then
    **after** they are safe `AA` is sent. So a sender that got `AA` may forget the message; one that got anything
    else, or nothing, sends it again, and `raw_id` makes the repeat one record.

    - `check` raised `Reject`: `AE` with its field and reason, nothing kept. Keep it to what the sender must hear at
      once (wrong message type, no control id): what is landed can be mended and replayed, what is refused not.
    - Kafka is away: `AR` with 207, which tells the sender to try again.
    - bytes outside a frame, or a frame over `largest`: the connection is closed. So is, for one over a hundred, the
      one that was silent longest, and one whose sender does not answer for two minutes.

    Later, in a worker, `parse` (override it: the bytes are not JSON; `hub.sdk.hl7.Message.parse` reads them) and
    `events`.
    """

    name = "mllp"
    kind = "listener"
    #: Message types taken, `("REF^I12", "REF^I13")`; any other is answered `AE` with 200 or 201.
    takes: ClassVar[tuple[str, ...]] = ()
    largest: ClassVar[int] = 1 << 20

    def check(self, message: Message) -> None:
        """Raise `Reject` for what is to be refused at the door."""
        kind = f"{message.get('MSH-9.1')}^{message.get('MSH-9.2')}"
        if not message.get("MSH-10"):
            raise Reject("MSH-10: the message has no control id", field="MSH-10", kind="101")
        if self.takes and kind not in self.takes:
            known = {one.partition("^")[0] for one in self.takes}
            code = "201" if message.get("MSH-9.1") in known else "200"
            raise Reject("MSH-9: this type of message is not taken here", field="MSH-9", kind=code)

    def fault(self, reject: Reject) -> Fault:
        """A refusal in HL7's terms; `kind` is used where it is a code of table 0357."""
        code = reject.kind if reject.kind.isdigit() and len(reject.kind) == 3 else "207"
        return Fault(code, reject.field, reject.reason)

    def raw_id(self, body: bytes, message: Message) -> str:
        """The id of the raw record: sending application and facility, and control id."""
        told = [message.get(place) for place in ("MSH-3", "MSH-4", "MSH-10")]
        own = told if told[2] else [hashlib.sha256(body).hexdigest()]
        return derive(self.instance.source, self.name, *own)

    def raw_key(self, body: bytes, message: Message) -> str:
        """The Kafka key: the entity, at `key_field` (a place such as `RF1-6`), so that its messages stay in order."""
        return (message.get(self.key_field) if self.key_field else "") or self.raw_id(body, message)
