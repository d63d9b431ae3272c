"""Loads the routes under `routes/`: every module there may define any number of `Route`s, by name or in lists."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from hub.events.problem import Misconfigured, Problem
from hub.registry.schemas import Registry
from hub.routes.compiler import CompiledRoute, RouteError, compile_route
from hub.routes.declaration import Route, all_made


@dataclass(frozen=True, slots=True)
class Place:
    """Where a route is declared: its module, and the module's name for it, or for the list that it is in."""

    path: Path
    variable: str

    @property
    def shown(self) -> str:
        """The file as messages name it."""
        return f"{self.path.parent.name}/{self.path.name}"


def places(folder: Path) -> dict[str, Place]:
    """Where each route of a folder that loads is declared, by the route's name; runs its modules once more."""
    return {
        route.name: Place(path, variable)
        for path in sorted(folder.glob("*.py"))
        for variable, route in _routes_of(path)
    }


def load_routes(folder: Path, registry: Registry) -> list[CompiledRoute]:
    """All routes, compiled. Raises Misconfigured with every problem in every file."""
    problems: list[Problem] = []
    compiled: list[CompiledRoute] = []
    names: dict[str, str] = {}
    for path in sorted(folder.glob("*.py")):
        shown = f"{folder.name}/{path.name}"
        try:
            routes = _routes_of(path)
        except Exception as error:  # noqa: BLE001 - a route's module may raise anything; it is told
            remedy = "Mend the module; `hub check` loads it the same way"
            problems.append(
                Problem(
                    shown, _line_of(error, path), f"does not load: {type(error).__name__}: {error}", remedy
                )
            )
            continue
        for variable, route in routes:
            if not variable:
                message = f"route {route.name} is made here and then let go"
                remedy = "Give it a name of its own, or put it into a list that has one"
                problems.append(Problem(shown, _line_in(path, route), message, remedy))
                continue
            if route.name in names:
                message = f"route {route.name} is declared in {names[route.name]} already"
                problems.append(Problem(shown, 0, message, "Give it another name"))
            names[route.name] = shown
            try:
                compiled.extend(compile_route(route, registry))
            except RouteError as error:
                problems.append(Problem(shown, _line_in(path, route), str(error), "Mend the route"))
    if problems:
        raise Misconfigured(problems)
    return compiled


def _routes_of(path: Path) -> list[tuple[str, Route]]:
    """Every route that a module makes, with its name there or that of its list; without one where it was let go."""
    spec = importlib.util.spec_from_file_location(f"routes.{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ImportError("not a Python module")
    module = importlib.util.module_from_spec(spec)
    with all_made() as made:
        spec.loader.exec_module(module)
    found: dict[int, tuple[str, Route]] = {}  # by identity: one may have two names
    for name, value in vars(module).items():
        for one in value if isinstance(value, list | tuple) else [value]:
            if isinstance(one, Route):
                found.setdefault(id(one), (name, one))
    for one in made:
        found.setdefault(id(one), ("", one))
    return list(found.values())


def _line_of(error: Exception, path: Path) -> int:
    if isinstance(error, SyntaxError):
        return error.lineno or 0
    trace = error.__traceback__
    line = 0
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _line_in(path: Path, route: Route) -> int:
    for number, text in enumerate(path.read_text().splitlines(), 1):
        if f'"{route.name}"' in text:
            return number
    return 0
