"""The commands' way to a running hub: its address and token are in the data directory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer

OPERATOR_TOKEN = "operator.token"  # noqa: S105 - a file's name
RUNNING = "hub.json"


class Client:
    """Calls the gateway's API; a failure is told in one line and ends the command with status 1."""

    def __init__(self, data_dir: Path) -> None:
        import httpx2

        try:
            running = json.loads((data_dir / RUNNING).read_text())
            token = (data_dir / OPERATOR_TOKEN).read_text().strip()
        except FileNotFoundError:
            fail(f"no hub runs on {data_dir}. Start one with `hub up`, or name another with --data-dir")
        self.gateway: str = running["gateway"]
        self._errors = httpx2.TransportError
        self._http = httpx2.Client(
            base_url=self.gateway, headers={"authorization": f"Bearer {token}"}, timeout=30
        )

    def get(self, path: str, **params: Any) -> Any:
        """GET; the decoded answer."""
        return self.call("GET", path, params={k: v for k, v in params.items() if v not in ("", None)})

    def post(self, path: str, body: Any) -> Any:
        """POST a JSON body; the decoded answer."""
        return self.call("POST", path, json=body)

    def delete(self, path: str) -> None:
        """DELETE."""
        self.call("DELETE", path)

    def call(self, method: str, path: str, *, missing_is_none: bool = False, **options: Any) -> Any:
        """Any request. Ends the command when the gateway refuses or does not answer."""
        try:
            response = self._http.request(method, path, **options)
        except self._errors as error:
            fail(f"the hub at {self.gateway} does not answer ({type(error).__name__}). Is `hub up` running?")
        if response.is_success:
            return response.json() if response.content else None
        if response.status_code == 404 and missing_is_none:
            return None
        try:
            detail = response.json()["detail"]
        except (ValueError, KeyError, TypeError):
            detail = f"the hub answered {response.status_code}"
        return fail(str(detail))


def fail(message: str) -> Any:
    """Say what is wrong and end with status 1."""
    typer.echo(f"hub: {message}", err=True)
    raise typer.Exit(1)


def show(value: Any) -> None:
    """Print as JSON."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))
