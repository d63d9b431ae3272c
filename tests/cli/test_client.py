"""The commands' way to the hub: where they look for it, and what they say when it is not theirs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hub.gateway.client import Client
from hub.testing.receiver import Receiver


def data_dir(folder: Path, gateway: str) -> Path:
    (folder / "hub.json").write_text(json.dumps({"gateway": gateway}))
    (folder / "operator.token").write_text("a token")
    return folder


def test_the_operators_token_goes_to_the_hub_alone_whatever_proxy_the_environment_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub, proxy = Receiver(lambda _: 204), Receiver(lambda _: 204)
    with hub.running() as url, proxy.running() as elsewhere:
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, elsewhere.removesuffix("/webhooks"))
        Client(data_dir(tmp_path, url)).post("/v1/subscriptions", {})
    assert [one.headers["authorization"] for one in hub.requests] == ["Bearer a token"]
    assert proxy.requests == []
