"""Everything that configuration and contracts amount to, loaded and checked at once: whole or not at all."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from hub.config import Settings, load
from hub.events.problem import Misconfigured, Problem
from hub.registry.schemas import Registry
from hub.routes.compiler import CompiledRoute
from hub.routes.engine import Engine
from hub.routes.loader import load_routes
from hub.sdk.catalogue import ConnectorKind, discover
from hub.sdk.connector import Connector, Instance, reject_from
from hub.sdk.fleet import Fleet, Member
from hub.sdk.listener import ListenerSettings, ListenerSource
from hub.sdk.polling import SearchSource

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Loaded:
    """The hub as configured."""

    settings: Settings
    registry: Registry
    kinds: dict[str, ConnectorKind]
    fleet: Fleet
    routes: list[CompiledRoute]

    @property
    def engine(self) -> Engine:
        """The routing engine over all routes and parties."""
        return Engine(self.routes, self.settings.config.parties, self.registry)

    @property
    def domains(self) -> list[str]:
        """The domains that have contracts."""
        return sorted({event_type.partition(".")[0] for event_type in self.registry.types()})


def load_hub(path: Path) -> Loaded:
    """Load `hub.yaml` and what lies beside it. Raises Misconfigured with every problem found."""
    settings = load(path)
    problems: list[Problem] = []
    registry = _attempt(problems, lambda: Registry.load(settings.root / "schemas"), "schemas")
    kinds = _attempt(problems, lambda: discover(_folder(settings, "connectors")), "connectors")
    fleet = Fleet({}) if kinds is None else _fleet(settings, kinds, problems)
    routes: list[CompiledRoute] | None = None
    if registry is not None:
        routes = _attempt(problems, lambda: load_routes(_folder(settings, "routes"), registry), "routes")
    if problems or registry is None or kinds is None or routes is None:
        raise Misconfigured(problems)
    return Loaded(settings, registry, kinds, fleet, routes)


def _folder(settings: Settings, name: str) -> Path:
    """A folder beside `hub.yaml`. Raises Misconfigured where there is none: it would be taken for an empty one."""
    folder = settings.root / name
    if not folder.is_dir():
        message = f"there is no such folder beside {settings.path.name}"
        raise Misconfigured([Problem(f"{name}/", 0, message, "Make it, or name another file with --config")])
    return folder


def _attempt(problems: list[Problem], load_part: Callable[[], T], name: str) -> T | None:
    try:
        return load_part()
    except Misconfigured as error:
        problems.extend(error.problems)
    except ValueError as error:
        problems.append(Problem(name, 0, str(error), "Mend it; `hub check` says when it is well"))
    return None


def _fleet(settings: Settings, kinds: dict[str, ConnectorKind], problems: list[Problem]) -> Fleet:
    members: dict[str, Member] = {}
    for name, configured in settings.config.instances.items():
        place = ("instances", name)
        kind = kinds.get(configured.connector)
        if kind is None:
            remedy = f"Known are: {', '.join(kinds) or 'none'}"
            problems.append(
                settings.problem(f"no connector named {configured.connector}", remedy, *place, "connector")
            )
            continue
        instance = Instance(name, configured.connector, configured.party, configured.poll_every_s)
        try:
            members[name] = Member(instance, _connectors(instance, kind, configured.config, settings.root))
        except ValidationError as error:
            reject = reject_from(error)
            problems.append(
                settings.problem(
                    f"instance {name}: {reject.reason}", "Mend its config", *place, "config", reject.field
                )
            )
        except ValueError as error:
            field = str(error).partition(":")[0]
            remedy = "Set it, or point to another"
            problems.append(settings.problem(f"instance {name}: {error}", remedy, *place, "config", field))
        else:
            problems.extend(_searches_too_far(settings, members[name]))
    problems.extend(_share_a_port(settings, members.values()))
    return Fleet(members)


def _share_a_port(settings: Settings, members: Iterable[Member]) -> Iterator[Problem]:
    """Listeners let the next gateway listen beside them: the system would deal connections among those of one port."""
    taken: dict[tuple[str, int], str] = {}
    for member in members:
        name = member.instance.name
        for config in (one.config for one in member.sources if isinstance(one, ListenerSource)):
            if not isinstance(config, ListenerSettings) or not config.listen_port:
                continue
            place = (config.listen_host, config.listen_port)
            if place in taken:
                message = f"listen_port: {config.listen_port} is that of instance {taken[place]}"
                yield settings.problem(
                    f"instance {name}: {message}",
                    "Give each a port of its own",
                    *("instances", name, "config", "listen_port"),
                )
            taken.setdefault(place, name)


def _searches_too_far(settings: Settings, member: Member) -> Iterator[Problem]:
    """A new worker searches again all that there is an overlap for: what is older than the window would be new."""
    name, window = member.instance.name, settings.config.dedup_window_days
    for search in member.pollers:
        if not isinstance(search, SearchSource):
            continue
        enough = math.ceil(search.overlap / timedelta(days=1)) + 1  # a day in which the hub may be away
        if enough > window:
            setting = search.overlap_setting or f"the overlap of {search.name}"
            hours = search.overlap / timedelta(hours=1)
            yield settings.problem(
                f"instance {name}: {setting}: reaches back {hours:g} hours; repeats are recognised for {window} days",
                f"Shorten it, or raise `dedup_window_days` to {enough}",
                *("instances", name, "config", search.overlap_setting),
            )


def _connectors(
    instance: Instance, kind: ConnectorKind, values: dict[str, object], root: Path
) -> tuple[Connector[object], ...]:  # type: ignore[type-var]
    made = []
    configs = {}
    for cls in kind.classes:
        if cls.config_model not in configs:
            configs[cls.config_model] = cls.config_model.load(instance.name, values, root)
        made.append(cls(instance, configs[cls.config_model]))
    return tuple(made)
