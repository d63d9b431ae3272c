"""Subscriptions by the API, while the gateway's own view of them is late."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from threading import Event
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from hub.delivery.subscription import Subscription
from hub.gateway.api import router
from hub.gateway.state import Gateway
from hub.loading import load_hub
from hub.stream import topics
from hub.stream.following import Following
from hub.stream.ingest import Ingest
from hub.stream.reading import read_all
from hub.stream.subscriptions import Subscriptions
from hub.testing.live import write_config
from tests.stream.at_work import make_topics

ASKED = {"party": "E08000025", "url": "http://127.0.0.1:1/"}


class Late(Subscriptions):
    """Sees each change a moment after it was made."""

    def change(self, key: str, value: bytes | None) -> None:
        Event().wait(0.3)
        super().change(key, value)


@pytest.fixture
def view() -> Subscriptions:
    return Late()


@pytest.fixture
async def api(
    kafka: str, view: Subscriptions, tmp_path: Path, root: Path
) -> AsyncIterator[httpx2.AsyncClient]:
    make_topics(kafka, **{topics.SUBSCRIPTIONS: 1})
    ingest = Ingest(kafka)
    parts: dict[str, Any] = dict.fromkeys(part.name for part in fields(Gateway))
    parts |= {"loaded": load_hub(write_config(tmp_path, root)), "ingest": ingest, "subscriptions": view}
    app = FastAPI()
    app.state.gateway = Gateway(**{**parts, "master_key": b"made up" * 5})
    app.include_router(router)
    async with httpx2.AsyncClient(
        base_url="http://hub/v1", transport=httpx2.ASGITransport(app), timeout=30
    ) as client:
        yield client
    ingest.close()


@pytest.mark.parametrize("view", [Subscriptions()], ids=["which sees nothing"])
async def test_who_made_a_subscription_hears_its_secret_though_it_is_not_seen_in_time(
    kafka: str, api: httpx2.AsyncClient
) -> None:
    answer = await api.post("/subscriptions", json=ASKED)
    assert answer.status_code == 201
    assert answer.json()["secret"].startswith("whsec_")
    written = [Subscription.from_bytes(one.value()) for one in read_all(kafka, topics.SUBSCRIPTIONS, 0)]
    assert answer.json()["id"] in {one.id for one in written}


async def test_each_rotation_gives_another_secret(
    kafka: str, view: Subscriptions, api: httpx2.AsyncClient
) -> None:
    with closing(Following(kafka, view)):
        made = (await api.post("/subscriptions", json=ASKED)).json()
        told = [(await api.post(f"/subscriptions/{made['id']}/rotate")).json()["secret"] for _ in range(2)]
    assert len({made["secret"], *told}) == 3
