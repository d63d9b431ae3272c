"""What an instance uses of its connector's folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hub.events.generated.payments import PaymentCreated
from hub.sdk import ConnectorConfig, Fact, Instance, ListenerSource, Record, Reject, Sink, WebhookSource
from hub.sdk.fleet import Member


class Config(ConnectorConfig):
    speaks: str


class Told(Record):
    """Whatever."""


class Calls(WebhookSource[Config, Told]):
    name = "calls"
    emits = (PaymentCreated,)

    @property
    def used(self) -> bool:
        return self.config.speaks == "https"

    def events(self, record: Told) -> Iterator[Fact]:
        return iter(())


class Lines(ListenerSource[Config, Told]):
    name = "lines"
    emits = (PaymentCreated,)

    @property
    def used(self) -> bool:
        return self.config.speaks == "mllp"


class Out(Sink[Config]):
    accepts = (PaymentCreated,)

    @property
    def used(self) -> bool:
        return self.config.speaks == "mllp"


def member(speaks: str) -> Member:
    instance = Instance("partner", "two_ways", "E08000025")
    return Member(instance, tuple(cls(instance, Config(speaks=speaks)) for cls in (Calls, Lines, Out)))


def test_an_instance_takes_and_sends_only_by_what_its_config_uses() -> None:
    by_http, by_mllp = member("https"), member("mllp")
    assert [type(c) for c in (*by_http.sources, *by_http.sinks)] == [Calls]
    assert [type(c) for c in by_http.webhooks] == [Calls]
    assert [type(c) for c in (*by_mllp.sources, *by_mllp.sinks)] == [Lines, Out]
    assert not by_mllp.webhooks


def test_what_was_landed_before_is_translated_though_its_source_is_used_no_more() -> None:
    assert member("mllp").source("calls").translate(b"{}") == []
    with pytest.raises(Reject, match="no source named"):
        member("mllp").source("letters")
