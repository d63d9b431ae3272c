"""The benchmark compares like with like: one job, the hub's own headers, outputs told apart, stable names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks import fill, plan, report, work
from benchmarks.__main__ import main
from benchmarks.peers import environment
from benchmarks.peers.fan_out import engine as loaded
from benchmarks.peers.fan_out import parties
from benchmarks.peers.route import engine
from benchmarks.process import Measured
from benchmarks.verify import Contents
from hub.events.kafka import from_headers, to_headers
from hub.routes.engine import Engine
from hub.stream.records import Batch, Fence, Output, Read, singly
from hub.stream.routing import Routing
from hub.stream.topics import inbox

#: Followed over time by whoever runs the benchmark; a name that changes is a series that ends.
NAMES = {
    "route_vs_kafka_streams",
    "route_eos_vs_kafka_streams_eos",
    "route_vs_faust",
    "route_vs_faust_plain",
    "route_vs_quix",
    "route_vs_faststream",
    "route_vs_loop",
    "route_vs_copy",
    "exactly_once_vs_at_least_once",
}
EVENTS = list(fill.events(0, 300))


def routed(engine: Engine, records: list[fill.Record]) -> list[Output]:
    read = [
        Read("events.bench", 0, at, 0, key, value, headers)
        for at, (key, value, headers) in enumerate(records)
    ]
    outputs = Routing(engine).process([Batch("events.bench", 0, read, Fence("hub", 1, "member"))])
    return [output for output in singly(outputs) if output.topic.startswith("inbox.")]


def made(records: list[fill.Record]) -> list[work.Result]:
    return [one for one in (work.work(*record) for record in records) if one is not None]


def test_the_generated_headers_are_the_hubs_own() -> None:
    for _, _, headers in EVENTS:
        assert headers == to_headers(from_headers(headers))


def test_the_generated_events_are_the_same_in_every_run_and_some_are_filtered_out() -> None:
    assert list(fill.events(0, 300)) == EVENTS
    assert 200 < len(made(EVENTS)) < 300


def test_the_hubs_route_makes_what_the_job_in_plain_python_makes() -> None:
    outputs = routed(engine(), EVENTS)
    assert {output.topic for output in outputs} == {inbox(work.PARTY)}
    found = [(output.key, output.value, output.headers) for output in outputs]
    assert sorted(found) == sorted(made(EVENTS))


def test_with_many_routes_and_parties_loaded_each_event_reaches_the_one_inbox_that_its_field_names() -> None:
    councils = parties(50)
    records = list(fill.events(0, 300, councils))
    outputs = routed(loaded(20, 50), records)
    wanted = [(inbox(key.decode().partition("-")[0]), key) for key, _, _ in made(records)]
    assert sorted((output.topic, output.key) for output in outputs) == sorted(wanted)
    assert len({topic for topic, _ in wanted}) > 40


@pytest.mark.parametrize("spoil", ["lost", "repeated", "value", "header", "key"])
def test_an_output_that_differs_in_one_record_is_noticed(spoil: str) -> None:
    right = made(EVENTS)
    key, value, headers = right[7]
    wrong = {
        "lost": [],
        "repeated": [right[7], right[7]],
        "value": [(key, value + b"\0", headers)],
        "header": [(key, value, [*headers[:-1], ("content-type", b"text/plain")])],
        "key": [(key + b"0", value, headers)],
    }[spoil]
    assert Contents.of([*right[:7], *wrong, *right[8:]]) != Contents.of(right)


def test_the_order_of_records_and_of_headers_says_nothing() -> None:
    turned = [(key, value, headers[::-1]) for key, value, headers in reversed(made(EVENTS))]
    halves = Contents.of(turned[:100]) + Contents.of(turned[100:])
    assert halves == Contents.of(made(EVENTS))


def test_every_ratio_is_under_its_name_and_null_with_its_reason_where_a_row_is_missing() -> None:
    results = report.Results({"route", "kafka_streams"}, reasons={"kafka_streams": "no JDK was found"})
    results.runs["route"] = {0: Measured(10, 1.0, 1.0, None)}
    shown = report.as_json(results, {}, ratios_alone=True)
    assert shown.keys() == NAMES | {"reasons"}
    assert all(shown[name] is None and shown["reasons"][name] for name in NAMES)
    assert shown["reasons"]["route_vs_kafka_streams"] == "kafka_streams: no JDK was found"


def test_a_ratio_is_the_median_of_those_within_a_round() -> None:
    def runs(*rates: float) -> dict[int, Measured]:
        return {at: Measured(1_000, 1_000 / rate, 1.0, 100.0) for at, rate in enumerate(rates)}

    results = report.Results({"route", "copy"})
    results.runs = {"route": runs(100, 60, 90), "copy": runs(200, 60, 100)}
    shown = report.as_json(results, {}, ratios_alone=False)
    assert shown["route_vs_copy"] == pytest.approx(0.9)
    assert shown["spread"]["route_vs_copy"] == pytest.approx([0.5, 1.0])
    assert shown["rows"]["route"]["events_per_second"] == 90


def test_every_ratio_is_of_two_rows_that_the_quick_run_has() -> None:
    rows = {row.name for row in plan.ROWS if row.quick}
    assert {row for pair in plan.RATIOS.values() for row in pair} <= rows


def test_the_peers_environment_is_pinned_by_digests_and_names_no_address() -> None:
    lock = environment.LOCK.read_text()
    pinned = re.findall(r"^\S+==\S+", lock, re.MULTILINE)
    assert len(pinned) > 20
    assert len(re.findall(r"^\S+==\S+[^\n]*\\\n\s+--hash=sha256:", lock, re.MULTILINE)) == len(pinned)
    assert "://" not in lock


@pytest.mark.parametrize("wrong", [["--only", "nobody"], ["--events", "0"], ["--rounds", "many"]])
def test_wrong_options_are_told_with_status_2(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(wrong)
    assert ended.value.code == 2
    assert wrong[0] in capsys.readouterr().err


def test_the_row_names_and_exit_statuses_are_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    told = capsys.readouterr().out
    assert all(row.name in told for row in plan.ROWS)
    assert "130" in told


def test_the_makefile_runs_it() -> None:
    makefile = (Path(__file__).parents[2] / "Makefile").read_text()
    assert re.search(r"^bench: env\n\t\$\(BIN\)/python -m benchmarks", makefile, re.MULTILINE)
