"""How the hub is, as one gateway sees it: whether it can take webhooks, and what is ill anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from hub.gateway.room import Room
from hub.stream.conditions import KnownConditions
from hub.stream.health import Verdict
from hub.stream.ingest import Ingest
from hub.stream.workers import Workers, stages_of

PROCESSES = "processes.json"
"""What `hub up` says of its processes, in the data directory; a hub whose processes others start has none."""


class Process(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A child of `hub up`. `state` is starting, running or waiting; `ended` is how it ended last."""

    name: str
    state: str
    pid: int = 0
    restarts: int = 0
    ended: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """All of it from memory, but for one small file: asking costs nothing and waits for nobody."""

    ingest: Ingest
    workers: Workers
    room: Room
    partitions: int
    data_dir: Path
    known: Callable[[], bool]
    """Whether what stands in the hub's topics is read: before that, no answer about it would be true."""
    sinks: Sequence[str]
    """The keys of all sinks, of which `conditions` tells; each worker tells of its own pollers."""
    conditions: KnownConditions

    @property
    def ready(self) -> bool:
        """Whether webhooks can be taken and the API can answer.

        A connector, a stage or a worker that is ill changes nothing in that.
        """
        return self.known() and not self.ingest.away and not self.ingest.broken

    def ill(self) -> list[dict[str, Any]]:
        """What is wrong, the gateway's own part first; see `Verdict`."""
        found = [("", verdict) for verdict in self._own()]
        if self.ready:  # while Kafka is away, all workers are silent, and that is not their fault
            found += self.workers.verdicts(self.partitions)
            found += [("", verdict) for verdict in self._sinks()]
        return [{"worker": worker, **msgspec.to_builtins(verdict)} for worker, verdict in found]

    def _own(self) -> Iterator[Verdict]:
        if self.ingest.away:
            yield Verdict(part="kafka", kind="away", told="Kafka does not answer; webhooks are answered 503")
        if not self.known():
            yield Verdict(part="gateway", kind="starting", told="it has not read the hub's topics yet")
        for name in self.ingest.broken:
            yield Verdict(part="gateway", kind="ended", told=f"its thread {name} has ended", cure=True)
        for name in self.room.turned_away():
            yield Verdict(
                part=f"webhooks {name}",
                kind="overloaded",
                told="some were answered 429 or 503 in the last 10 s",
            )
        for process in self.processes():
            if process.state != "running":
                told = f"it is {process.state}" + (
                    f", after it ended with {process.ended}" * bool(process.ended)
                )
                yield Verdict(part=process.name, kind=process.state, told=told)

    def _sinks(self) -> Iterator[Verdict]:
        for key in self.sinks:
            condition = self.conditions.of(key)
            if condition.state in {"failing", "halted"}:
                yield Verdict(part=f"sink {key}", kind=condition.state, told=condition.error)

    def processes(self) -> list[Process]:
        """The children of `hub up`, if it is that which runs us."""
        try:
            return msgspec.json.decode((self.data_dir / PROCESSES).read_bytes(), type=list[Process])
        except (OSError, msgspec.MsgspecError):
            return []

    def summary(self) -> dict[str, Any]:
        """For machines that watch: `status` is ready, degraded or not ready. Names parts, and no one's words."""
        ill = self.ill()
        status = "not ready" if not self.ready else "degraded" if ill else "ready"
        named = [{name: one[name] for name in ("worker", "part", "kind")} for one in ill]
        return {"status": status, "ready": self.ready, "ill": named}

    def report(self) -> dict[str, Any]:
        """For operators: all that is known."""
        heard = self.workers.all()
        return {
            **self.summary(),
            "ill": self.ill(),
            "stages": msgspec.to_builtins(dict(stages_of(heard))),
            "workers": [{**msgspec.to_builtins(one.report), "heard_ago": round(one.ago, 1)} for one in heard],
            "processes": msgspec.to_builtins(self.processes()),
            "gateway": {
                "under_way": dict(self.room.requests.by),
                "held_bytes": self.room.held.used,
                "waiting_for_kafka": self.ingest.in_flight,
            },
        }
