"""Runs routes over batches of records: pure, columns in and columns out, one bad event costs only itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl
import pyarrow as pa

from hub.events.envelope import SPEC_VERSION, Event
from hub.events.fault import is_a_fault
from hub.events.heads import FEW, Heads, one_by_one, onward
from hub.events.kafka import Headers, from_headers, to_headers
from hub.registry.codec import CodecError, decode, encode
from hub.registry.columnar import apart, decode_batch, encode_batch, encoded
from hub.registry.problems import SchemaNotFoundError
from hub.registry.schemas import Registry, Schema
from hub.routes.compiler import ROW, SUBJECT, TO, CompiledRoute
from hub.routes.declaration import PythonMapping
from hub.routes.identity import derived, traces


@dataclass(frozen=True, slots=True)
class Routed:
    """What one route made of a batch, as columns: item n of each is of output n.

    `rows` are the indexes of the inputs in the batch, ascending; `headers`, texts by name, empty where there is
    none, and `values`, bytes, are what goes into Kafka, keyed by subject.
    """

    route: str
    source: str
    type: str
    rows: Sequence[int]
    headers: Mapping[str, pl.Series]
    values: pl.Series

    def texts(self, header: str) -> list[str]:
        """One header of each."""
        return self.headers[header].to_list()

    def take(self, places: Sequence[int]) -> Routed:
        """The outputs at `places`, in that order."""
        if len(places) == len(self.rows):
            return self
        at = pl.Series(places, dtype=pl.UInt32)
        headers = {name: texts[at] for name, texts in self.headers.items()}
        return replace(self, rows=[self.rows[at] for at in places], headers=headers, values=self.values[at])


@dataclass(frozen=True, slots=True)
class Refused:
    """An input that a route could not map or, without `route`, that carries no event; with the reason.

    `kind` is envelope, codec, mapping or contract.
    """

    row: int
    route: str
    reason: str
    field: str = ""
    kind: str = "mapping"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a batch. A row that is in neither met no route. `heads` are the envelopes, row by row."""

    heads: Heads
    routed: Sequence[Routed]
    refused: Sequence[Refused]

    def where(self, keep: Callable[[int, str], bool]) -> Outcome:
        """What is left of it, by row and route."""
        routed = [
            made.take([at for at, row in enumerate(made.rows) if keep(row, made.route)])
            for made in self.routed
        ]
        refused = [fault for fault in self.refused if keep(fault.row, fault.route)]
        return replace(self, routed=[made for made in routed if made.rows], refused=refused)


@dataclass(frozen=True, slots=True)
class Made:
    """One output of a route as an event, for who asks about few; `row` is the input's index."""

    row: int
    route: str
    event: Event
    value: bytes

    @property
    def party(self) -> str:
        """Whose inbox it is for."""
        return self.event.envelope.party


@dataclass(frozen=True, slots=True)
class _Batch:
    """The events of one type in a batch, with the index of each in it."""

    heads: Heads
    values: Sequence[bytes]
    rows: Sequence[int]

    def take(self, places: Sequence[int]) -> _Batch:
        """Those at `places`, in that order."""
        if len(places) == len(self.values):
            return self
        return _Batch(
            self.heads.take(places), [self.values[at] for at in places], [self.rows[at] for at in places]
        )


@dataclass(frozen=True, slots=True)
class _Job:
    """What one route has to do for a batch: `frame` has, row for row, what it reads of the events in `batch`."""

    compiled: CompiledRoute
    frame: pl.DataFrame
    batch: _Batch
    refused: list[Refused]

    def refuse(self, at: int, reason: str, field: str = "", kind: str = "mapping") -> None:
        """Take note that the route refuses the event at a place in the batch."""
        self.refused.append(Refused(self.batch.rows[at], self.compiled.route.name, reason, field, kind))


