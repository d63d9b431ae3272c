"""The alert rules are true: each metric that they name is there, and each says what to do next."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx2
import yaml

from hub.testing.live import LiveHub, until

RULES = Path(__file__).parents[2] / "deploy" / "alerts" / "hub.rules.yml"
METRIC = re.compile(r"\bhub_\w+")


def alerts() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def test_every_metric_of_the_alert_rules_exists_with_the_labels_it_is_asked_for(hub: LiveHub) -> None:
    hub.simulators["birmingham-pay"].paid_payment("PREM/2026/alerts", 100)
    shown = lambda: httpx2.get(f"{hub.gateway}/metrics").text  # noqa: E731
    told = lambda: {name for name in re.findall(r"^# TYPE (\w+)", shown(), re.MULTILINE)}  # noqa: E731, C416
    series = {"_bucket", "_count", "_sum"}

    def missing() -> set[str]:
        known = told()
        known |= {name + end for name in known for end in series}
        return {name for rule in alerts() for name in METRIC.findall(rule["expr"])} - known

    assert until(lambda: not missing()), missing()
    for rule in alerts():
        for labels in re.findall(r"by \((\w+)\) \((?:\w+\()?hub_", rule["expr"]):
            name = METRIC.findall(rule["expr"])[0]
            if name == "hub_ill":
                continue  # nothing is ill here: tests/gateway/test_metrics.py holds its labels
            assert until(lambda n=name, by=labels: re.search(rf"^{n}\{{.*{by}=", shown(), re.MULTILINE)), name


def test_every_alert_says_what_is_wrong_and_what_to_do_next() -> None:
    for rule in alerts():
        assert rule["alert"].startswith("Hub")
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert {"summary", "next"} <= rule["annotations"].keys(), rule["alert"]
    assert len({rule["alert"] for rule in alerts()}) == len(alerts())


def test_that_no_gateway_is_there_to_say_so_is_an_alert_too() -> None:
    assert any("absent(hub_ready)" in rule["expr"] for rule in alerts())
