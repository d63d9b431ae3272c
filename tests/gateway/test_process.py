"""A gateway's beginning and end, as its process."""

from __future__ import annotations

from pathlib import Path

from hub.gateway.process import GatewayProcess
from hub.loading import load_hub
from hub.testing.live import write_config


def test_one_that_was_told_to_stop_is_not_ill_though_its_threads_end(
    kafka: str, tmp_path: Path, root: Path
) -> None:
    for name in ("master.key", "operator.token"):
        (tmp_path / name).write_text("made up")
    process = GatewayProcess(load_hub(write_config(tmp_path, root)), kafka, tmp_path)
    assert process.ill() == ""
    process.close()
    assert process.ill() == ""
