"""Rows of files: what is well comes through, what is not is one bad row or one refused file, never a crash."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TextIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.sdk import BadRow, Reject, csv_rows, json_lines, xml_rows

TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20)


@given(st.lists(st.tuples(TEXT, TEXT), max_size=10))
def test_whatever_csv_was_written_is_read(rows: list[tuple[str, str]]) -> None:
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerows([("a", "b"), *rows])
    file.seek(0)
    assert list(csv_rows(file)) == [{"a": a, "b": b} for a, b in rows]


def test_a_row_with_other_fields_than_the_header_is_bad_and_the_rest_goes_on() -> None:
    file = io.StringIO('a,b\n1,2\n1,2,3\n"\n\n4,5\n', newline="")
    found = list(csv_rows(file))
    assert found[0] == {"a": "1", "b": "2"}
    assert isinstance(found[1], BadRow) and found[1].reason == "the row has 3 fields where 2 are due"
    assert "1" not in found[1].reason.replace("3 fields", "")


def test_rows_that_a_stray_quote_swallowed_are_read_and_the_one_with_it_is_kept_as_it_is() -> None:
    good = [f"L{n},plain\n" for n in range(5_000)]
    for end in ("", 'M1,"quoted, too"\n', 'M1,"stray\nM2,plain\n', "M1,plain\n" * 120_000):
        file = io.StringIO('a,b\nX,"stray\n' + "".join(good) + end, newline="")
        bad, *found = csv_rows(file)
        assert bad == BadRow("the line is not CSV", 'X,"stray')
        assert found[:5_000] == [{"a": f"L{n}", "b": "plain"} for n in range(5_000)]
        assert found[5_000:6_000] == list(csv_rows(io.StringIO("a,b\n" + end, newline="")))[:1_000]


def test_lines_of_which_nobody_knows_where_a_row_begins_are_kept_together() -> None:
    lines = 'L1,"1 High Street\nTown\nknown as "The Anchor", too"\n'
    found = list(csv_rows(io.StringIO(f"a,b\n{lines}L2,plain\n", newline="")))
    assert found == [BadRow("3 lines are not CSV", lines), {"a": "L2", "b": "plain"}]


def test_a_file_of_nothing_but_open_quotes_is_read_once_and_piece_by_piece() -> None:
    line = 'L1","plain\n'
    found = list(csv_rows(io.StringIO("a,b\n" + line * 300_000, newline="")))
    assert "".join(row.text for row in found if isinstance(row, BadRow)) == line * 300_000
    assert len(found) == 4
    assert all(len(row.text) < 950_000 for row in found if isinstance(row, BadRow)), "no record holds it"


@pytest.mark.parametrize("text", ["", "\n", ",\n", "a,a\n1,2\n"])
def test_a_file_without_a_usable_header_is_refused(text: str) -> None:
    with pytest.raises(Reject, match="header"):
        list(csv_rows(io.StringIO(text, newline="")))


def test_lines_that_are_no_json_objects_are_bad_by_themselves() -> None:
    lines = ['{"a": 1}', "", "[1]", "nonsense", "[" * 100_000, '{"a": 2}']
    found = list(json_lines(io.StringIO("\n".join(lines))))
    assert [row["a"] for row in found if isinstance(row, dict)] == [1, 2]
    assert len([row for row in found if isinstance(row, BadRow)]) == 3


def read_in_little_memory(read: Callable[[TextIO], Iterable[Any]], path: Path, end: bytes = b"") -> list[Any]:
    """What a file is read as that a full disk left: NULs, many times as many as may be held, and `end` behind them."""
    with path.open("wb") as made:
        made.truncate(64 << 20)
        made.seek(0, io.SEEK_END)
        made.write(end)
    tracemalloc.start()
    try:
        with path.open(encoding="utf-8", newline="") as file:
            found = list(read(file))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 << 20
    return found


@pytest.mark.parametrize(
    ("read", "line", "row"),
    [
        (json_lines, b'{"a": "1"}\n', {"a": "1"}),
        (lambda file: csv_rows(file, ["a", "b"]), b"1,2\r\n", {"a": "1", "b": "2"}),
    ],
)
def test_a_line_of_whatever_length_is_one_bad_row_and_is_read_in_little_memory(
    read: Callable[[TextIO], Iterable[Any]], line: bytes, row: dict[str, str], tmp_path: Path
) -> None:
    bad = BadRow("the line has more than 900000 characters")
    assert read_in_little_memory(read, tmp_path / "one", b"\n" + line) == [bad, row]
    assert read_in_little_memory(read, tmp_path / "two") == [bad]


def test_a_line_that_is_too_long_does_not_take_the_row_before_it_along() -> None:
    long = "L2," + "x" * 900_000
    for first, bad in (("L1,plain", []), ('L1,"stray', [BadRow("the line is not CSV", 'L1,"stray')])):
        found = list(csv_rows(io.StringIO(f"a,b\n{first}\nL0,plain\n{long}\nL3,plain\n", newline="")))
        kept = bad or [{"a": "L1", "b": "plain"}]
        too_long = BadRow("the line has more than 900000 characters")
        assert found == [*kept, {"a": "L0", "b": "plain"}, too_long, {"a": "L3", "b": "plain"}]


@given(st.lists(st.dictionaries(st.sampled_from(["a", "b"]), st.text("xyz 0123", min_size=1), min_size=1)))
def test_elements_of_xml_are_read_wherever_they_stand(rows: list[dict[str, str]]) -> None:
    inner = "".join(
        f"<Row>{''.join(f'<{name}>{text}</{name}>' for name, text in row.items())}</Row>" for row in rows
    )
    file = _xml(f'<?xml version="1.0"?><t:All xmlns:t="urn:t"><t:Some>{inner}</t:Some></t:All>')
    assert list(xml_rows(file, "Row")) == [{name: text.strip() for name, text in row.items()} for row in rows]


def test_what_came_before_a_break_in_the_xml_is_kept() -> None:
    rows, found = xml_rows(_xml("<All><Row><a>1</a></Row><Row><a>2</a></Row><Row>"), "Row"), []
    with pytest.raises(Reject, match="not well-formed at line 1"):
        for row in rows:
            found.append(row)
    assert found == [{"a": "1"}, {"a": "2"}]


@pytest.mark.parametrize(
    "document",
    [
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a><Row>&x;</Row></a>',
        '<!DOCTYPE a [<!ENTITY x "xx"><!ENTITY y "&x;&x;">]><a><Row>&y;</Row></a>',
    ],
)
def test_entities_and_document_types_are_refused(document: str) -> None:
    with pytest.raises(Reject, match="refused"):
        list(xml_rows(_xml(document), "Row"))


@given(st.text(max_size=200))
def test_no_text_crashes_a_reader(text: str) -> None:
    readers: list[Any] = [csv_rows, json_lines, lambda file: xml_rows(_xml(text), "Row")]
    for read in readers:
        try:
            for row in read(io.StringIO(text, newline="")):
                assert isinstance(row, dict | BadRow)
                json.dumps(row if isinstance(row, dict) else row.reason)
        except Reject as reject:
            assert reject.reason


def _xml(text: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(text.encode("utf-8", "surrogatepass")), encoding="utf-8")
