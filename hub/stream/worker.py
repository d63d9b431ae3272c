"""The worker process: one Faust app with all stages, or those of its roles. Any number of workers share the work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog

from hub.config import Watchdog as WatchdogSettings
from hub.delivery.clock import LoopClock
from hub.delivery.lanes import Lanes
from hub.delivery.schedule import Schedule
from hub.delivery.sender import Sender
from hub.loading import Loaded
from hub.stream import memory, topics
from hub.stream.app import make_app
from hub.stream.committing import KafkaCommitter
from hub.stream.conditions import Conditions, Oversight
from hub.stream.controls import Controls
from hub.stream.delivering import Delivering
from hub.stream.feeding import Outside, kept_s
from hub.stream.following import Following
from hub.stream.health import Limits
from hub.stream.inboxes import KafkaInboxes
from hub.stream.ingest import Ingest
from hub.stream.instances import Instances
from hub.stream.journalling import Journalling
from hub.stream.pace import GATHERED_S
from hub.stream.parked import Parked
from hub.stream.progress import Progress
from hub.stream.pulling import works
from hub.stream.recipients import Recipients, Several, Webhooks
from hub.stream.records import NOBODY, Fence, Positions
from hub.stream.roles import Role, stages_in
from hub.stream.routing import Routing
from hub.stream.runner import StageRunner
from hub.stream.seen import Seen
from hub.stream.sinking import Sinks
from hub.stream.stage import Stage
from hub.stream.subscriptions import Subscriptions
from hub.stream.transactions import Transactor
from hub.stream.translate import Translate, ordered_places
from hub.stream.watchdog import Watchdog, Watched

log = structlog.get_logger()

#: What could not end in order within so many seconds of being told to stop does not end in order.
STOP_S = 6.0

#: Bytes, as they are stored, that a process whose work nobody waits for is to get at once: some hundred entries.
_WORTH = 65_536


class Worker:
    """The stages of some roles over one Kafka. `name` must differ from every other living worker's."""

    def __init__(
        self,
        loaded: Loaded,
        servers: str,
        data_dir: Path,
        name: str,
        roles: Iterable[Role] = Role,
    ) -> None:
        self._loaded = loaded
        self._servers = servers
        self._data_dir = data_dir
        self._name = name
        self._mine = stages_in(roles)
        self._positioned = False

    async def run(self, on_ready: Callable[[], None]) -> None:
        """Work until cancelled. `on_ready` is called at the first assignment. Raises what a stage died of."""
        config = self._loaded.settings.config
        sender = Sender((self._data_dir / "master.key").read_bytes(), allow_local=config.delivery.allow_local)
        loop = asyncio.get_running_loop()

        subscriptions = Subscriptions(on_change=lambda: loop.call_soon_threadsafe(delivering.changed))
        controls, ingest = Controls(), Ingest(self._servers)
        oversight = Oversight(controls, Conditions(ingest.put))
        progress = Progress(Delivering.name)
        inboxes, clock = KafkaInboxes(self._servers, progress.bind), LoopClock()
        recipients = Several(
            Webhooks(subscriptions, sender, self._loaded.registry),
            Sinks(self._loaded.fleet, self._loaded.registry, config.kafka.partitions, oversight, clock.now),
        )
        outside = self._outside(recipients, inboxes, clock, progress)
        delivering = Delivering(outside, lambda: _fence(app), progress)
        # What operators and subscribers ask for, where something follows from it.
        asked = self._mine & {delivering.name, "poll"}
        following = Following(self._servers, subscriptions, controls) if asked else None
        journalling = Journalling(config.journal.where(self._data_dir)) if "journal" in self._mine else None
        polling = self._instances(oversight, lambda: _fence(app))
        agents: dict[Any, list[str]] = {
            **dict(self._stages(journalling)),
            delivering: [topics.inbox(party) for party in config.parties],
            polling: [topics.CONNECTORS],
        }
        agents = {one: names for one, names in agents.items() if one.name in self._mine}
        app = make_app(self._servers, self._data_dir / "faust" / self._name, agents)
        if journalling:
            app.unread, app.went_back = journalling.unread, journalling.begin
        app.fetch_min_bytes = 1 if self._mine - stages_in([Role.UPKEEP]) else _WORTH
        app.seldom = self._seldom()
        if delivering.name in self._mine and "translate" not in self._mine:
            app.gather_s = GATHERED_S
        self._follow_assignment(app, delivering, polling, on_ready)
        watchdog = Watchdog(self._name, self._servers, _limits(config.watchdog))
        watched = self._watched(app, agents, polling, lambda: _ended(ingest, following))
        await loop.run_in_executor(None, watchdog.start, watched)
        running = [*(one for one in agents if one is not polling), oversight.conditions]
        tasks = [asyncio.create_task(one.run()) for one in running]
        try:
            memory.settle()
            await app.start()
            crashed = asyncio.ensure_future(app.wait_until_stopped())
            done, _ = await asyncio.wait({*tasks, crashed}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            raise RuntimeError("the Faust app stopped by itself")
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP_S):
                    await self._stop(app, tasks, polling)
                    await loop.run_in_executor(None, watchdog.stop)
                    await loop.run_in_executor(None, inboxes.close)
                    await loop.run_in_executor(None, ingest.close)
                    await sender.close()
                    await self._loaded.fleet.close()
                    if following is not None:
                        await loop.run_in_executor(None, following.close)

    def _outside(
        self, recipients: Recipients, inboxes: KafkaInboxes, clock: LoopClock, progress: Progress
    ) -> Outside:
        config = self._loaded.settings.config
        return Outside(
            recipients,
            inboxes,
            KafkaCommitter(self._transactor(Delivering.name), progress),
            lambda send: Lanes(send, Schedule(speed=config.delivery.speed), clock),
            clock,
            kept_s=kept_s(config.kafka.event_retention_days),
        )

    def _instances(self, oversight: Oversight, fence: Callable[[], tuple[Fence, Positions]]) -> Instances:
        partitions = self._loaded.settings.config.kafka.partitions
        folder = self._data_dir / "workers" / self._name
        made = works(self._loaded.fleet, self._servers, partitions, folder)
        return Instances(made, partitions, self._transactor("poll"), fence, oversight)

    def _stages(self, journalling: Journalling | None) -> Iterator[tuple[StageRunner, list[str]]]:
        """Those of our roles that a runner feeds, each with its topics."""
        loaded = self._loaded
        routing = Routing(loaded.engine, Parked(self._servers, loaded.engine.ordered))
        if "translate" in self._mine:
            gates = Parked(self._servers, ordered_places(loaded.fleet))
            seen = Seen(self._servers, self._data_dir / "seen")
            translate = Translate(loaded.fleet, loaded.registry, seen, routing, gates)
            yield self._runner(translate), [topics.raw(name) for name in loaded.fleet.connectors]
        if routing.name in self._mine:
            yield self._runner(routing), [topics.events(name) for name in loaded.domains]
        if journalling:
            yield self._runner(journalling), [topics.JOURNAL, topics.DEAD_LETTERS]

    def _seldom(self) -> frozenset[str]:
        """Topics whose events were routed as they were written, so that they come only to be passed over."""
        in_order = {topics.domain_of(kind) for kind in self._loaded.engine.in_order}
        return frozenset(topics.events(name) for name in self._loaded.domains if name not in in_order)

    def _runner(self, stage: Stage) -> StageRunner:
        return StageRunner(stage, self._transactor(stage.name))

    def _transactor(self, stage: str) -> Transactor:
        return Transactor(self._servers, f"hub-{self._name}-{stage}")

    def _watched(
        self,
        app: Any,
        agents: Mapping[Any, list[str]],
        polling: Instances,
        ended: Callable[[], list[str]],
    ) -> Watched:
        def membership() -> tuple[Fence, Positions]:
            return _fence(app) if self._positioned else (NOBODY, {})

        def leave() -> None:
            if self._positioned:
                app.consumer.leave()

        return Watched(
            loop=asyncio.get_running_loop(),
            membership=membership,
            stages={runner.name: runner.progress for runner in agents if runner is not polling},
            stage_of={topic: runner.name for runner, names in agents.items() for topic in names},
            pollers=lambda: dict(polling.health),
            broken=ended,
            leave=leave,
        )

    def _follow_assignment(
        self, app: Any, delivering: Delivering, polling: Instances, on_ready: Callable[[], None]
    ) -> None:
        async def positioned(positions: Positions) -> None:
            self._positioned = True
            if delivering.name in self._mine:
                await delivering.assigned()
            await polling.assigned({part for topic, part in positions if topic == topics.CONNECTORS})
            log.info("partitions-assigned", worker=self._name, count=len(positions))
            on_ready()

        async def revoked(_app: Any, _places: Any, **_: Any) -> None:
            await polling.revoked()
            await delivering.revoked()

        # Not Faust's signal of the assignment: at that time nobody knows yet where reading goes on.
        app.on_positioned = positioned
        app.on_partitions_revoked.connect(revoked, weak=False)

    async def _stop(self, app: Any, tasks: list[asyncio.Task[None]], polling: Instances) -> None:
        """Finish what is in hand, then leave the group at once, so that others go on; then all the rest."""
        for task in tasks:
            task.cancel()
        await asyncio.gather(polling.close(), *tasks, return_exceptions=True)
        if self._positioned:
            await asyncio.get_running_loop().run_in_executor(None, app.consumer.leave)
        await app.stop()


def _ended(ingest: Ingest, following: Following | None) -> list[str]:
    """The threads that are no more, and without which the worker is not whole."""
    return [*ingest.broken, *(following.broken if following else ())]


def _limits(settings: WatchdogSettings) -> Limits:
    return Limits(settings.stuck_after_s, settings.behind_after_s, settings.rebalances_per_minute)


def _fence(app: Any) -> tuple[Fence, Positions]:
    """Who we are in the group now, and where its positions stood when our partitions were assigned."""
    membership: tuple[Fence, Positions] = app.consumer.membership()
    return membership
