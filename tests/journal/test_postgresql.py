"""A journal on PostgreSQL: away, locked or frozen it is explained within seconds, and is used again afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import psycopg
import pytest

from hub.journal import postgresql
from hub.journal.database import JournalAwayError, JournalError, JournalRefusedError
from hub.journal.queries import Queries
from hub.journal.store import Journal
from tests.postgres import Postgres, postgres


@pytest.fixture(scope="module")
def own() -> Iterator[Postgres]:
    """A server that may be stopped."""
    with postgres() as server:
        yield server


@pytest.fixture
def url(own: Postgres) -> str:
    own.clear()
    return own.url


def test_one_that_is_away_is_explained_and_used_again_when_it_is_back(
    own: Postgres, url: str, case: Any
) -> None:
    journal, queries = Journal.open(url), Queries(url)
    own.stop()
    for use in (lambda: journal.apply(case().whole()), queries.counts):
        with pytest.raises(JournalAwayError, match=r"it does not answer .*refused"):
            use()
    own.start()
    journal.apply(case().whole())
    assert sum(queries.counts().outcomes.values()) == 6


def test_one_that_is_away_at_first_is_made_when_it_is_there(own: Postgres, url: str, case: Any) -> None:
    own.stop()
    journal, queries = Journal.open(url), Queries(url)
    with pytest.raises(JournalAwayError):
        journal.apply(case().whole())
    own.start()
    journal.apply(case().whole())
    assert sum(queries.counts().outcomes.values()) == 6


def test_one_that_is_frozen_is_away_within_seconds_and_nothing_is_half_written(
    own: Postgres, url: str, case: Any
) -> None:
    journal, queries = Journal.open(url, wait_s=0.5), Queries(url, wait_s=0.5)
    with journal._database.writing() as connection:
        own.pause()
        with pytest.raises(JournalAwayError, match="it does not answer"):
            journal.apply(case().whole())
        with pytest.raises(JournalAwayError, match="it does not answer"), queries._database._explained():
            connection.exec_driver_sql("SELECT 1")
        own.resume()
        connection.close()
    assert queries.counts().outcomes == {}
    journal.apply(case().whole())
    assert sum(queries.counts().outcomes.values()) == 6


def test_a_locked_one_is_explained_and_the_batch_can_come_again(url: str, case: Any) -> None:
    journal = Journal.open(url, wait_s=0.1)
    with psycopg.connect(url) as other:
        other.execute(postgresql.ALONE.encode())
        with pytest.raises(JournalAwayError, match="another program has held its lock"):
            journal.apply(case().whole())
    journal.apply(case().whole())


def test_a_database_that_is_not_there_is_explained(url: str, case: Any) -> None:
    journal = Journal.open(url.removesuffix("postgres") + "elsewhere")
    with pytest.raises(
        JournalAwayError, match=r'it does not answer \(.*database "elsewhere" does not exist\)'
    ):
        journal.apply(case().whole())


def test_tables_that_are_gone_are_no_passing_trouble(own: Postgres, url: str, case: Any) -> None:
    journal = Journal.open(url)
    journal.apply(case().whole())
    own.clear()
    with pytest.raises(JournalError) as caught:
        journal.apply(case().whole())
    assert not isinstance(caught.value, JournalAwayError)
    journal.apply(case().whole())  # they are made anew


def test_a_text_that_postgresql_cannot_hold_is_kept_as_near_as_it_can_be_and_found(
    url: str, case: Any
) -> None:
    journal, queries = Journal.open(url), Queries(url)
    journal.apply(case("a\0b").whole())
    assert queries.trace("pay-a\0b") == queries.trace("pay-a\N{REPLACEMENT CHARACTER}b")


def test_a_text_that_no_index_holds_is_kept_in_part_and_found_by_the_whole_of_it(url: str, case: Any) -> None:
    journal, queries = Journal.open(url), Queries(url)
    one = "".join(chr(0x10000 + 7919 * at % 60_000) for at in range(5_000))
    for number, text in enumerate((one, one[:-1] + "?")):
        long = {"subject": text, "correlation_id": f"case {text}", "causation_id": f"raw {text}"}
        journal.apply([msgspec.structs.replace(case(str(number)).translated(), **long)])
    kept = queries.show("paid-0").event
    for asked in (one, f"case {one}", kept.subject, kept.correlation_id):
        assert [node.id for node in queries.trace(asked)] == ["paid-0"]
    assert [event.id for event in queries.search(subject=one).items] == ["paid-0"]


@pytest.mark.parametrize("value", [{"attempt": 1 << 40}, {"status": 1 << 40}])
def test_what_no_column_holds_is_told_from_what_is_wrong_with_the_database(
    own: Postgres, url: str, case: Any, value: dict[str, int]
) -> None:
    journal = Journal.open(url)
    with pytest.raises(JournalRefusedError):
        journal.apply([msgspec.structs.replace(case().attempt(30, 1, 503), **value)])
    own.clear()
    with pytest.raises(JournalError) as caught:
        journal.apply(case().whole())
    assert not isinstance(caught.value, JournalRefusedError)
