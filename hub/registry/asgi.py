"""The registry's read API as Starlette routes, for the gateway to mount. The only module here with I/O."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hub.registry import api
from hub.registry.schemas import Registry

Handler = Callable[[Request], Awaitable[Response]]
_JUDGE = "/compatibility/subjects/{subject}/versions"


def routes(registry: Registry) -> list[Route]:
    """Every path of the API, read or refused; paths start at the registry's root."""
    get = partial(_get, registry)
    # Anybody may ask for a judgement, and it costs more than all else: one at a time.
    judge = partial(_compatible, registry, asyncio.Semaphore(1))
    one, of_one = "/subjects/{subject}/versions/{number}", "/schemas/ids/{id}"
    return [
        _fixed("/", (200, {})),
        _fixed("/schemas/types", api.types()),
        _fixed("/config", api.config()),
        _fixed("/mode", api.mode()),
        get(of_one, api.schema_by_id),
        get(f"{of_one}/schema", api.schema_text_by_id),
        get(f"{of_one}/subjects", api.subjects_by_id),
        get(f"{of_one}/versions", api.versions_by_id),
        Route("/subjects", partial(_subjects, registry), methods=["GET"]),
        get("/subjects/{subject}/versions", api.versions),
        get(one, api.version),
        get(f"{one}/schema", api.version_text),
        get(f"{one}/referencedby", api.referenced_by),
        Route("/subjects/{subject}", partial(_look_up, registry), methods=["POST"]),
        Route(_JUDGE, judge, methods=["POST"]),
        Route(_JUDGE + "/{number}", judge, methods=["POST"]),
        Route("/config/{subject}", partial(_setting, registry, api.subject_config), methods=["GET"]),
        Route("/mode/{subject}", partial(_setting, registry, api.subject_mode), methods=["GET"]),
        *_refused(),
    ]


def _get(registry: Registry, path: str, endpoint: Callable[..., api.Answer]) -> Route:
    async def handle(request: Request) -> Response:
        return _response(endpoint(registry, *request.path_params.values()))

    return Route(path, handle, methods=["GET"])


def _fixed(path: str, answer: api.Answer) -> Route:
    async def handle(_: Request) -> Response:
        return _response(answer)

    return Route(path, handle, methods=["GET"])


def _refused() -> list[Route]:
    async def handle(_: Request) -> Response:
        return _response(api.read_only())

    return [
        Route("/subjects/{subject}/versions", handle, methods=["POST"]),
        Route("/subjects/{subject}/versions/{number}", handle, methods=["DELETE"]),
        Route("/subjects/{subject}", handle, methods=["DELETE"]),
        *(
            Route(path, handle, methods=["PUT", "DELETE"])
            for path in ("/config", "/config/{subject}", "/mode", "/mode/{subject}")
        ),
    ]


async def _subjects(registry: Registry, request: Request) -> Response:
    return _response(api.subjects(registry, request.query_params.get("subjectPrefix", "")))


async def _look_up(registry: Registry, request: Request) -> Response:
    body = await _body(request)
    if body is None:
        return _response(api.too_large())
    return _response(api.look_up(registry, request.path_params["subject"], body))


async def _compatible(registry: Registry, turn: asyncio.Semaphore, request: Request) -> Response:
    body = await _body(request)
    if body is None:
        return _response(api.too_large())
    subject, number = request.path_params["subject"], request.path_params.get("number", "")
    judge = partial(api.compatible, registry, subject, number, body, _flag(request, "verbose"))
    async with turn:
        return _response(await run_in_threadpool(judge))


async def _setting(registry: Registry, endpoint: Callable[..., api.Answer], request: Request) -> Response:
    return _response(endpoint(registry, request.path_params["subject"], _flag(request, "defaultToGlobal")))


async def _body(request: Request) -> bytes | None:
    """The body, or none when it is over the limit; no more than the limit is ever held."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > api.MAX_BODY:
            return None
    return bytes(body)


def _flag(request: Request, name: str) -> bool:
    return request.query_params.get(name, "").lower() == "true"


def _response(answer: api.Answer) -> Response:
    status, value = answer
    content: Any = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Response(content, status, media_type=api.MEDIA_TYPE)