class Engine:
    """All routes, found by event type, so that an event costs only the routes that take it."""

    def __init__(self, compiled: Iterable[CompiledRoute], parties: Iterable[str], registry: Registry) -> None:
        self._by_type: dict[str, list[CompiledRoute]] = defaultdict(list)
        for route in compiled:
            self._by_type[route.input.type].append(route)
        in_order = [one for several in self._by_type.values() for one in several if one.route.ordered]
        self.ordered = frozenset(one.route.name for one in in_order)
        """Names of the routes where order matters."""
        self.in_order = frozenset(one.input.type for one in in_order)
        """The event types that they take."""
        self._parties = frozenset(parties)
        self._registry = registry

    def taking(self, event_type: str) -> Sequence[str]:
        """Names of the routes that take events of a type, in their order."""
        return [one.route.name for one in self._by_type.get(event_type, ())]

    def run(self, heads: Heads, values: Sequence[bytes]) -> Outcome:
        """Route a batch, event n having the headers and the value n; of each type's routes in their order."""
        refused = [
            Refused(row, "", reason, reason.partition(":")[0], "envelope") for row, reason in heads.faults()
        ]
        batch = _Batch(heads, values, range(len(values)))
        jobs: list[_Job] = []
        for kind, rows in _by_type(heads, {fault.row for fault in refused}).items():
            jobs += self._jobs(kind, batch.take(rows), refused)
        results = zip(jobs, _results(jobs), strict=True)
        made = [self._finish(job, result) for job, result in results if result.height]
        return Outcome(heads, [routed for routed in made if routed.rows], refused)

    def run_events(self, events: Sequence[Event]) -> tuple[list[Made], list[Refused]]:
        """As `run`, for who has events and asks about few. Outputs are in the order of their inputs."""
        refused: list[Refused] = []
        rows: list[int] = []
        values: list[bytes] = []
        headers: list[Headers] = []
        for row, event in enumerate(events):
            try:
                schema = self._registry.by_type(event.envelope.type)
                values.append(encode(schema, event.data))
            except SchemaNotFoundError:
                refused.append(_without_schema(row, event.envelope.type))
            except CodecError as error:
                refused.append(Refused(row, "", f"data: {error}", error.field, "codec"))
            else:
                rows.append(row)
                # It may have come in an older version, and goes on as the newest reads it.
                headers.append(to_headers(replace(event.envelope, dataschema=schema.path)))
        outcome = self.run(Heads.of(headers), values)
        made = [
            Made(
                rows[row],
                routed.route,
                Event(from_headers(given), decode(value, self._registry)[1]),
                value,
            )
            for routed in outcome.routed
            for row, given, value in zip(
                routed.rows, one_by_one(routed.headers), routed.values.to_list(), strict=True
            )
        ]
        made.sort(key=lambda output: output.row)  # stable: routes keep their order
        return made, refused + [replace(fault, row=rows[fault.row]) for fault in outcome.refused]

    def _jobs(self, kind: str, batch: _Batch, refused: list[Refused]) -> list[_Job]:
        """One for every route that takes events of the type; `batch` holds no others."""
        try:
            schema = self._registry.by_type(kind)
        except SchemaNotFoundError:
            refused += [_without_schema(row, kind) for row in batch.rows]
            return []
        data, read, faults = decode_batch(schema, batch.values, self._registry)
        refused += [
            Refused(batch.rows[at], "", f"data: {error}", error.field, "codec") for at, error in faults
        ]
        if faults:
            batch = batch.take(read)
        return [
            _Job(compiled, compiled.shape.frame(data, batch.heads, compiled.reads), batch, refused)
            for compiled in self._by_type.get(kind, ())
        ]

    def _finish(self, job: _Job, result: pl.DataFrame) -> Routed:
        """From what the mapping gave to what goes into Kafka."""
        compiled, batch = job.compiled, job.batch
        result = self._addressed(job, result)
        places: list[int] = result[ROW].to_list()
        values, faults = _values(compiled, result, batch, places)
        for at, error in faults:
            if isinstance(error, CodecError):
                job.refuse(places[at], str(error), error.field, "contract")
            else:
                job.refuse(places[at], f"mapping failed: {type(error).__name__}")
        if values.null_count():
            fit = values.is_not_null()
            result, values = result.filter(fit), values.filter(fit)
            places = result[ROW].to_list()
        return _routed(compiled, batch.take(places), result, values)

    def _addressed(self, job: _Job, result: pl.DataFrame) -> pl.DataFrame:
        """Without the rows that say no party of this hub, or no subject."""
        parties, subjects = result[TO].to_list(), result[SUBJECT].to_list()
        if self._parties.issuperset(parties) and all(subjects):
            return result
        fit = []
        for at, (place, party, subject) in enumerate(zip(result[ROW], parties, subjects, strict=True)):
            if party not in self._parties:
                job.refuse(place, "`to` names no party of this hub", "to")
            elif not subject:
                job.refuse(place, "`subject` is empty", "subject")
            else:
                fit.append(at)
        return result[fit]


