"""`hub bench`: what the hub can do on a cluster, with the routes that are configured."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.cli.client import fail, show
from hub.cli.options import CONFIG, Config, Json

if TYPE_CHECKING:
    from hub.loading import Loaded

_TIMES = 200  # single records and transactions


def bench(
    kafka: Annotated[
        str, typer.Option(help="Bootstrap servers; one is started here if none are given.")
    ] = "",
    events: Annotated[int, typer.Option(min=1_000, help="How many are routed.")] = 100_000,
    config: Config = CONFIG,
    as_json: Json = False,
) -> None:
    """Measure on a cluster: how long a durable write and a transaction take, and how fast one worker routes.

    The events are those of the routes' golden cases, over and over, by the routes beside --config. All is written to
    two topics of its own, which are deleted at the end; a hub that runs on the cluster is not touched, but will
    notice the load.
    """
    from hub.loading import load_hub
    from hub.routes.golden import Golden
    from hub.routes.loader import places
    from hub.stream.bench import Unmeasurable
    from hub.stream.broker import BrokerError

    loaded = load_hub(config)
    folder = loaded.settings.root / "routes"
    golden = Golden(loaded.routes, places(folder), loaded.registry, loaded.settings.config.parties)
    given = golden.events(folder)
    if not given:
        fail(f"{folder}: no golden case gives an event; write one (`hub route test` says how)")
    try:
        with _cluster(kafka) as servers:
            found = _measured(servers, loaded, given, events)
    except BrokerError as error:
        fail(str(error))
    except Unmeasurable as error:
        fail(f"Kafka: {error}. Is it well, and may we make topics?")
    if as_json:
        show(found)
        return
    for name, times in (("a durable write", found["accept_ms"]), ("a transaction", found["transaction_ms"])):
        typer.echo(f"{name}: {times['p50']:.1f} ms, at the 99th percentile {times['p99']:.1f} ms")
    typer.echo(
        f"one worker routed {found['events']:,} events to {found['outputs']:,} outputs:"
        f" {found['events_per_second']:,.0f} events/s, {found['cpu_seconds_per_million']:.1f} CPU s per million"
    )


@contextmanager
def _cluster(kafka: str) -> Iterator[str]:
    from hub.stream.broker import open_broker

    with tempfile.TemporaryDirectory(prefix="hub-bench-", ignore_cleanup_errors=True) as folder:
        broker = open_broker(kafka or "embedded", Path(folder), say=_say)
        try:
            yield broker.address
        finally:
            broker.stop()


def _measured(servers: str, loaded: Loaded, given: Sequence[Any], count: int) -> dict[str, Any]:
    from hub.stream.bench import bench as opened

    kafka = loaded.settings.config.kafka
    with opened(servers, kafka.partitions, kafka.replication) as here:
        _say("measuring single writes and transactions")
        accepts = asyncio.run(here.accepts(_TIMES))
        transactions = here.transactions(_TIMES)
        _say(f"writing {count:,} events")
        asyncio.run(here.fill(given, loaded.registry, count))
        _say("routing them")
        routed = asyncio.run(here.route(loaded.engine, count))
    return {
        "accept_ms": _percentiles(accepts),
        "transaction_ms": _percentiles(transactions),
        "events": routed.events,
        "outputs": routed.outputs,
        "events_per_second": round(routed.per_second),
        "cpu_seconds_per_million": round(routed.cpu_seconds_per_million, 2),
    }


def _percentiles(seconds: Sequence[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    return {f"p{part}": round(ordered[len(ordered) * part // 100] * 1000, 3) for part in (50, 95, 99)}


def _say(what: str) -> None:
    typer.echo(what, err=True)
