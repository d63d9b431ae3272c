"""What `hub failures list` says of what it does not show."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from typer.testing import CliRunner

from hub.cli.main import app
from hub.sdk.serving import in_thread, serving

LETTER = {"at": 0.0, **dict.fromkeys(("stage", "reason", "type", "subject", "party", "id"), "x")}


@pytest.mark.parametrize(("there", "said"), [(100, ""), (101, "hub: these are the newest 100")])
def test_that_there_are_more_of_a_kind_than_it_shows_is_said(tmp_path: Path, there: int, said: str) -> None:
    async def letters(request: Request) -> JSONResponse:
        return JSONResponse({"failures": [LETTER] * min(there, int(request.query_params["limit"]))})

    (tmp_path / "operator.token").write_text("a token")
    with in_thread(lambda: serving(Starlette(routes=[Route("/v1/failures/letters", letters)]))) as gateway:
        (tmp_path / "hub.json").write_text(json.dumps({"gateway": gateway}))
        asked = ["failures", "list", "--group", "kind", "--json", "--data-dir", str(tmp_path)]
        done = CliRunner().invoke(app, asked)
    assert len(json.loads(done.stdout)["failures"]) == 100
    assert done.stderr.startswith(said)
    assert bool(done.stderr) == bool(said)


def test_a_status_that_there_is_not_is_refused(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["failures", "list", "--status", "opne", "--data-dir", str(tmp_path)])
    assert done.exit_code == 2
    assert "opne" in done.stderr
