"""Runs golden cases through the real engine, with the contracts' own codec before and behind it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hub.events.envelope import Envelope, Event
from hub.events.ids import derive, traceparent
from hub.events.problem import Problem
from hub.registry.codec import CodecError
from hub.registry.schemas import Registry
from hub.routes.case_files import SUFFIX, Case, read_cases
from hub.routes.compiler import CompiledRoute
from hub.routes.engine import Engine
from hub.routes.judging import Came, Finding, judged
from hub.routes.loader import Place
from hub.routes.values import through


@dataclass(frozen=True, slots=True)
class Result:
    """One case and what came of it. `came` is None where the case itself could not be run."""

    case: Case
    came: Came | None
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """All results, what is wrong with the files of cases, and the routes that have no case."""

    results: tuple[Result, ...]
    problems: tuple[Problem, ...]
    missing: tuple[Problem, ...]


class _Unusable(Exception):
    def __init__(self, reason: str, remedy: str, *inner: str) -> None:
        super().__init__(reason)
        self.finding = (reason, remedy, *inner)


class Golden:
    """The routes of a folder, ready to be tried."""

    def __init__(
        self,
        routes: Sequence[CompiledRoute],
        where: Mapping[str, Place],
        registry: Registry,
        parties: Iterable[str],
    ) -> None:
        self._routes: dict[str, list[CompiledRoute]] = {}
        for one in routes:
            self._routes.setdefault(one.route.name, []).append(one)
        self._where = where
        self._registry = registry
        self._parties = tuple(parties)

    def check(self, folder: Path, only: str = "") -> Report:
        """Read all cases under `folder`, run those of one route or of all, and tell what is wrong."""
        cases, problems = read_cases(folder)
        by_route: dict[str, list[Case]] = {}
        for case in cases:
            if fault := self._misplaced(case):
                problems.append(fault)
            elif only in ("", case.route):
                by_route.setdefault(case.route, []).append(case)
        results = [result for route in by_route for result in self._run(route, by_route[route])]
        missing = [name for name in self._routes if name not in by_route and only in ("", name)]
        unread = {problem.file for problem in problems}
        problems_missing = [fault for name in missing if (fault := self._missing(name)).file not in unread]
        return Report(tuple(results), tuple(problems), tuple(problems_missing))

    def events(self, folder: Path) -> list[Event]:
        """What the cases under `folder` give, those that cannot be run left out."""
        found = []
        for case in read_cases(folder)[0]:
            with suppress(_Unusable):
                if case.route in self._routes:
                    found.append(self._event(case))
        return found

    def _missing(self, route: str) -> Problem:
        path = self._where[route].path
        file = f"{path.parent.name}/{path.stem}{SUFFIX}"
        return Problem(
            file, 0, f"route {route} has no case", "Write one there, or allow it with --allow-missing"
        )

    def _misplaced(self, case: Case) -> Problem | None:
        if case.route not in self._routes:
            near = _nearest(case.route, self._routes)
            return case.file.problem(f"there is no route {case.route}{near}", case.route)
        home = self._where[case.route].path
        if home.name == case.file.module.name:
            return None
        remedy = f"Move its cases to {home.stem}.cases.yaml"
        return case.file.problem(f"route {case.route} is declared in {home.name}", case.route, remedy=remedy)

    def _run(self, route: str, cases: Sequence[Case]) -> Iterable[Result]:
        """All cases of a route in one batch, as they would come."""
        results: dict[int, Result] = {}
        ready: list[int] = []
        events: list[Event] = []
        for index, case in enumerate(cases):
            try:
                events.append(self._event(case))
                ready.append(index)
            except _Unusable as error:
                results[index] = Result(case, None, (Finding(case.problem(*error.finding)),))
        routed, refused = Engine(self._routes[route], self._parties, self._registry).run_events(events)
        for row, index in enumerate(ready):
            reasons = [one.reason for one in refused if one.row == row]
            outputs = tuple(one.event for one in routed if one.row == row)
            came = Came(events[row], outputs, "; ".join(reasons))
            results[index] = Result(cases[index], came, tuple(judged(cases[index], came, self._registry)))
        return [results[index] for index in sorted(results)]

    def _event(self, case: Case) -> Event:
        """The event that a case gives, once through the codec. Raises _Unusable."""
        given = case.given
        taken = {one.input.type: one.input for one in self._routes[case.route]}
        type = given.type or (next(iter(taken)) if len(taken) == 1 else "")
        if type not in taken:
            reason = (
                f"the route does not take {type}{_nearest(type, taken)}" if type else "`type` is not given"
            )
            raise _Unusable(reason, f"It takes {', '.join(taken)}", "given", "type")
        for name in ("subject", "party", "time"):
            if not getattr(given, name):
                raise _Unusable(
                    f"`{name}` is not given", "Give it, in the case or in a file that it is `like`", "given"
                )
        assert given.time is not None
        try:
            data = through(taken[type], self._registry, given.data)
        except CodecError as error:
            inner = ("given", "data", *error.field.split("."))
            raise _Unusable(
                f"given.data is no {type}: {error}", "Give what its contract takes", *inner
            ) from None
        id = derive("case", case.route, case.name)
        envelope = Envelope(
            id=id,
            source=given.source,
            type=type,
            subject=given.subject,
            time=given.time,
            party=given.party,
            correlation_id="case",
            causation_id="case",
            traceparent=traceparent("case", id),
        )
        return Event(envelope, data)


def _nearest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""