def _without_schema(row: int, kind: str) -> Refused:
    return Refused(row, "", f"data: no schema of type {kind}", "", "codec")


def _by_type(heads: Heads, without: set[int]) -> dict[str, Sequence[int]]:
    types = heads.texts("ce_type")
    if not without and len(set(types)) == 1:
        return {types[0]: range(len(types))}
    found: dict[str, list[int]] = defaultdict(list)
    for row, kind in enumerate(types):
        if row not in without:
            found[kind].append(row)
    return dict(found)


def _results(jobs: Sequence[_Job]) -> list[pl.DataFrame]:
    """What each mapping gives; all in one go, since beginning costs more than a small batch does."""
    try:
        if all(job.frame.height < FEW for job in jobs):
            return [job.compiled.at_once(job.frame) for job in jobs]
        return pl.collect_all([job.compiled.query(job.frame) for job in jobs])
    except BaseException as error:
        if not is_a_fault(error):
            raise
    return [pl.concat([job.compiled.nothing, *_halved(job, job.frame, 0)]) for job in jobs]


def _halved(job: _Job, frame: pl.DataFrame, first: int) -> Iterator[pl.DataFrame]:
    """The mapping of a frame; where it fails, of its halves, until the bad row is found and the others go on."""
    try:
        yield job.compiled.query(frame, first).collect()
    except BaseException as error:
        if not is_a_fault(error):
            raise
        if frame.height == 1:
            job.refuse(first, f"mapping failed: {type(error).__name__}")
            return
        half = frame.height // 2
        yield from _halved(job, frame[:half], first)
        yield from _halved(job, frame[half:], first + half)


def _values(
    compiled: CompiledRoute, result: pl.DataFrame, batch: _Batch, places: Sequence[int]
) -> tuple[pl.Series, Sequence[tuple[int, Exception]]]:
    """Per row the value to write, null where there is none; and why, unless a mapping in Python wants none."""
    if compiled.passes_on:
        return pl.Series([batch.values[place] for place in places], dtype=pl.Binary), []
    fields = [column for column in result if column.name not in (ROW, TO, SUBJECT)]
    if compiled.route.python is None:
        arrays, names = [column.to_arrow() for column in fields], [column.name for column in fields]
        return encode_batch(compiled.output, pa.Table.from_arrays(arrays, names))
    rows = pl.DataFrame(fields).iter_rows(named=True)
    return apart([_by_python(compiled.route.python, row, compiled.output) for row in rows])


def _by_python(mapping: PythonMapping, row: dict[str, Any], output: Schema) -> bytes | Exception | None:
    try:
        data = mapping(row)
    except Exception as error:  # noqa: BLE001 - whatever a route's author let happen costs this event alone
        return error
    return None if data is None else encoded(output, data)


def _routed(compiled: CompiledRoute, batch: _Batch, result: pl.DataFrame, values: pl.Series) -> Routed:
    """`batch` and `result` have the same rows, as `values`."""
    route, heads = compiled.route.name, batch.heads
    parties, subjects = result[TO], result[SUBJECT]
    ids = derived(route, parties, heads)
    same = {"specversion": SPEC_VERSION, "source": f"/routes/{route}", "type": compiled.output.type}
    each = {"id": ids, "subject": subjects, "party": parties, "traceparent": traces(heads, ids)}
    if compiled.passes_on:
        each["dataschema"] = heads.series("ce_dataschema")
    else:
        same["dataschema"] = compiled.output.path
    return Routed(
        route=route,
        source=same["source"],
        type=compiled.output.type,
        rows=batch.rows,
        headers=onward(heads, same, each),
        values=values,
    )
