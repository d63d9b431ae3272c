"""A gateway's beginning and end, as its process."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.gateway.process import GatewayProcess
from hub.loading import load_hub
from hub.stream.job_runner import JobRunner
from hub.testing.live import write_config


def gateway(kafka: str, folder: Path, root: Path) -> GatewayProcess:
    for name in ("master.key", "operator.token"):
        (folder / name).write_text("made up")
    return GatewayProcess(load_hub(write_config(folder, root)), kafka, folder)


def test_one_that_was_told_to_stop_is_not_ill_though_its_threads_end(
    kafka: str, tmp_path: Path, root: Path
) -> None:
    process = gateway(kafka, tmp_path, root)
    assert process.ill() == ""
    process.close()
    assert process.ill() == ""


def test_one_that_runs_no_jobs_any_more_is_ill(
    kafka: str, tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = gateway(kafka, tmp_path, root)
    monkeypatch.setattr(JobRunner, "broken", ["jobs"])
    assert process.ill() == "threads have ended: jobs"
    process.close()
