"""The commands' way to the hub: where they look for it, and what they say when it is not theirs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hub.gateway.client import Client, ClientError
from hub.testing.receiver import Receiver


@pytest.mark.parametrize(
    "command", [("demo",), ("demo", "--once"), ("trigger", "a.b.c"), ("connector", "list"), ("route", "list")]
)
def test_what_is_wrong_with_hub_yaml_is_told_in_a_line_whatever_is_asked(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    missing = tmp_path / "none.yaml"
    options = ["--config", str(missing)]
    if command[0] in ("demo", "trigger"):
        options += ["--data-dir", str(data_dir(tmp_path, "http://127.0.0.1:9"))]
    asked = [sys.executable, "-m", "hub", *command, *options]
    done = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert done.stderr == f"{missing}: does not exist. Name another with --config\n"


def test_a_data_directory_that_one_may_not_read_is_told_in_a_line(tmp_path: Path) -> None:
    (data_dir(tmp_path, "http://127.0.0.1:9") / "operator.token").unlink()
    (tmp_path / "operator.token").mkdir()
    with pytest.raises(ClientError, match=r"operator.token cannot be read \(Is a directory\)"):
        Client(tmp_path)


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
