"""Prometheus metrics: what passed each stage, what is open, how workers and gateway are. No label is personal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from time import time

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from hub.gateway.health import Health
from hub.gateway.webhooks import INSTANCE_LABEL
from hub.journal.database import JournalError
from hub.journal.queries import Queries
from hub.stream.workers import SILENT_S, Heard, stages_of


def _gauge(name: str, told: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, told, value)


class JournalMetrics(CollectorRegistry):
    """A registry whose values are read from the journal at each scrape."""

    def __init__(self, journal: Queries) -> None:
        super().__init__()
        self._journal = journal

    def collect(self) -> Iterable[Metric]:
        """Totals by stage and outcome, open failures, deliveries that wait."""
        try:
            counts = self._journal.counts()
        except JournalError:
            yield _gauge("hub_journal_readable", "Whether the journal answers", 0)
            return
        yield _gauge("hub_journal_readable", "Whether the journal answers", 1)
        passed = CounterMetricFamily("hub_steps", "What happened to events", labels=["stage", "outcome"])
        for name, count in sorted(counts.outcomes.items()):
            passed.add_metric(name.split(".", 1), count)
        yield passed
        yield _gauge("hub_failures_open", "Dead letters not yet seen to", counts.open_failures)
        waiting = counts.pending_deliveries
        yield _gauge("hub_deliveries_waiting", "Deliveries that wait for another attempt", waiting)


class HealthMetrics(CollectorRegistry):
    """A registry over what workers and this gateway say of themselves; of workers, every gateway says the same."""

    def __init__(self, health: Health) -> None:
        super().__init__()
        self._health = health

    def collect(self) -> Iterable[Metric]:
        """Readiness, what is ill, stages, workers, pollers, the gateway's room, processes."""
        health = self._health
        yield _gauge("hub_ready", "Whether webhooks can be taken", health.ready)
        ill = GaugeMetricFamily("hub_ill", "Parts that are ill, by how", labels=["worker", "part", "kind"])
        for key in sorted({(one["worker"], one["part"], one["kind"]) for one in health.ill()}):
            ill.add_metric(key, 1)
        yield ill
        heard = health.workers.all()
        yield from _stages(heard)
        yield from _workers(heard)
        yield from _pollers(heard)
        yield from self._gateway()

    def _gateway(self) -> Iterator[Metric]:
        room = self._health.room
        under_way = GaugeMetricFamily(
            "hub_webhooks_under_way", "Webhooks not yet answered", labels=[INSTANCE_LABEL]
        )
        for name, count in sorted(room.requests.by.items()):
            under_way.add_metric([name], count)
        yield under_way
        yield _gauge("hub_webhooks_held_bytes", "Bytes of bodies held", room.held.used)
        restarts = CounterMetricFamily(
            "hub_process_restarts", "How often hub up started a process again", labels=["process"]
        )
        for process in self._health.processes():
            restarts.add_metric([process.name], process.restarts)
        yield restarts


def _stages(heard: list[Heard]) -> Iterator[Metric]:
    families = [
        ("lag", "hub_stage_lag_records", "Records behind the end of a stage's topics"),
        ("lag_s", "hub_stage_lag_seconds", "For how long the oldest of them has waited, at least"),
        ("trend", "hub_stage_lag_trend", "Records that the lag grows by, per second"),
        ("waiting", "hub_stage_batches", "Batches in a stage's hands"),
        ("still_s", "hub_stage_still_seconds", "Since a stage did anything although something waits"),
    ]
    stages = sorted(stages_of(heard).items())
    for field, name, told in families:
        family = GaugeMetricFamily(name, told, labels=["stage"])
        for stage, report in stages:
            family.add_metric([stage], getattr(report, field))
        yield family


def _workers(heard: list[Heard]) -> Iterator[Metric]:
    silent = GaugeMetricFamily("hub_worker_heard_seconds", "Since a worker was last heard", labels=["worker"])
    rebalances = GaugeMetricFamily(
        "hub_worker_rebalances", "Times that partitions were dealt anew within a minute", labels=["worker"]
    )
    held = GaugeMetricFamily("hub_worker_partitions", "Partitions that a worker holds", labels=["worker"])
    for one in heard:
        name = [one.report.worker]
        silent.add_metric(name, one.ago)
        if one.ago < SILENT_S:
            rebalances.add_metric(name, one.report.rebalances)
            held.add_metric(name, len(one.report.partitions))
    alive = sum(one.ago < SILENT_S for one in heard)
    yield from (_gauge("hub_workers", "Workers that are heard", alive), silent, rebalances, held)


def _pollers(heard: list[Heard]) -> Iterator[Metric]:
    failing = GaugeMetricFamily(
        "hub_poller_failing_seconds",
        "For how long no poll has succeeded; 0 if the last did",
        labels=["poller"],
    )
    halted = GaugeMetricFamily("hub_poller_halted", "Whether a person has to act", labels=["poller"])
    for one in heard:
        if one.ago < SILENT_S:
            for name, poller in sorted(one.report.pollers.items()):
                since = poller.failing_since
                failing.add_metric([name], max(0.0, time() - since) if since else 0.0)
                halted.add_metric([name], poller.halted)
    yield from (failing, halted)
