"""The hub's route stage with many routes and parties loaded: one route serves all parties by a field."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

from benchmarks import work
from benchmarks.peers.meter import options, task_of
from benchmarks.peers.route import run
from hub.registry.schemas import Registry, Schema
from hub.routes import col
from hub.routes.compiler import CompiledRoute, compile_route
from hub.routes.declaration import Route
from hub.routes.engine import Engine
from hub.routes.loader import load_routes


def parties(count: int) -> list[str]:
    """The councils that the events are spread over."""
    return [f"E{10_000_000 + number}" for number in range(count)]


def engine(routes: int, count: int) -> Engine:
    """`routes` of which one takes the events, and as many parties as that."""
    schemas = Registry.load(work.SCHEMAS)
    (job,) = load_routes(work.HERE / "routes", schemas)
    kinds = [f"bench.matter-{number:03}.settled" for number in range(1, routes)]
    registry = Registry([*map(schemas.by_type, schemas.types()), *_copies(job.input, kinds)])
    served = replace(job.route, to=col("council"))
    compiled: list[CompiledRoute] = []
    for kind in (work.INPUT_TYPE, *kinds):
        compiled += compile_route(_taking(served, kind), registry)
    return Engine(compiled, parties(count), registry)


def _copies(schema: Schema, kinds: list[str]) -> list[Schema]:
    """The same contract under other event types, as other ids."""
    text = json.dumps(schema.definition)
    return [
        Schema.of(1000 + at, kind, 1, {**json.loads(text), "namespace": f"uk.hub.bench.m{at}"})
        for at, kind in enumerate(kinds)
    ]


def _taking(route: Route, kind: str) -> Route:
    name = route.name if kind == work.INPUT_TYPE else kind.replace(".", "-")
    return replace(route, name=name, on=(kind,))


if __name__ == "__main__":
    parser = options()
    for name in ("routes", "parties"):
        parser.add_argument(f"--{name}", type=int, required=True)
    given = parser.parse_args()
    asyncio.run(run(task_of(given), engine(given.routes, given.parties)))
