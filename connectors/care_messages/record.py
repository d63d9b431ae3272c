"""HL7 v2 messages as raw records."""

from __future__ import annotations

from pydantic import ConfigDict, SkipValidation

from hub.sdk import Record
from hub.sdk.hl7 import Message


class Hl7Record(Record):
    """One message."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True, hide_input_in_errors=True)

    message: SkipValidation[Message]

    @classmethod
    def of(cls, body: bytes) -> Hl7Record:
        """Raises Reject that names the segment or field."""
        return cls(message=Message.parse(body))
