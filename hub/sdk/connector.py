"""What all connectors share: a name, a configuration, the events they emit, how raw records translate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from hub.events.model import EventData
from hub.sdk.clock import Clock
from hub.sdk.config import ConnectorConfig
from hub.sdk.errors import Reject
from hub.sdk.facts import Fact, source_uri

C = TypeVar("C", bound=ConnectorConfig)
R = TypeVar("R", bound=BaseModel)


class Record(BaseModel):
    """Base for models of what a source sends: unknown fields are tolerated, missing ones are named."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


@dataclass(frozen=True, slots=True)
class Instance:
    """One configured use of a connector: which party's system it speaks to.

    `poll_every_s` is in seconds; None leaves each poller its own interval.
    """

    name: str
    connector: str
    party: str
    poll_every_s: float | None = None

    @property
    def source(self) -> str:
        """The CloudEvents `source` of its events."""
        return source_uri(self.connector, self.name)


class Connector(Generic[C]):
    """Base of sources and sinks. The hub makes one object per instance and class, and keeps it for long.

    `clock` is the time as the connector sees it; tests pass one that they can move.
    """

    name: ClassVar[str]
    config_model: ClassVar[type[ConnectorConfig]]

    def __init__(self, instance: Instance, config: C, clock: Clock | None = None) -> None:
        self.instance = instance
        self.config = config
        self.clock = clock or Clock()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.instance.name}>"

    async def close(self) -> None:
        """Called once when the hub stops; release what was opened."""


class Source(Connector[C], Generic[C, R]):
    """A connector that publishes events.

    `name` tells the sources of one folder apart (`webhook`, `payments`); it is stored with every raw record.
    `emits` lists the event models; anything else is refused. `key_field` is the dotted name, in the raw JSON,
    of the entity: records of one entity stay in order. Where `ordered`, a record that is set aside holds up the
    later ones of its entity until it is redriven or archived; otherwise they pass it by.
    """

    emits: ClassVar[tuple[type[EventData], ...]]
    record_model: ClassVar[type[BaseModel]]
    key_field: ClassVar[str] = ""
    ordered: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for base in getattr(cls, "__orig_bases__", ()):
            for argument in get_args(base):
                if isinstance(argument, type) and issubclass(argument, ConnectorConfig):
                    cls.config_model = argument
                elif isinstance(argument, type) and issubclass(argument, BaseModel):
                    cls.record_model = argument

    def events(self, record: R) -> Iterator[Fact]:
        """The facts that a record tells; pure, no I/O. Called in a worker, any number of times per record.

        Raise `Reject` for a record that can never be understood; any other error is treated as one too, and
        reported with its type alone, since its text might hold personal data.
        """
        raise NotImplementedError

    def parse(self, body: bytes) -> R:
        """The raw bytes as `record_model`. Raises Reject that names the field."""
        try:
            return self.record_model.model_validate_json(body)  # type: ignore[return-value]
        except ValidationError as error:
            raise reject_from(error) from None

    def translate(self, body: bytes) -> list[Fact]:
        """All facts of one raw record, each checked against `emits`. Raises Reject."""
        try:
            facts = list(self.events(self.parse(body)))
        except Reject:
            raise
        except ValidationError as error:
            raise reject_from(error) from None
        except Exception as error:
            kind = type(error).__name__
            raise Reject(f"the mapping of {self.name} failed with {kind}", kind=kind) from error
        for fact in facts:
            if not isinstance(fact.data, self.emits):
                raise Reject(f"{self.name} does not declare {fact.data.type} in its emits")
            if not fact.subject or not fact.key:
                raise Reject(f"{fact.data.type} has no subject or no key", field="subject")
        return facts


def reject_from(error: ValidationError) -> Reject:
    """A pydantic error as a Reject: where and why for up to three faults, never the value."""
    faults = [
        (".".join(str(part) for part in fault["loc"]) or "body", fault["msg"])
        for fault in error.errors(include_input=False, include_url=False, include_context=False)
    ]
    told = "; ".join(f"{where}: {why}" for where, why in faults[:3])
    more = f" (and {len(faults) - 3} more)" if len(faults) > 3 else ""
    return Reject(told + more, field=faults[0][0], kind=error.errors(include_input=False)[0]["type"])
