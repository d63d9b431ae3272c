"""Prometheus metrics from the journal: what passed each stage, what is open. No label holds personal data."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from hub.journal.queries import Queries


class JournalMetrics(CollectorRegistry):
    """A registry whose values are read from the journal at each scrape."""

    def __init__(self, journal: Queries) -> None:
        super().__init__()
        self._journal = journal

    def collect(self) -> Iterable[Metric]:
        """Totals by stage and outcome, open failures, deliveries that wait."""
        counts = self._journal.counts()
        passed = CounterMetricFamily("hub_steps", "What happened to events", labels=["stage", "outcome"])
        for name, count in sorted(counts.outcomes.items()):
            passed.add_metric(name.split(".", 1), count)
        yield passed
        yield GaugeMetricFamily("hub_failures_open", "Dead letters not yet seen to", counts.open_failures)
        yield GaugeMetricFamily(
            "hub_deliveries_waiting", "Deliveries that wait for another attempt", counts.pending_deliveries
        )
