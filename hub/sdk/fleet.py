"""The fleet: every configured instance with its connector objects, built once and checked all at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hub.sdk.connector import Connector, Instance, Source
from hub.sdk.errors import Reject
from hub.sdk.polling import PollingSource
from hub.sdk.sink import Sink
from hub.sdk.webhook import WebhookSource


@dataclass(frozen=True, slots=True)
class Member:
    """One instance and the objects made for it, one for each class of its connector."""

    instance: Instance
    connectors: tuple[Connector[Any], ...]

    def source(self, name: str) -> Source[Any, Any]:
        """The source of that name. Raises Reject, since the name comes from a stored record."""
        for connector in self.connectors:
            if isinstance(connector, Source) and connector.name == name:
                return connector
        raise Reject(f"{self.instance.connector} has no source named {name}", field="hub-source")

    @property
    def sources(self) -> tuple[Source[Any, Any], ...]:
        """The sources of any kind that it uses."""
        return tuple(c for c in self.connectors if isinstance(c, Source) and c.used)

    @property
    def webhooks(self) -> tuple[WebhookSource[Any, Any], ...]:
        """The webhook sources among them."""
        return tuple(c for c in self.sources if isinstance(c, WebhookSource))

    @property
    def pollers(self) -> tuple[PollingSource[Any, Any], ...]:
        """The polling sources among them."""
        return tuple(c for c in self.sources if isinstance(c, PollingSource))

    @property
    def sinks(self) -> tuple[Sink[Any], ...]:
        """The sinks that it uses."""
        return tuple(c for c in self.connectors if isinstance(c, Sink) and c.used)


class Fleet:
    """All instances by name."""

    def __init__(self, members: Mapping[str, Member]) -> None:
        self.members = dict(members)

    def member(self, name: str) -> Member:
        """An instance by name. Raises Reject, since the name comes from a stored record."""
        try:
            return self.members[name]
        except KeyError:
            raise Reject(f"no instance named {name} is configured", field="hub-instance") from None

    @property
    def connectors(self) -> tuple[str, ...]:
        """The names of the connectors in use."""
        return tuple(sorted({member.instance.connector for member in self.members.values()}))

    async def close(self) -> None:
        """Close every connector."""
        for member in self.members.values():
            for connector in member.connectors:
                await connector.close()
