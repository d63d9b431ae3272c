"""`hub status`: the hub at a glance, what is ill first."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from time import time
from typing import Any

import typer

from hub.cli.client import Client, show
from hub.cli.options import DATA_DIR, DataDir, Json
from hub.cli.tables import table

_NEXT = {
    "halted": "mend what it says, then `hub connector resume <instance>`",
    "behind": "add workers, or look into the one that is slow: `hub status --json`",
    "dead": "`hub failures list`",
    "silent": "see its log; `hub up` starts it again by itself",
    "unheld": "`hub restart`",
    "none": "start workers: `hub up`",
    "away": "see to it; the hub goes on by itself when it is back",
    "waits": "see to what it waits for; it goes on by itself",
    "overloaded": "ask the sender to slow down, or raise gateway.max_in_flight",
}


def status(data_dir: DataDir = DATA_DIR, as_json: Json = False) -> None:
    """What is ill, how far behind each stage is, what passed, what failed, what waits."""
    client = Client(data_dir)
    found = client.get("/v1/status")
    if as_json:
        show(found)
        return
    typer.echo(
        f"{found['status']}; gateway {client.gateway}, Kafka {found['kafka']},"
        f" {found['instances']} connector instances, {found['subscriptions']} active subscriptions"
    )
    if found["ill"]:
        table(
            ["ILL", "how", "", "next"],
            [[_whose(one), one["kind"], one["told"], _next(one)] for one in found["ill"]],
        )
    table(
        ["stage", "records behind", "for", "trend /s", "batches in hand", "last commit"],
        [_stage(name, stage) for name, stage in found["stages"].items()],
        empty="no worker is heard",
    )
    table(
        ["worker", "state", "up", "partitions", "dealt anew /min", "restarts by its watchdog"],
        [_worker(worker) for worker in found["workers"]],
    )
    table(
        ["poller", "last good", "next", "last error"],
        [row for worker in found["workers"] for row in _pollers(worker.get("pollers", {}))],
        empty="nothing is polled",
    )
    _counts(found["counts"])


def _counts(counts: dict[str, Any] | None) -> None:
    if counts is None:
        return
    table(["event steps", ""], list(counts["outcomes"].items()), empty="no event yet")
    typer.echo(f"{counts['open_failures']} open failures, {counts['pending_deliveries']} deliveries waiting")
    if counts["open_failures"]:
        typer.echo(f"Next: {_NEXT['dead']}")


def _whose(one: dict[str, Any]) -> str:
    return " ".join(part for part in (one["worker"], one["part"]) if part)


def _next(one: dict[str, Any]) -> str:
    return "it restarts by itself" if one.get("cure") else _NEXT.get(one["kind"], "look again: `hub status`")


def _stage(name: str, stage: dict[str, Any]) -> list[str]:
    lag = stage.get("lag", 0)
    committed = stage.get("committed_ago")
    return [
        name,
        f"{lag:,}",
        _span(stage.get("lag_s", 0)) if lag else "-",
        f"{stage.get('trend', 0):+.0f}" if lag else "-",
        str(stage.get("waiting", 0)),
        "-" if committed is None else f"{_span(committed)} ago",
    ]


def _worker(worker: dict[str, Any]) -> list[str]:
    silent = worker["heard_ago"] > 4
    restarts = worker.get("restarts", [])
    last = restarts[-1] if restarts else None
    return [
        worker["worker"],
        f"silent for {_span(worker['heard_ago'])}" if silent else worker.get("state", "running"),
        _span(time() - worker["started"]),
        " ".join(map(str, worker.get("partitions", []))) or "-",
        str(worker.get("rebalances", 0)),
        f"{len(restarts)}, last {_span(time() - last['at'])} ago: {last['part']} {last['kind']}"
        if last
        else "-",
    ]


def _pollers(pollers: dict[str, Any]) -> Iterator[list[str]]:
    for name, poller in sorted(pollers.items()):
        good, following = poller.get("good_at"), poller.get("next_at")
        due = "halted" if poller.get("halted") else _span(max(0, following - time())) if following else "now"
        yield [name, f"{_span(time() - good)} ago" if good else "never", due, poller.get("error") or "-"]


def _span(seconds: float) -> str:
    """A length of time as people say it."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return str(timedelta(seconds=round(seconds)))
