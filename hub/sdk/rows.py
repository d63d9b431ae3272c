"""Readers for `FileDropSource.read`: rows of CSV, JSON lines and XML, in a stream; a bad one does not end it."""

from __future__ import annotations

import csv
import json
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TextIO
from xml.etree.ElementTree import Element, ParseError  # types alone: defusedxml reads

import msgspec
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from hub.sdk.errors import Reject

Row = Mapping[str, Any]

#: Longest row, and line, characters: what is longer is a quote that was never closed, or no lines at all (a disk that
#: was full leaves NULs), and no record would hold it.
LONGEST_ROW = 900_000

_encode = msgspec.json.Encoder(order="deterministic").encode  # so that rows can be compared by their bytes


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be read at all. It is landed as `text` and set aside for `reason`, which names no value."""

    reason: str
    text: str = ""


def csv_rows(
    file: TextIO, columns: Sequence[str] | None = None, **dialect: Any
) -> Iterator[dict[str, str] | BadRow]:
    """Rows of CSV (RFC 4180) by the names in the first line, or by `columns` where there is no such line.

    Names are stripped. A row with more or fewer fields than names is bad; so is one of more than 900,000 characters,
    of which nothing is kept where they are one line. Lines that a quote which is never closed takes into its row are
    rows still, where each is one by itself. Empty lines are passed over. Raises Reject for a header that is empty or
    says one name twice: nothing of such a file can be understood.
    """
    csv.field_size_limit(LONGEST_ROW)
    lines = _Lines(_bounded(file))
    reader = csv.reader(lines, strict=True, **dialect)
    names = list(columns) if columns else _header(reader)
    while True:
        lines.begin()
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield _broken(lines, len(names), dialect)
            continue
        if not fields:
            continue
        if len(fields) == len(names):
            yield dict(zip(names, fields, strict=True))
        else:
            yield BadRow(f"the row has {len(fields)} fields where {len(names)} are due", json.dumps(fields))


class _Lines:
    """The lines of a file, of which `taken` went into the row in hand; what is given back comes again first."""

    def __init__(self, lines: Iterator[str]) -> None:
        self.taken: list[str] = []
        self._length = 0
        self._again: deque[str] = deque()
        self._lines = lines

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._lines)
        self.taken.append(line)
        self._length += len(line)
        if self._length > LONGEST_ROW:
            raise csv.Error
        return line

    def begin(self) -> None:
        self.taken, self._length = [], 0

    def give_back(self, lines: Sequence[str]) -> None:
        self._again.extendleft(reversed(lines))


def _bounded(file: TextIO) -> Iterator[str]:
    """The lines of a file; of one that is too long as much as tells that, so that memory stays flat."""
    read = partial(file.readline, LONGEST_ROW + 1)
    for line in iter(read, ""):
        yield line
        piece = line
        while len(piece) > LONGEST_ROW and not piece.endswith(("\n", "\r")):
            piece = read()


def _too_long(line: str) -> BadRow | None:
    return BadRow(f"the line has more than {LONGEST_ROW} characters") if len(line) > LONGEST_ROW else None


def _broken(lines: _Lines, due: int, dialect: Mapping[str, Any]) -> BadRow:
    """The line with which the row in hand began, or all that it took, where it is not sure that the rest are rows."""
    first, *rest = lines.taken
    # The last is where it broke: a row by itself or, after others that are, the start of one.
    if all(_is_row(line, due, dialect) for line in rest[:-1] or rest):
        lines.give_back(rest)
        return _too_long(first) or BadRow("the line is not CSV", first.rstrip("\r\n"))
    return BadRow(f"{len(lines.taken)} lines are not CSV", "".join(lines.taken))


def _is_row(line: str, due: int, dialect: Mapping[str, Any]) -> bool:
    """Whether a line is a whole row by itself; not one with quotes inside, which may be the end of another row."""
    try:
        fields = next(csv.reader([line], strict=True, **dialect))
    except csv.Error:
        return False
    quote = dialect.get("quotechar") or '"'
    return len(fields) == due and not any(quote in field for field in fields)


def _header(reader: Iterator[list[str]]) -> list[str]:
    try:
        names = [name.strip() for name in next(reader, [])]
    except csv.Error:
        names = []
    if not any(names):
        raise Reject("the file has no header", field="header", kind="header")
    if len(set(names)) != len(names):
        raise Reject("the header says one name twice", field="header", kind="header")
    return names


def json_lines(file: TextIO) -> Iterator[dict[str, Any] | BadRow]:
    """One JSON object a line; empty lines are passed over. One of more than 900,000 characters is bad, and not kept."""
    for line in _bounded(file):
        if bad := _too_long(line):
            yield bad
            continue
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        yield row if isinstance(row, dict) else BadRow("the line is not a JSON object", line.rstrip("\n"))


def xml_rows(file: TextIO, tag: str) -> Iterator[dict[str, Any]]:
    """Every element named `tag` (without namespace) as a mapping, in a stream.

    A child without children of its own is its text, another is a mapping; children of one name are a list;
    attributes are named `@name`. The encoding is the document's own. Entities and document types are refused.
    Raises Reject where the document is not well-formed or holds what is refused: what came before is kept.
    """
    source = getattr(file, "buffer", file)
    path: list[Element] = []
    try:
        for event, element in iterparse(source, ("start", "end"), forbid_dtd=True):
            if event == "start":
                path.append(element)
                continue
            path.pop()
            if _local(element.tag) == tag:
                yield _mapping(element)
            if path and not any(_local(above.tag) == tag for above in path):
                path[-1].remove(element)  # so that memory stays flat
    except ParseError as error:
        line, _ = error.position
        raise Reject(f"the XML is not well-formed at line {line}", field="xml", kind="xml") from None
    except DefusedXmlException as error:
        raise Reject(
            f"the XML holds what is refused: {type(error).__name__}", field="xml", kind="xml"
        ) from None


def _mapping(element: Element) -> dict[str, Any]:
    found: dict[str, Any] = {f"@{_local(name)}": value for name, value in element.attrib.items()}
    for child in element:
        value = _mapping(child) if len(child) else (child.text or "").strip()
        name = _local(child.tag)
        if name in found:
            known = found[name]
            found[name] = [*known, value] if isinstance(known, list) else [known, value]
        else:
            found[name] = value
    return found


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def encoded(row: Row | BadRow) -> tuple[bytes, str]:
    """A row as the bytes of a raw record, and why it cannot be read; empty for a row that can.

    `csv.DictReader` gives fields beyond the header under None, and a file that is not in the encoding that it
    should be has lone surrogates.
    """
    if isinstance(row, BadRow):
        return row.text.encode(errors="backslashreplace"), row.reason
    if None in row:
        return json.dumps(list(row.values())).encode(), "the row has more fields than the header"
    try:
        return _encode(row), ""
    except UnicodeEncodeError:
        return json.dumps(row).encode(), "the row is not in the encoding of the file"
