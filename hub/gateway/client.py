"""A client of the gateway's API, for whoever shares the hub's data directory: the commands, and tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

OPERATOR_TOKEN = "operator.token"  # noqa: S105 - a file's name
RUNNING = "hub.json"


class ClientError(Exception):
    """The hub refused, or does not answer; the message is one line for a person."""


class Client:
    """Finds the gateway by `hub.json` and calls its API with the operator's token. Raises ClientError."""

    def __init__(self, data_dir: Path) -> None:
        import httpx2

        try:
            running = json.loads((data_dir / RUNNING).read_text())
            token = (data_dir / OPERATOR_TOKEN).read_text().strip()
        except FileNotFoundError:
            self.fail(f"no hub runs on {data_dir}. Start one with `hub up`, or name another with --data-dir")
        except OSError as error:
            self.fail(f"{error.filename} cannot be read ({error.strerror}). Is it another user's hub?")
        self.gateway: str = running["gateway"]
        self._errors = httpx2.TransportError
        self._http = httpx2.Client(
            base_url=self.gateway,
            headers={"authorization": f"Bearer {token}"},
            timeout=30,
            trust_env=False,  # the token is for the hub, and for no proxy
        )

    def fail(self, message: str) -> NoReturn:
        """What a failure leads to."""
        raise ClientError(message)

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
        """Any request; the decoded answer, None where there is none."""
        try:
            response = self._http.request(method, path, **options)
        except self._errors as error:
            name = type(error).__name__
            self.fail(f"the hub at {self.gateway} does not answer ({name}). Is `hub up` running?")
        if not response.is_success and not (missing_is_none and response.status_code == 404):
            self.fail(_detail(response))
        return response.json() if response.is_success and response.content else None


def _detail(response: Any) -> str:
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"the hub answered {response.status_code}"
