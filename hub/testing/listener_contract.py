"""The contract of HL7 listeners."""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar

import pytest

from hub.sdk.errors import Reject
from hub.sdk.hl7 import Message
from hub.sdk.listener import ListenerSource
from hub.testing.contract import Contract, Raw


class ListenerContract(Contract):
    """What an HL7 listener promises. Its simulator gives `messages()`: one of every kind that the system sends.

    class TestReferrals(ListenerContract):
        connector, simulator = Hl7Referrals, HospitalSimulator
    """

    connector: ClassVar[type[ListenerSource[Any, Any]]]

    def records(self) -> list[Raw]:
        """One of every kind."""
        source, found = self.made(), []
        for body in _messages(type(self).simulator):
            message = Message.parse(body)
            found.append(Raw(body, key=source.raw_key(body, message), id=source.raw_id(body, message)))
        return found

    def test_what_the_system_sends_is_taken(self) -> None:
        for record in self.records():
            self.made().check(Message.parse(record.body))

    def test_every_declared_event_type_is_sent_by_the_simulator(self) -> None:
        source = self.made()
        told = {type(fact.data) for raw in self.records() for fact in source.translate(raw.body)}
        assert told == set(source.emits)

    def test_a_repeat_has_the_same_raw_id_and_another_message_another(self) -> None:
        ids = [record.id for record in self.records() * 2]
        assert len(set(ids)) == len(ids) // 2

    def test_delimiters_are_those_of_the_message(self) -> None:
        source = self.made()
        for record in self.records():
            other = record.body.translate(bytes.maketrans(b"|^~\\&", b"#@$!*"))
            if any(sign in record.body for sign in b"#@$!*"):
                continue
            now = [fact.key for fact in source.translate(record.body)]
            assert [fact.key for fact in source.translate(other)] == now

    def test_line_feeds_in_place_of_carriage_returns_are_tolerated(self) -> None:
        source = self.made()
        for record in self.records():
            unix = record.body.replace(b"\r", b"\n")
            assert [f.key for f in source.translate(unix)] == [f.key for f in source.translate(record.body)]

    def test_a_message_of_another_type_is_refused_at_the_door(self) -> None:
        with pytest.raises(Reject, match="MSH-9"):
            self.made().check(Message.parse(b"MSH|^~\\&|A|B|C|D|2026||BAR^P01|1|P|2.4\r"))


@cache
def _messages(simulator: Any) -> list[bytes]:
    from hub.sdk.clock import SteppedClock

    return list(simulator(SteppedClock()).messages())
