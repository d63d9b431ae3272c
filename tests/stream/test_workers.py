"""What the workers say of themselves, and what follows from their silence."""

from __future__ import annotations

from collections.abc import Sequence
from time import time

import msgspec

from hub.stream.health import Verdict
from hub.stream.workers import SILENT_S, Heard, Report, StageReport, Workers, held, judged, stages_of

NOW = 1_000_000.0

EVENTS, REST = ("translate",), ("route", "deliver", "journal")


def report(name: str, *partitions: int, does: Sequence[str] = (*EVENTS, *REST), **more: object) -> Report:
    more = {"at": NOW, "stages": {stage: StageReport() for stage in does}, **more}
    return Report(worker=name, pid=1, started=NOW, partitions=partitions, **more)  # type: ignore[arg-type]


def kinds(heard: list[Heard], partitions: int = 4, unheld_s: float = 0.0) -> set[tuple[str, str, str]]:
    return {(name, one.part, one.kind) for name, one in judged(heard, partitions, unheld_s)}


def test_two_that_speak_and_hold_all_partitions_are_well() -> None:
    assert kinds([Heard(report("a", 0, 1), 1.0), Heard(report("b", 2, 3), 1.0)]) == set()


def test_one_that_is_silent_is_told_and_what_it_said_before_is_not() -> None:
    verdict = Verdict(part="route", kind="stuck", told="")
    silent = Heard(report("b", 2, 3, verdicts=[verdict]), SILENT_S + 1)
    assert kinds([Heard(report("a", 0, 1, 2, 3), 1.0), silent]) == {("b", "worker", "silent")}


def test_a_partition_that_nobody_holds_is_told_after_the_time_of_a_rebalance() -> None:
    heard = [Heard(report("a", 0, 1, 2), 1.0)]
    assert kinds(heard, unheld_s=5.0) == set()
    assert kinds(heard, unheld_s=30.0) == {("", "workers", "unheld")}


def test_a_partition_is_held_when_every_stage_of_it_is_done_by_some_worker() -> None:
    apart = [Heard(report("a", 0, 1, 2, 3, does=EVENTS), 1.0), Heard(report("b", 0, 1, 2, does=REST), 1.0)]
    assert held(apart) == {0, 1, 2}
    assert held(apart[:1]) == set()
    assert kinds(apart[:1], unheld_s=30.0) == {("", "workers", "unheld")}


def test_without_any_that_speaks_there_is_no_worker() -> None:
    assert ("", "workers", "none") in kinds([Heard(report("a", 0), SILENT_S + 1)])
    assert kinds([]) == {("", "workers", "none")}


def test_a_stage_is_as_late_as_its_latest_and_as_full_as_all() -> None:
    one = report("a", stages={"route": StageReport(lag=3, lag_s=1.0, committed_ago=9.0)})
    two = report("b", stages={"route": StageReport(lag=4, lag_s=7.0, committed_ago=1.0)})
    gone = report("c", stages={"route": StageReport(lag=99, lag_s=99.0)})
    found = stages_of([Heard(one, 1.0), Heard(two, 1.0), Heard(gone, SILENT_S + 1)])
    assert found == {"route": StageReport(lag=7, lag_s=7.0, committed_ago=1.0)}


def test_one_that_ended_in_order_is_missed_by_nobody_and_a_report_of_another_version_ends_nothing() -> None:
    workers = Workers()
    workers.change("a", msgspec.json.encode(report("a", 0, at=time())))
    workers.change("b", b'{"worker": 7}')
    assert [one.report.worker for one in workers.all()] == ["a"]
    workers.change("a", None)
    assert workers.all() == []
