"""A gateway's beginning and end, as its process."""

from __future__ import annotations

import ctypes
from pathlib import Path

import confluent_kafka
import pytest
from confluent_kafka import KafkaError, Producer

from hub.gateway.process import GatewayProcess
from hub.loading import load_hub
from hub.stream.job_runner import JobRunner
from hub.testing.live import until, write_config


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


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_one_whose_producer_takes_nothing_ever_again_is_ill(kafka: str, tmp_path: Path, root: Path) -> None:
    process = gateway(kafka, tmp_path, root)
    make_useless(process._ingest._producer)
    assert until(lambda: process.ill() == "threads have ended: ingest")
    assert not process._state.health.ready
    process.close()


def make_useless(producer: Producer) -> None:
    """As a broker does that misses a record of an idempotent producer's: librdkafka's own means to try that."""
    (path,) = Path(confluent_kafka.__path__[0] + ".libs").glob("librdkafka*")
    handle = ctypes.c_void_p.from_address(id(producer) + object.__basicsize__)
    ctypes.CDLL(str(path)).rd_kafka_test_fatal_error(
        handle, KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, b"by a test"
    )
