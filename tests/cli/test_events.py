"""Events are found by what a person knows of them: who says so, what happened last, when they were first seen."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from hub.cli.main import app
from hub.testing.live import LiveHub, until

PAY = "/connectors/govuk_pay/birmingham-pay"


def test_events_are_found_by_source_state_and_time(hub: LiveHub) -> None:
    paid = hub.simulators["birmingham-pay"].paid_payment("COUNCIL-TAX-2", 100)

    def found(*asked: str) -> set[str]:
        command = ["events", "search", "--subject", paid, "--json", "--data-dir", str(hub.data_dir)]
        done = CliRunner().invoke(app, [*command, *asked])
        assert done.exit_code == 0, done.output
        return {one["type"] for one in json.loads(done.stdout)["items"]}

    captured = "payments.payment.captured"
    assert until(lambda: captured in found("--source", PAY), 30)
    assert captured in found("--source", PAY, "--state", "translated", "--since", "1h", "--until", "0s")
    for asked in (
        ("--source", "/connectors/no"),
        ("--state", "refused"),
        ("--since", "0s"),
        ("--until", "1h"),
    ):
        assert not found(*asked), asked


def test_a_time_that_is_none_is_refused_with_an_example(hub: LiveHub) -> None:
    asked = ["events", "search", "--since", "lately", "--data-dir", str(hub.data_dir)]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 1
    assert "lately: neither a time such as 2026-" in done.stderr
