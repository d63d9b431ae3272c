"""The gateway process: its parts put together, served, and closed in order."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import uvicorn
import uvloop

from hub.gateway.app import make_gateway
from hub.gateway.health import Health
from hub.gateway.listeners import listening
from hub.gateway.patience import patient
from hub.gateway.room import Room
from hub.gateway.state import Gateway
from hub.journal.queries import Queries
from hub.loading import Loaded
from hub.stream import memory
from hub.stream.conditions import Conditions, KnownConditions, Oversight
from hub.stream.controls import Controls
from hub.stream.following import Following
from hub.stream.ingest import Ingest
from hub.stream.job_runner import JobRunner
from hub.stream.jobs import Jobs
from hub.stream.open_files import allow_files
from hub.stream.subscriptions import Subscriptions
from hub.stream.trial import Trial
from hub.stream.turning import Turning
from hub.stream.workers import Workers
from hub.stream.works import nobody_takes, works

_CUT_LATER_S = 2.0
"""The server cuts a connection off only when its handler has had the time to answer 408."""

_OWN_FILES = 200
"""Files that a gateway needs for itself, at most."""


class GatewayProcess:
    """One gateway over one Kafka, which may be away: webhooks are then answered 503, like all else that needs it."""

    def __init__(self, loaded: Loaded, servers: str, data_dir: Path) -> None:
        self._config = loaded.settings.config
        settings = self._config.gateway
        self._ingest = Ingest(servers, settings.max_in_flight)
        self._workers, self._subscriptions, self._jobs = Workers(), Subscriptions(), Jobs()
        self._controls, self._known = Controls(), KnownConditions()
        followed = (self._workers, self._subscriptions, self._jobs, self._controls, self._known)
        self._following = Following(servers, *followed)
        journal, trial = Queries(self._config.journal.where(data_dir)), Trial(loaded)
        done = works(servers, self._jobs, journal, trial, nobody_takes(self._subscriptions, loaded))
        self._runner = JobRunner(servers, self._jobs, done, journal.settle)
        room = Room(settings.max_in_flight, settings.max_held_bytes)
        health = Health(
            ingest=self._ingest,
            workers=self._workers,
            room=room,
            partitions=self._config.kafka.partitions,
            data_dir=data_dir,
            known=lambda: self._following.known,
            sinks=[sink.key for member in loaded.fleet.members.values() for sink in member.sinks],
            conditions=self._known,
        )
        self._state = Gateway(
            loaded=loaded,
            servers=servers,
            ingest=self._ingest,
            health=health,
            subscriptions=self._subscriptions,
            jobs=self._jobs,
            journal=journal,
            trial=trial,
            oversight=Oversight(self._controls, Conditions(self._ingest.put)),
            master_key=(data_dir / "master.key").read_bytes(),
            operator_token=(data_dir / "operator.token").read_text().strip(),
        )
        self._turning: Turning | None = None
        self._closing = False

    def ill(self) -> str:
        """What is wrong that only a new process mends, if anything. From any one thread."""
        if self._closing:  # threads end now because they were told to
            return ""
        late = self._turning.late() if self._turning else 0.0
        if late > self._config.watchdog.stuck_after_s:
            return f"the event loop has not turned for {late:.0f} s"
        ended = [*self._ingest.broken, *self._following.broken, *self._runner.broken]
        return f"threads have ended: {', '.join(ended)}" if ended else ""

    def run(self, port: int, listener: int, on_ready: Callable[[], None]) -> None:
        """Serve until told to stop by a signal, on `port`, or on a socket that listens (its file descriptor).

        `on_ready` is called when the hub's topics are read.
        """
        settings = self._config.gateway
        connections = min(settings.max_connections, allow_files() - _OWN_FILES)
        server = uvicorn.Server(
            uvicorn.Config(
                make_gateway(self._state),
                host=settings.host,
                port=port,
                http=patient(settings.body_timeout_s + _CUT_LATER_S, connections),
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,  # nobody asks who called
                timeout_graceful_shutdown=4,
            )
        )
        uvloop.run(self._serve(server, listener, on_ready))

    def close(self) -> None:
        """Let what is under way end, and close all."""
        self._closing = True
        self._runner.close()
        self._following.close()
        self._ingest.close()

    async def _serve(self, server: uvicorn.Server, listener: int, on_ready: Callable[[], None]) -> None:
        self._turning = Turning(asyncio.get_running_loop())
        # uvicorn raises what it was told to stop by once more when it has stopped, and the rest is to end in order.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        conditions = self._state.oversight.conditions
        async with listening(self._state.loaded.fleet, self._ingest, conditions):
            telling = asyncio.create_task(conditions.run())
            serving = asyncio.create_task(
                server.serve([socket.socket(fileno=listener)] if listener >= 0 else None)
            )
            # Nobody has an event for both.
            while not serving.done() and not (server.started and self._following.known):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            if not serving.done():
                self._runner.start()
                memory.keep()
                on_ready()
            await serving
            telling.cancel()
