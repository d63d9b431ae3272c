"""The Faust app: one consumer group, one agent per stage."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import faust
from faust.transport.drivers import TRANSPORTS
from mode.utils.queues import ThrowableQueue

from hub.stream import pace
from hub.stream.records import Batch, Place
from hub.stream.runner import StageRunner


class Agent(Protocol):
    """What feeds from topics: a name, and a coroutine over the stream of batches."""

    @property
    def name(self) -> str:
        """Of the agent."""

    async def agent(self, stream: AsyncIterable[Batch]) -> None:
        """Take the batches."""


GROUP = "hub"

# After so long without a fetch aiokafka leaves the group, and does not join again before there is one: for good, then,
# where none is asked for, as by a spare worker, or while the backlog is full. Kafka never hears of it (what a
# rebalance waits for is the rebalance time-out), and a stage that stands is the watchdog's matter.
_NEVER_S = 365 * 86_400.0

TRANSPORTS.aliases.setdefault("hub", "hub.stream.transport:Transport")  # where not installed as a package


class _Queue(ThrowableQueue):  # type: ignore[misc]  # mode is untyped here
    """What waits for an agent. While so much does, what more is brought for it is the last for now.

    Never full: Faust hands out batches of all agents one after the other, and one for whose queue it had to wait
    would hold up those of all others.
    """

    pressure_high_size, pressure_drop_size = 2, 1


class _App(faust.App):  # type: ignore[misc]
    def FlowControlQueue(  # noqa: N802 - Faust's name
        self, maxsize: int | None = None, *, clear_on_resume: bool = False
    ) -> _Queue:
        return _Queue(flow_control=self.flow_control, clear_on_resume=clear_on_resume)


def make_app(servers: str, work_dir: Path, agents: Mapping[Agent, Sequence[str]], group: str = GROUP) -> Any:
    """An app whose agents feed `agents`' stages from their topics.

    Of Faust's own guarantees none is used: see `hub.stream.transport`. No web server, no tables, no topics
    made by declaration (docs/decisions/0001). Raises RuntimeError for a Faust that was not compiled.
    """
    if not compiled_parts():
        raise RuntimeError("Faust's compiled parts are missing: install faust-streaming from a wheel")
    work_dir.mkdir(parents=True, exist_ok=True)
    app = _App(
        group,
        broker=f"hub://{servers.replace(',', ';hub://')}",
        value_serializer="raw",
        key_serializer="raw",
        store="memory://",
        datadir=str(work_dir),
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        stream_wait_empty=False,
        broker_max_poll_records=5_000,
        consumer_max_fetch_size=4 << 20,
        broker_session_timeout=6.0,
        broker_heartbeat_interval=0.5,  # how soon the others hear of one that comes or goes, and so how long all pause
        broker_request_timeout=30.0,
        broker_rebalance_timeout=20.0,
        broker_max_poll_interval=_NEVER_S,
        consumer_metadata_max_age_ms=60_000,
    )
    #: What of its partitions is to be read from the start, and who is told when the group has gone back there.
    app.unread, app.went_back = _none, _none
    #: Bytes that are worth an answer of Kafka, which otherwise waits; likewise.
    app.fetch_min_bytes = 1
    #: Topics of which nothing is waited for, which under load are read once a second; likewise.
    app.seldom = frozenset()
    #: Seconds between two fetches under load; likewise.
    app.gather_s = pace.GATHER_S
    #: What a fetch waits for.
    app.occupied = [runner.occupied for runner in agents if isinstance(runner, StageRunner)]
    app.agent_for = {topic: runner.name for runner, names in agents.items() for topic in names}
    for runner, names in agents.items():
        channel = app.topic(*names, value_serializer="raw", key_serializer="raw", acks=False)
        app.agent(channel, name=f"hub.{runner.name}")(agent_of(app, runner))
    return app


def _none(_places: Iterable[Place]) -> frozenset[Place]:
    return frozenset()


def agent_of(app: Any, runner: Agent) -> Callable[[AsyncIterable[Sequence[Batch]]], Awaitable[None]]:
    """As Faust takes it: a function over its stream, which gives the agent one batch after the other."""

    async def current(stream: AsyncIterable[Sequence[Batch]]) -> AsyncIterator[Batch]:
        async for batches in stream:
            for batch in batches:
                if (
                    batch.fence == app.consumer.fence
                ):  # else its partition was taken back while it was on the way
                    yield batch

    async def agent(stream: AsyncIterable[Sequence[Batch]]) -> None:
        await runner.agent(current(stream))

    return agent


def compiled_parts() -> bool:
    """Whether Faust's compiled stream iterator and conductor are loaded; the slow ones acknowledge what they skip."""
    try:
        import faust._cython.streams
        import faust.transport._cython.conductor
    except ImportError:
        return False
    return bool(faust)
