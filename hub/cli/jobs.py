"""Background jobs as commands follow them."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from hub.cli.client import Client

Rate = Annotated[float, typer.Option(min=0.01, max=1_000, help="Records per second at most.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Follow it until it is over.")]

_OVER = ("done", "cancelled")
_TOLD_EVERY_S = 2.0


def follow(client: Client, job: dict[str, Any], *, quiet: bool = False) -> dict[str, Any]:
    """Wait for a job, saying now and then how far it is. Ctrl-C leaves it running."""
    told = 0.0
    try:
        while job["status"] not in _OVER:
            if not quiet and time.monotonic() - told > _TOLD_EVERY_S and told:
                typer.echo(f"{job['done']} of {job['total']} …")
            told = told if time.monotonic() - told <= _TOLD_EVERY_S else time.monotonic()
            time.sleep(0.2)
            job = client.get(f"/v1/jobs/{job['id']}")
    except KeyboardInterrupt:
        typer.echo(f"\njob {job['id']} goes on; `hub failures cancel {job['id']}` stops it")
        return job
    if not quiet:
        typer.echo(f"{job['status']}: {summary(job)}")
    return job


def summary(job: dict[str, Any]) -> str:
    """What came of a job, in one line."""
    verb = {"redrive": "sent again", "archive": "archived", "replay": "replayed"}[job["kind"]]
    told = [f"{job['sent']} {verb}"]
    if job["released"]:
        told.append(f"{job['released']} of them waited behind those asked for")
    told += [
        f"{job[name]} {text}"
        for name, text in (
            ("repeated", "had been done before"),
            ("gone", "are past their retention"),
            ("refused", "were refused"),
        )
        if job[name]
    ]
    return ", ".join(told) + (f" ({job['note']})" if job["note"] else "")
