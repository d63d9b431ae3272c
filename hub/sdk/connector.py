"""What all connectors share: a name, a configuration, the events they emit, how raw records translate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Any, ClassVar, Generic, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from hub.events.model import EventData
from hub.sdk.clock import Clock
from hub.sdk.config import ConnectorConfig
from hub.sdk.errors import Reject
from hub.sdk.facts import Fact, source_uri
from hub.sdk.http import Http

C = TypeVar("C", bound=ConnectorConfig)
R = TypeVar("R", bound=BaseModel)

#: What was said beside the bytes of a raw record and is kept with them: chosen HTTP headers, a file's name and
#: line, a message's control headers. Names are lower case. `FAULT` says why a record cannot be read at all.
Attributes = Mapping[str, str]

NO_ATTRIBUTES: Attributes = MappingProxyType({})

#: Attribute of a record that the SDK itself found unreadable, a row with too many fields, say: the reason. Such a
#: record is landed with its bytes and set aside by the translate stage like any other that cannot be read.
FAULT = "fault"


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

    def interval(self, every: timedelta) -> float:
        """Seconds between the rounds of what asks `every` so often, if nothing else is configured."""
        return self.poll_every_s or every.total_seconds()


def _arguments(cls: type) -> Iterator[type[BaseModel]]:
    """The models that a class gives to its bases in square brackets."""
    for base in cls.__dict__.get("__orig_bases__", ()):
        for argument in get_args(base):
            if isinstance(argument, type) and issubclass(argument, BaseModel):
                yield argument


class Connector(Generic[C]):
    """Base of sources and sinks. The hub makes one object per instance and class, and keeps it for long.

    Everything that a connector reaches for is given: `instance` (its name and party), `config` (checked),
    `clock` (time as the connector sees it; tests pass one that they can move), and `http` for those that define
    `open_http`. An object is made in every process that may need it (gateway, workers), so `__init__` must not
    connect to anything.
    """

    name: ClassVar[str]
    kind: ClassVar[str] = ""
    """What kind of source or sink it is, in a word; its base says it."""
    config_model: ClassVar[type[ConnectorConfig]]

    def __init__(self, instance: Instance, config: C, clock: Clock | None = None) -> None:
        self.instance = instance
        self.config = config
        self.clock = clock or Clock()
        self._http: Http | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for argument in _arguments(cls):
            if issubclass(argument, ConnectorConfig):
                cls.config_model = argument

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.instance.name}>"

    @property
    def key(self) -> str:
        """What tells it from all others of the hub, for as long as it is configured: `<instance>/<name>`."""
        return f"{self.instance.name}/{self.name}"

    @property
    def used(self) -> bool:
        """Whether this instance has a use for this class, by its config: a partner speaks one protocol or another.

        Where it says False, nothing is asked, listened for, taken or delivered; records that were landed before
        are still translated.
        """
        return True

    def open_http(self) -> Http:
        """The client for the system's API, with its address, authentication and limits. Called at most once."""
        raise NotImplementedError(f"{type(self).__name__} uses http and does not define open_http")

    @property
    def http(self) -> Http:
        """The client of `open_http`, opened when it is first used and closed with the connector."""
        if self._http is None:
            self._http = self.open_http()
        return self._http

    @property
    def credential_expires(self) -> float:
        """When the credential in use ends, epoch seconds; 0 for never or unknown. Shown to operators."""
        return self._http.credential_expires if self._http is not None else 0.0

    async def close(self) -> None:
        """Called once when the hub stops, on the loop that used it; release what was opened, then call `super`."""
        if self._http is not None:
            await self._http.close()


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
        for argument in _arguments(cls):
            if not issubclass(argument, ConnectorConfig):
                cls.record_model = argument

    def events(self, record: R) -> Iterator[Fact]:
        """The facts that a record tells; pure, no I/O. Called in a worker, any number of times per record.

        Raise `Reject` for a record that can never be understood; any other error is treated as one too, and
        reported with its type alone, since its text might hold personal data.
        """
        raise NotImplementedError

    def parse(self, body: bytes, attributes: Attributes) -> R:
        """The raw bytes as `record_model`: JSON, unless overridden. Pure. Raises Reject that names the field.

        Override it where the bytes are not JSON, or where something of `attributes` belongs in the record.
        """
        try:
            return self.record_model.model_validate_json(body)  # type: ignore[return-value]
        except ValidationError as error:
            raise reject_from(error) from None

    def translate(self, body: bytes, attributes: Attributes = NO_ATTRIBUTES) -> list[Fact]:
        """All facts of one raw record, each checked against `emits`. Raises Reject."""
        if FAULT in attributes:
            raise Reject(attributes[FAULT], field=attributes.get("line", "body"), kind="unreadable")
        try:
            facts = list(self.events(self.parse(body, attributes)))
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
