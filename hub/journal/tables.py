"""The journal's tables: SQLite on one machine, PostgreSQL for many. Metadata only; there is no payload column."""

from __future__ import annotations

import hashlib
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Dialect,
    Float,
    Index,
    Integer,
    MetaData,
    Table,
    TypeDecorator,
    literal_column,
)
from sqlalchemy import String as _String

VERSION = 4
"""Goes up with any change of the tables; an older journal is dropped and rebuilt from Kafka."""

metadata = MetaData()


_LONGEST = 600
"""Characters of a text in PostgreSQL, of whose indices no entry may be over 2,704 bytes: at four bytes each, with
room for another key. The reason of a dead letter is shorter."""


def storable(text: str) -> str:
    """As PostgreSQL's texts can hold it: without NUL, and the end of a long one in 32 characters that are its own."""
    text = text.replace("\0", "\ufffd")
    if len(text) <= _LONGEST:
        return text
    whole = hashlib.blake2b(text.encode(errors="replace"), digest_size=16).hexdigest()
    return f"{text[: _LONGEST - 1 - len(whole)]}…{whole}"


class String(TypeDecorator[str]):
    """Text, by code point everywhere, as Python compares: which is greater must not hang on a locale."""

    impl = _String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        """Of the dialect."""
        return _String(collation="C" if dialect.name == "postgresql" else None)

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """A value on its way there."""
        return storable(value) if value and dialect.name == "postgresql" else value


_Serial = BigInteger().with_variant(Integer, "sqlite")

meta = Table("meta", metadata, Column("version", Integer, primary_key=True))

# Partitions whose reading began at their start for this database: of them it has all up to where the group goes on.
begun = Table(
    "begun",
    metadata,
    Column("topic", String, primary_key=True),
    Column("partition", Integer, primary_key=True),
)

events = Table(
    "events",
    metadata,
    Column("id", String, primary_key=True),
    Column("type", String, nullable=False),
    Column("source", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("party", String, nullable=False),
    Column("route", String, nullable=False),
    Column("correlation_id", String, nullable=False),
    Column("causation_id", String, nullable=False),
    Column("first_at", Float, nullable=False),
    Column("last_at", Float, nullable=False),
    Column("state", String, nullable=False),
    Column("state_at", Float, nullable=False),
    Column("state_rank", Integer, nullable=False),
    Index("events_by_correlation", "correlation_id"),
    Index("events_by_causation", "causation_id"),
    Index("events_by_subject", "subject"),
    Index("events_by_time", "first_at", "id"),
)

steps = Table(
    "steps",
    metadata,
    Column("number", _Serial, primary_key=True, autoincrement=True),
    Column("digest", String, nullable=False, unique=True),
    Column("event_id", String, nullable=False, index=True),
    Column("at", Float, nullable=False),
    Column("stage", String, nullable=False),
    Column("outcome", String, nullable=False),
    Column("type", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("party", String, nullable=False),
    Column("source", String, nullable=False),
    Column("correlation_id", String, nullable=False),
    Column("causation_id", String, nullable=False),
    Column("route", String, nullable=False),
    Column("subscription", String, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("status", Integer, nullable=False),
    Column("reason", String, nullable=False),
    Column("topic", String, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("dead_letter", String, nullable=False),
)
# These indices are partial, since few steps are such. A database uses one only where it can see that a query asks
# for no others; with the value in the text of the query, and not bound to it, it always can.
REPEATED = steps.c.outcome == literal_column("'duplicate'")
"""A raw record told again what an event had told."""
OF_A_LETTER = steps.c.dead_letter != literal_column("''")
Index("steps_by_repeat", steps.c.causation_id, sqlite_where=REPEATED, postgresql_where=REPEATED)
Index("steps_by_letter", steps.c.dead_letter, sqlite_where=OF_A_LETTER, postgresql_where=OF_A_LETTER)

# How many steps there are of each kind: counting millions of them takes too long for each scrape of the metrics.
tallies = Table(
    "tallies",
    metadata,
    Column("stage", String, primary_key=True),
    Column("outcome", String, primary_key=True),
    Column("count", BigInteger, nullable=False),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("event_id", String, primary_key=True),
    Column("subscription", String, primary_key=True),
    Column("state", String, nullable=False),
    Column("state_rank", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("status", Integer, nullable=False),
    Column("reason", String, nullable=False),
    Column("first_at", Float, nullable=False),
    Column("at", Float, nullable=False),
)
WAITING = deliveries.c.state == literal_column("'attempt-failed'")
"""The delivery waits for another attempt."""
Index("deliveries_waiting", deliveries.c.event_id, sqlite_where=WAITING, postgresql_where=WAITING)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("id", String, primary_key=True),
    Column("fingerprint", String, nullable=False, index=True),
    Column("stage", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("field", String, nullable=False),
    Column("event_id", String, nullable=False, index=True),
    Column("type", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("party", String, nullable=False),
    Column("connector", String, nullable=False),
    Column("route", String, nullable=False),
    Column("subscription", String, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("at", Float, nullable=False),
    Column("origin_topic", String, nullable=False),
    Column("origin_partition", Integer, nullable=False),
    Column("origin_offset", BigInteger, nullable=False),
    Column("position_topic", String, nullable=False),
    Column("position_partition", Integer, nullable=False),
    Column("position_offset", BigInteger, nullable=False),
    Column("status", String, nullable=False),
    Index("dead_letters_by_status", "status"),
)
