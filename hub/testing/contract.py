"""What every source promises, whatever it speaks to: the part of the contract that is about translation."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest

from hub.sdk.connector import Source
from hub.sdk.errors import Reject
from hub.sdk.facts import to_event
from hub.testing.shapes import NOT_RECORDS, Path, blanked, grown, holder, is_hl7, required
from hub.testing.suite import Suite


@dataclass(frozen=True, slots=True)
class Raw:
    """A raw record, as it would lie in Kafka."""

    body: bytes
    attributes: Mapping[str, str] = field(default_factory=dict)
    key: str = ""
    id: str = ""


class Contract(Suite):
    """Base of the suites of sources."""

    connector: ClassVar[type[Source[Any, Any]]]

    def records(self) -> list[Raw]:
        """Genuine raw records, as the simulated system gave them."""
        raise NotImplementedError

    def required(self) -> Iterator[Path]:
        """The dotted paths of the fields that a JSON record must have."""
        return required(self.connector.record_model)

    def test_what_the_system_says_becomes_declared_events(self) -> None:
        source = self.made()
        for record in self.records():
            facts = source.translate(record.body, record.attributes)
            assert facts, "a genuine record tells no fact"
            assert all(isinstance(fact.data, source.emits) for fact in facts)
            assert all(fact.time.tzinfo for fact in facts), "a fact's time has no zone"

    def test_the_same_fact_twice_is_one_event_id(self) -> None:
        for record in self.records():
            first, again = (
                [
                    to_event(fact, "/s", "p", "c")
                    for fact in self.made().translate(record.body, record.attributes)
                ]
                for _ in "12"
            )
            assert first == again
            assert len({event.envelope.id for event in first}) == len(first), "two facts share one id"

    def test_the_raw_key_is_the_subject_so_that_order_holds(self) -> None:
        source = self.made()
        for record in self.records():
            facts = source.translate(record.body, record.attributes)
            assert {fact.subject for fact in facts} == {record.key}

    def test_an_event_type_that_is_not_declared_is_refused(self) -> None:
        source = self.made()
        source.__class__ = type("Undeclared", (self.connector,), {"emits": ()})
        record = self.records()[0]
        with pytest.raises(Reject, match="does not declare"):
            source.translate(record.body, record.attributes)

    def test_fields_that_the_system_adds_one_day_are_tolerated(self) -> None:
        source = self.made()
        for record in self.records():
            later = source.translate(grown(record.body), record.attributes)
            now = source.translate(record.body, record.attributes)
            assert [(f.key, f.data) for f in later] == [(f.key, f.data) for f in now]

    def test_a_missing_required_field_is_named(self) -> None:
        source = self.made()
        if is_hl7(self.records()[0].body):
            self._judge_blanked(source)
            return
        for path in self.required():
            reject = self._rejected(source, self._edited(path, _remove))
            assert ".".join(path) in (reject.field, reject.reason.partition(":")[0])

    def test_a_required_field_of_another_shape_is_named(self) -> None:
        source = self.made()
        if is_hl7(self.records()[0].body):
            pytest.skip("fields of HL7 v2 have one shape, text")
        for path in self.required():
            edited = self._edited(path, lambda node, name: node.__setitem__(name, ["x"]))
            assert self._rejected(source, edited).field.startswith(".".join(path))

    def test_what_is_no_record_at_all_is_set_aside_with_a_reason(self) -> None:
        source = self.made()
        for body in NOT_RECORDS:
            reject = self._rejected(source, Raw(body))
            assert reject.reason and reject.field

    def test_secrets_show_nowhere(self) -> None:
        source = self.made()
        self.assert_no_secret(source, *self._errors(source))

    def _errors(self, source: Source[Any, Any]) -> list[str]:
        """Texts of errors that the source raises; suites add their own kinds."""
        return [str(self._rejected(source, Raw(body))) for body in NOT_RECORDS]

    def _judge_blanked(self, source: Source[Any, Any]) -> None:
        """Each field that must not be empty is named; some field must be there."""
        rejects = []
        for record in self.records():
            for body in blanked(record.body):
                try:
                    source.translate(body, record.attributes)
                except Reject as reject:
                    assert reject.field and reject.reason
                    rejects.append(reject)
        assert rejects, "a message may lack any field"

    def _edited(self, path: Path, edit: Callable[[dict[str, Any], str], Any]) -> Raw:
        """The first genuine record that has `path`, with that field edited."""
        for record in self.records():
            told = json.loads(record.body)
            node = holder(told, path)
            if node is not None:
                edit(node, path[-1])
                return Raw(json.dumps(told).encode(), record.attributes)
        raise AssertionError(f"the simulator sends no record with {'.'.join(path)}, which is required")

    def _rejected(self, source: Source[Any, Any], record: Raw) -> Reject:
        with pytest.raises(Reject) as caught:
            source.translate(record.body, record.attributes)
        return caught.value


def _remove(node: dict[str, Any], name: str) -> None:
    del node[name]
