"""Sinks: the hub applies an event to a system."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Generic, get_args

from hub.events.envelope import Event
from hub.events.model import EventData
from hub.sdk.config import ConnectorConfig
from hub.sdk.connector import C, Connector


@dataclass(frozen=True, slots=True)
class Receipt:
    """The other system's word that it has the event: its own reference."""

    reference: str


class Sink(Connector[C], Generic[C]):
    """A connector that applies events of the types in `accepts`.

    `deliver` is called once per event at a time and subject, and again after a failure, always with the same
    `key`: pass it on as the idempotency key, so that a repeat has no second effect. `Retry` repeats it on the
    delivery schedule, `Reject` sets the event aside, `Stop` halts the instance.
    """

    name = "sink"
    accepts: ClassVar[tuple[type[EventData], ...]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for base in getattr(cls, "__orig_bases__", ()):
            for argument in get_args(base):
                if isinstance(argument, type) and issubclass(argument, ConnectorConfig):
                    cls.config_model = argument

    async def deliver(self, event: Event, key: str) -> Receipt:
        """Apply the event; return only when the other system has confirmed it."""
        raise NotImplementedError
