"""What every source promises, whatever it speaks to: the part of the contract that is about translation."""

from __future__ import annotations

import json
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel, SecretStr

from hub.sdk.clock import Clock, SteppedClock
from hub.sdk.connector import Instance, Source
from hub.sdk.errors import Reject
from hub.sdk.facts import to_event
from hub.sdk.simulator import Simulator

Path = tuple[str, ...]

_NOT_RECORDS = (b"", b"not json", b"\xff\xfe\x00", b"null", b"[]", b'"text"', b"{", b"{}", b"[" * 100_000)


class Contract:
    """Base of the suites. A subclass names `connector` and `simulator`, and runs as tests by pytest.

    `settings` overrides what the simulator's `config()` says. `waive` names tests that do not hold for this
    connector, each with the reason; a waived test that passes fails, and so does a waiver of no test.
    """

    connector: ClassVar[type[Source[Any, Any]]]
    simulator: ClassVar[Callable[[Clock], Simulator]]
    settings: ClassVar[Mapping[str, Any]] = {}
    waive: ClassVar[Mapping[str, str]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, reason in cls.waive.items():
            test = getattr(cls, name, None)
            if not name.startswith("test_") or not isinstance(test, types.FunctionType):
                raise TypeError(f"{cls.__name__} waives {name}, which is no test of its contract")
            if not reason.strip():
                raise TypeError(f"{cls.__name__} waives {name} without a reason")
            setattr(cls, name, pytest.mark.xfail(reason=reason, strict=True)(_copy(test)))

    def bodies(self) -> list[bytes]:
        """Genuine raw records, as the simulated system gave them."""
        raise NotImplementedError

    def source(self, simulator: Simulator | None = None) -> Any:
        """A fresh source that is configured for `simulator`."""
        simulator = simulator or type(self).simulator(SteppedClock())
        model: Any = self.connector.config_model
        config = model(_env_prefix="HUB_CONTRACT_", **{**simulator.config(), **self.settings})
        instance = Instance("contract", self.connector.__module__.split(".")[-2], "E08000025")
        return self.connector(instance, config, simulator.clock)

    def test_what_the_system_says_becomes_declared_events(self) -> None:
        source = self.source()
        for body in self.bodies():
            facts = source.translate(body)
            assert facts, "a genuine record tells no fact"
            assert all(isinstance(fact.data, source.emits) for fact in facts)
            assert all(fact.time.tzinfo for fact in facts), "a fact's time has no zone"

    def test_the_same_fact_twice_is_one_event_id(self) -> None:
        for body in self.bodies():
            first, again = (
                [to_event(fact, "/s", "p", "c") for fact in self.source().translate(body)] for _ in "12"
            )
            assert first == again
            assert len({event.envelope.id for event in first}) == len(first), "two facts share one id"

    def test_an_event_type_that_is_not_declared_is_refused(self) -> None:
        source = self.source()
        source.__class__ = type("Undeclared", (self.connector,), {"emits": ()})
        with pytest.raises(Reject, match="does not declare"):
            source.translate(self.bodies()[0])

    def test_fields_that_the_system_adds_one_day_are_tolerated(self) -> None:
        source = self.source()
        for body in self.bodies():
            record = json.loads(body)
            for path, node in list(_objects(record)):
                if "metadata" not in path:
                    node["field_of_a_later_version"] = {"nested": [1, None]}
            grown = source.translate(json.dumps(record).encode())
            assert [fact.key for fact in grown] == [fact.key for fact in source.translate(body)]

    def test_a_missing_required_field_is_named(self) -> None:
        source = self.source()
        for path in required(self.connector.record_model):
            body = self._edited(path, _remove)
            reject = _rejected(source, body)
            assert ".".join(path) in (reject.field, reject.reason.partition(":")[0])

    def test_a_required_field_of_another_shape_is_named(self) -> None:
        source = self.source()
        for path in required(self.connector.record_model):
            body = self._edited(path, lambda node, name: node.__setitem__(name, ["x"]))
            assert _rejected(source, body).field.startswith(".".join(path))

    def test_what_is_no_record_at_all_is_set_aside_with_a_reason(self) -> None:
        source = self.source()
        for body in _NOT_RECORDS:
            reject = _rejected(source, body)
            assert reject.reason and reject.field

    def test_secrets_show_nowhere(self) -> None:
        source = self.source()
        secrets = [value.get_secret_value() for _, value in source.config if isinstance(value, SecretStr)]
        told = [repr(source), str(source), repr(source.config), str(source.config), *self._errors(source)]
        assert not [secret for secret in secrets if any(secret in text for text in told)]

    def _errors(self, source: Source[Any, Any]) -> list[str]:
        """Texts of errors that the source raises; suites add their own kinds."""
        return [str(_rejected(source, body)) for body in _NOT_RECORDS]

    def _edited(self, path: Path, edit: Callable[[dict[str, Any], str], Any]) -> bytes:
        """The first genuine record that has `path`, with that field edited."""
        for body in self.bodies():
            record = json.loads(body)
            node = record
            for name in path[:-1]:
                node = node.get(name) if isinstance(node, dict) else None
            if isinstance(node, dict) and path[-1] in node:
                edit(node, path[-1])
                return json.dumps(record).encode()
        raise AssertionError(f"the simulator sends no record with {'.'.join(path)}, which is required")


def required(model: type[BaseModel], prefix: Path = ()) -> Iterator[Path]:
    """The dotted paths of a model's required fields, those of required inner models too."""
    for name, field in model.model_fields.items():
        if not field.is_required():
            continue
        path = (*prefix, str(field.validation_alias or field.alias or name))
        yield path
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from required(field.annotation, path)


def _objects(node: Any, path: Path = ()) -> Iterator[tuple[Path, dict[str, Any]]]:
    if isinstance(node, dict):
        yield path, node
        for name, value in list(node.items()):
            yield from _objects(value, (*path, name))


def _remove(node: dict[str, Any], name: str) -> None:
    del node[name]


def _rejected(source: Source[Any, Any], body: bytes) -> Reject:
    with pytest.raises(Reject) as caught:
        source.translate(body)
    return caught.value


def _copy(test: types.FunctionType) -> types.FunctionType:
    """A test function of its own, so that a mark on it does not touch the suite's."""
    made = types.FunctionType(
        test.__code__, test.__globals__, test.__name__, test.__defaults__, test.__closure__
    )
    made.__dict__.update(test.__dict__)
    made.__kwdefaults__ = test.__kwdefaults__
    return made
