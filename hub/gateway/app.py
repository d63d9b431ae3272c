"""The gateway: an ASGI app for webhooks, the API, the registry's read endpoints, and health."""

from __future__ import annotations

import asyncio

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from hub.gateway import failures, instances, jobs, replays
from hub.gateway.api import router
from hub.gateway.metrics import HealthMetrics, JournalMetrics
from hub.gateway.operators import OperatorsOnly
from hub.gateway.problems import problem
from hub.gateway.state import Gateway
from hub.gateway.webhooks import PREFIX, Webhooks
from hub.journal.database import JournalError
from hub.registry.asgi import routes as registry_routes
from hub.stream.ingest import KafkaAway


def make_gateway(state: Gateway) -> ASGIApp:
    """The app over its parts."""
    webhooks = Webhooks(
        state.loaded.fleet, state.ingest, state.oversight.conditions, state.config.gateway, state.health.room
    )
    others = _others(state)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(PREFIX):
            await webhooks(scope, receive, send)
        else:
            await others(scope, receive, send)

    return app


def _others(state: Gateway) -> Starlette:
    registries = JournalMetrics(state.journal), HealthMetrics(state.health)

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok")

    async def readyz(_: Request) -> Response:
        found = state.health.summary()
        if found["ready"]:
            return JSONResponse(found)
        return JSONResponse(found, 503, {"retry-after": "5"})

    async def show_metrics(_: Request) -> Response:
        body = await asyncio.to_thread(
            lambda: generate_latest() + b"".join(generate_latest(one) for one in registries)
        )
        return Response(body, media_type=CONTENT_TYPE_LATEST)

    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", show_metrics),
            *registry_routes(state.loaded.registry),
            Mount("/", _api(state)),
        ]
    )


def _api(state: Gateway) -> FastAPI:
    app = FastAPI(title="Integration hub", version="1", docs_url="/docs", redoc_url=None)
    app.state.gateway = state
    app.add_middleware(OperatorsOnly, token=state.operator_token)
    for one in (router, instances.router, failures.router, jobs.router, replays.router):
        app.include_router(one, dependencies=[Depends(_known)])
    app.add_exception_handler(HTTPException, _http_problem)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(JournalError, _no_journal)
    app.add_exception_handler(KafkaAway, _no_kafka)
    return app


async def _known(request: Request) -> None:
    """What is not known yet must not be told as if it were not there. How the hub is can be told at any time."""
    if request.url.path != "/v1/status" and not request.app.state.gateway.health.known():
        told = "The hub's topics are not read yet; if this stays, Kafka is away."
        raise HTTPException(503, told, {"retry-after": "1"})


async def _http_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, "Refused", str(error.detail), error.headers)


async def _no_journal(_: Request, error: Exception) -> Response:
    return problem(503, "Not now", str(error), {"retry-after": "5"})


async def _no_kafka(_: Request, error: Exception) -> Response:
    return problem(503, "Refused", str(error), {"retry-after": "5"})


async def _invalid_request(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    told = "; ".join(
        f"{'.'.join(map(str, fault['loc'][1:]))}: {fault['msg']}" for fault in error.errors()[:3]
    )
    return problem(422, "Not understood", told)
