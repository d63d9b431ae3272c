"""`hub.yaml`: parties, connector instances, and the hub's own settings. Faults are told with file and line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from hub.events.problem import Misconfigured, Problem

Slug = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,62}$")]

Place = tuple[str | int, ...]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Party(_Section):
    """An organisation on the hub."""

    name: str = Field(description="The organisation's name, as people know it")


class InstanceConfig(_Section):
    """One use of a connector."""

    connector: str = Field(description="The connector's folder name under connectors/")
    party: Slug = Field(description="Whose system it is: a key of `parties`")
    poll_every_s: float | None = Field(
        None, gt=0, description="Seconds between polls; without it, the connector's own interval"
    )
    config: dict[str, Any] = Field(default_factory=dict, description="The connector's own settings")


class Gateway(_Section):
    """The HTTP side."""

    host: str = Field("127.0.0.1", description="Address to listen on")
    max_body_bytes: int = Field(1 << 20, ge=1024, le=1 << 20, description="Largest webhook body accepted")
    max_in_flight: int = Field(
        2_000, ge=2, description="Webhooks under way at once; no instance may have more than are left free"
    )
    max_held_bytes: int = Field(
        64 << 20,
        ge=4 << 20,
        description="Bytes of bodies held at once; no instance may hold more than are left",
    )
    body_timeout_s: float = Field(10.0, gt=0, description="Time limit for a request to arrive whole, seconds")
    max_connections: int = Field(4_000, ge=10, description="Connections open at once")


class Kafka(_Section):
    """Topics of the hub."""

    partitions: int = Field(4, ge=1, le=256, description="Partitions of every topic; fixed once created")
    replication: int = Field(1, ge=1, le=5, description="Replicas of every topic; 3 on a cluster")
    raw_retention_days: int = Field(30, ge=1, description="How long raw records can be replayed")
    event_retention_days: int = Field(
        30, ge=8, description="How long events and inboxes are kept; deliveries are tried for up to four days"
    )


class Delivery(_Section):
    """How subscribers are served."""

    allow_local: bool = Field(False, description="Accept http:// subscribers on this machine")
    speed: float = Field(1.0, gt=0, description="Divides every wait of the retry schedule; for trials")
    timeout_s: float = Field(
        15.0,
        gt=0,
        le=60,
        description="Time limit of one delivery attempt, seconds; for subscriptions made from then on",
    )


class Journal(_Section):
    """The read model that people search."""

    database: str = Field(
        "",
        pattern=r"^(postgresql://[^:@/\s]+@[^@\s]+/[^@\s]+)?$",
        description="PostgreSQL that all processes of the hub share, as postgresql://hub@db.example/hub; its password"
        " is read from PGPASSWORD or a password file, never from here. Empty: SQLite in the data directory",
    )

    def where(self, data_dir: Path) -> Path | str:
        """Its file, or the address of its database."""
        return self.database or data_dir / "journal.db"


class Watchdog(_Section):
    """From when on a part of the hub is ill."""

    stuck_after_s: float = Field(
        10.0,
        ge=1,
        description="Seconds without progress, though there is work, after which a worker is restarted",
    )
    behind_after_s: float = Field(
        10.0, gt=0, description="Seconds that a stage may be behind the end of its topics before that is told"
    )
    rebalances_per_minute: int = Field(
        6, ge=1, description="How often partitions may be dealt anew before that is told"
    )


class HubConfig(_Section):
    """The whole of `hub.yaml`."""

    parties: dict[Slug, Party] = Field(default_factory=dict)
    instances: dict[Slug, InstanceConfig] = Field(default_factory=dict)
    gateway: Gateway = Gateway()
    kafka: Kafka = Kafka()
    delivery: Delivery = Delivery()
    journal: Journal = Journal()
    watchdog: Watchdog = Watchdog()
    dedup_window_days: int = Field(8, ge=1, le=90, description="How long a repeated fact is recognised")


class Settings:
    """A loaded `hub.yaml` and the folders beside it."""

    def __init__(self, path: Path, config: HubConfig, lines: Mapping[Place, int]) -> None:
        self.path = path
        self.config = config
        self._lines = lines

    @property
    def root(self) -> Path:
        """The folder that holds `hub.yaml`, `connectors/`, `routes/` and `schemas/`."""
        return self.path.parent

    def line(self, *place: str | int) -> int:
        """The line of an entry, or of the nearest entry around it."""
        while place and place not in self._lines:
            place = place[:-1]
        return self._lines.get(place, 0)

    def problem(self, message: str, remedy: str, *place: str | int) -> Problem:
        """A problem in this file at `place`."""
        return Problem(self.path.name, self.line(*place), message, remedy)


def load(path: Path) -> Settings:
    """Read and validate. Raises Misconfigured with every problem found in the file."""
    if not path.is_file():
        raise Misconfigured([Problem(str(path), 0, "does not exist", "Name another with --config")])
    node, values = _parsed(path)
    lines = dict(_lines(node))
    try:
        settings = Settings(path, HubConfig.model_validate(values), lines)
    except ValidationError as error:
        probe = Settings(path, HubConfig(), lines)
        raise Misconfigured(
            [
                probe.problem(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}", "Mend it", *fault["loc"])
                for fault in error.errors(include_input=False, include_url=False)
            ]
        ) from None
    unknown = [
        settings.problem(
            f"instance {name} belongs to party {instance.party}, which is not listed",
            "Add it under `parties`",
            "instances",
            name,
            "party",
        )
        for name, instance in settings.config.instances.items()
        if instance.party not in settings.config.parties
    ]
    if unknown:
        raise Misconfigured(unknown)
    return settings


def _parsed(path: Path) -> tuple[yaml.Node | None, Any]:
    """The document as nodes, which know their lines, and as values. Raises Misconfigured."""

    def unreadable(line: int, what: str) -> Misconfigured:
        return Misconfigured([Problem(path.name, line, what, "Mend it")])

    written = path.read_bytes()
    try:
        text = written.decode()
    except UnicodeDecodeError as error:
        raise unreadable(written.count(b"\n", 0, error.start) + 1, "not UTF-8") from None
    try:
        node, values = yaml.compose(text, Loader=yaml.SafeLoader), yaml.safe_load(text) or {}
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise unreadable(line, f"not YAML: {error.reason}") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise unreadable(line, f"not YAML: {error.problem}") from None
    repeated = [
        Problem(
            path.name,
            again.start_mark.line + 1,
            f"{again.value} is there already, in line {first.start_mark.line + 1}",
            "Join the two, or give one another name: only the last would count",
        )
        for first, again in _repeated(node)
    ]
    if repeated:
        raise Misconfigured(repeated)
    return node, values


def _repeated(node: yaml.Node | None) -> Iterator[tuple[yaml.Node, yaml.Node]]:
    """Each key that its mapping has already, after the first of its name."""
    if isinstance(node, yaml.MappingNode):
        keys: dict[tuple[str, str], yaml.Node] = {}
        for key, value in node.value:
            first = keys.setdefault((key.tag, str(key.value)), key)
            if first is not key:
                yield first, key
            yield from _repeated(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _repeated(value)


def _lines(node: yaml.Node | None, place: Place = ()) -> Iterator[tuple[Place, int]]:
    """The line of every key and item of a YAML document."""
    if node is None:
        return
    yield place, node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*place, str(key.value))
            yield from _lines(value, inner)
            yield inner, key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _lines(value, (*place, index))
