"""The commands' way to a running hub, and how they end when there is none."""

from __future__ import annotations

import json
from typing import Any, NoReturn

import typer

from hub.gateway import client
from hub.gateway.client import OPERATOR_TOKEN, RUNNING

__all__ = ["OPERATOR_TOKEN", "RUNNING", "Client", "fail", "show"]


class Client(client.Client):
    """A failure is told in one line and ends the command with status 1."""

    def fail(self, message: str) -> NoReturn:
        """Tell it and end."""
        fail(message)


def fail(message: str) -> NoReturn:
    """Say what is wrong and end with status 1."""
    typer.echo(f"hub: {message}", err=True)
    raise typer.Exit(1)


def show(value: Any) -> None:
    """Print as JSON."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))
