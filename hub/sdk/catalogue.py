"""Discovery: every folder under `connectors/` is a connector; `connector.py` has its sources and sinks."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from hub.sdk.connector import Connector, Source
from hub.sdk.simulator import Simulator
from hub.sdk.sink import Sink


@dataclass(frozen=True, slots=True)
class ConnectorKind:
    """One connector folder: its name and the classes that it defines."""

    name: str
    doc: str
    classes: tuple[type[Connector[Any]], ...]

    @property
    def sources(self) -> tuple[type[Source[Any, Any]], ...]:
        """Its sources, in the order of the file."""
        return tuple(cls for cls in self.classes if issubclass(cls, Source))

    @property
    def sinks(self) -> tuple[type[Sink[Any]], ...]:
        """Its sinks."""
        return tuple(cls for cls in self.classes if issubclass(cls, Sink))


def discover(folder: Path) -> dict[str, ConnectorKind]:
    """All connectors under `folder` by name. Raises ValueError naming the file of one that does not load."""
    found = {}
    for path in sorted(folder.glob("*/connector.py")):
        module = _load(path)
        classes = tuple(
            cls
            for cls in vars(module).values()
            if inspect.isclass(cls) and issubclass(cls, Connector) and cls.__module__ == module.__name__
            if hasattr(cls, "emits") or hasattr(cls, "accepts")  # others are bases of those
        )
        if not classes:
            raise ValueError(f"{path}: defines no source and no sink")
        name = path.parent.name
        found[name] = ConnectorKind(name, inspect.getdoc(module) or "", classes)
    return found


def simulator_of(folder: Path, name: str) -> type[Simulator]:
    """The one simulator that `simulator.py` of a connector defines. Raises ValueError where that is not so."""
    path = folder / name / "simulator.py"
    if not path.is_file():
        raise ValueError(f"{path}: there is no simulator")
    defined = [
        cls
        for cls in vars(_load(path)).values()
        if inspect.isclass(cls)
        and issubclass(cls, Simulator)
        and cls.__module__.startswith(f"connectors.{name}.")
    ]
    whole = [cls for cls in defined if not any(cls in other.__mro__[1:] for other in defined)]
    if len(whole) != 1:
        raise ValueError(f"{path}: defines {len(whole)} simulators, where one is to stand for the system")
    return whole[0]


def _load(path: Path) -> ModuleType:
    """Import as `connectors.<name>.<module>`, wherever the folder lies, so that its siblings import too."""
    folder, name = path.parent.parent, f"connectors.{path.parent.name}"
    try:
        packages = _package(folder).__path__
        if str(folder) not in packages:
            packages.insert(0, str(folder))
        loaded = sys.modules.get(name)
        if loaded is not None and str(path.parent) not in loaded.__path__:
            for other in [each for each in sys.modules if each == name or each.startswith(name + ".")]:
                del sys.modules[other]  # of the same name in another folder
        return importlib.import_module(f"{name}.{path.stem}")
    except Exception as error:
        raise ValueError(f"{path}: does not load: {type(error).__name__}: {error}") from error


def _package(folder: Path) -> ModuleType:
    try:
        return importlib.import_module("connectors")
    except ImportError:
        sys.path.insert(0, str(folder.parent))
        return importlib.import_module("connectors")
