"""File drops: the system leaves files, the hub takes them row by row; or whole registers, told by what changed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Generic, Literal, TextIO

import msgspec
from pydantic import AwareDatetime, Field, ValidationError

from hub.events.ids import derive
from hub.sdk.connector import NO_ATTRIBUTES, Attributes, C, R, Record, Source, reject_from
from hub.sdk.errors import Reject, Stop
from hub.sdk.places import FileSettings, Found, Place
from hub.sdk.rows import BadRow, Row
from hub.sdk.webhook import lookup


@dataclass(frozen=True, slots=True)
class Dropped:
    """A file as it was taken: its name, when it was last changed, and the hash of its bytes (SHA-256, hex)."""

    name: str
    modified: datetime
    digest: str

    def attributes(self, line: int) -> dict[str, str]:
        """What is kept beside a row: `file`, `line` (rows counted from 1), `modified`."""
        return {"file": self.name, "line": str(line), "modified": self.modified.isoformat()}


class FileDropSource(Source[C, R], Generic[C, R]):
    """A source whose system leaves files in a folder, here or over SFTP.

    On the worker that holds the instance, every `every`:

    1. the files that match `pattern` are listed and, oldest first, each that is complete is taken: one whose size
       and time did not change for `settled_after`, or, with `marker`, one beside which the marker lies. One whose
       name is not printable, or has a backslash, is passed over, which the log tells;
    2. it is copied to local disk and hashed. **The same bytes twice are one file**: a repeat is archived and
       tells nothing;
    3. `read` yields its rows, in a thread of its own. They are landed in Kafka by the thousand, or fewer where they
       are large, each portion in one transaction with how far the file was read: a worker that dies is succeeded by
       one that goes on after the last row committed, neither skipping nor repeating;
    4. the file is moved to the folder `archive` below, or to `quarantine` where it cannot be read at all: `read`
       raised `Reject`, or anything else, which is told by its type. So is one of which Kafka refuses what its
       rows lead to. Rows landed before that stay landed. What has another size or time by then than when it was
       taken is left, and taken as a new file.

    A file that cannot be fetched, or moved, is tried again and told by `hub status`; the others go first, unless the
    source is `ordered`.

    A row that cannot be read is a `BadRow`, one that does not fit `record_model` or whose `events` raise `Reject`
    likewise: each is set aside as a dead letter with its line and reason, and the rest goes on.

    `read` must give the same rows for the same bytes, and no row may depend on more than the file.
    """

    name = "files"
    kind = "files"
    every: ClassVar[timedelta] = timedelta(minutes=1)
    #: How long listing, or one piece of a file, may take; then the round is cancelled and begun again later.
    patience: ClassVar[timedelta] = timedelta(minutes=2)
    #: Names of the files, as a shell pattern, case and all.
    pattern: ClassVar[str] = "*"
    #: How long a file must not have changed before it counts as complete, unless the config has it.
    settled_after: ClassVar[timedelta] = timedelta(seconds=10)
    #: Where the system leaves an empty file when a file is complete: its name, `{name}.done`. Empty: no marker.
    marker: ClassVar[str] = ""
    #: How the text is encoded. Bytes that are not set their row aside. (XML says its own.)
    encoding: ClassVar[str] = "utf-8-sig"
    archive: ClassVar[str] = "archive"
    quarantine: ClassVar[str] = "quarantine"

    def place(self) -> Place:
        """Where the files are; by the config, where it is a `FileSettings`. Called once."""
        if isinstance(self.config, FileSettings):
            return self.config.place()
        raise Stop(f"{type(self).__name__} does not say where its files are: define place()")

    def read(self, file: TextIO) -> Iterable[Row | BadRow]:
        """The rows of one file, in a stream: `csv_rows`, `json_lines`, `xml_rows`, `csv.DictReader`, or your own.

        Newlines come as they are in the file (`newline=""`). Runs in a thread; must not keep the file.
        """
        raise NotImplementedError

    def raw_id(self, file: Dropped, line: int) -> str:
        """The id of the raw record of a row: the same row of the same file, the same id."""
        return derive(self.instance.source, self.name, file.digest, str(line))

    def raw_key(self, row: Mapping[str, Any], raw_id: str) -> str:
        """The Kafka key of the raw record: the entity, so that its rows stay in order."""
        return lookup(row, self.key_field) or raw_id

    def is_complete(self, found: Found, listed: Mapping[str, Found], unchanged_s: float) -> bool:
        """Whether a listed file may be taken. `listed` is all that lies in the folder, by name; `unchanged_s` how
        long we have seen it with this size and time."""
        if self.marker:
            return self.marker.format(name=found.name) in listed
        told = self.config.settled_after_seconds if isinstance(self.config, FileSettings) else None
        return unchanged_s >= (self.settled_after.total_seconds() if told is None else told)


class Change(Record, Generic[R]):
    """How one entry of a register differs from the register before.

    `key` is the row's key; `before` is missing for `added`, `after` for `removed`. `at` is the time of the
    file, the best that is known of when it happened, and `id` tells this change from every other of the key, and
    is the same when the same change is worked out again: make it part of the fact's key.
    """

    kind: Literal["added", "changed", "removed"]
    key: str
    at: AwareDatetime
    id: str = Field(min_length=1)
    before: R | None = None
    after: R | None = None

    @property
    def row(self) -> R:
        """What is known of the entry now, or last: `after`, or `before` for one that was removed."""
        known = self.after if self.after is not None else self.before
        assert known is not None  # the validator of `RegisterSource.parse` saw to it
        return known

    def differs(self, *fields: str) -> bool:
        """Whether any of these fields of the row changed; true for what was added or removed."""
        if self.before is None or self.after is None:
            return True
        return any(getattr(self.before, name) != getattr(self.after, name) for name in fields)


class RegisterSource(FileDropSource[C, Change[R]], Generic[C, R]):
    """A file drop where every file is the whole register, and what matters is what changed since the last one.

    As `FileDropSource`, except that rows are compared by `row_key` with the register as it stood: what was added,
    changed or removed is landed as one raw record each and given to `events` as a `Change`; equal rows cost
    nothing downstream. The very first register is all `added`. The state is in Kafka (`hub.registers`), with a
    copy on the worker's disk that can be dropped, so memory stays flat however long the register is.

    They are taken in their order: one that cannot be fetched is waited for. A repeat of the register that was taken
    last tells nothing; an older one seen again is a register like any other, since registers do go back. Two rows
    with one key: the second is set aside. A row that does not fit `row_model` is set aside once; what comes after it
    is compared with the last that fitted, and counts as added where none did. A row that is too large for Kafka, by
    itself or beside the one before it, is set aside with every register, and the entry stays as it was.

    A register that lost more than `most_removed` of its entries is more likely cut off than true, and one that lost
    any beside rows that cannot be read, or have no key, may have them still: what it adds and changes is told, its
    removals are not, and the file goes to quarantine with that reason. The next register tells what is gone.
    """

    kind = "register"
    row_model: ClassVar[type[Record]]
    #: The share of entries that may disappear at once. 1 lets all of them.
    most_removed: ClassVar[float] = 0.3

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        model = cls.__dict__.get("record_model")
        if model is not None and not issubclass(model, Change):
            cls.row_model = model
            cls.record_model = Change[model]  # type: ignore[valid-type]

    def row_key(self, row: Mapping[str, Any]) -> str:
        """What identifies an entry from register to register: its case or licence number. Empty sets it aside."""
        raise NotImplementedError

    def supersedes(self, before: R, after: R) -> bool:
        """Whether later rows are compared with `after`, and not with `before` still: an application to renew a
        licence, say, leaves that as it was. Pure. What it raises is logged by its type, and counts as no."""
        return True

    def events(self, record: Change[R]) -> Iterator[Any]:
        """The facts that a change tells; pure. See `Source.events`."""
        raise NotImplementedError

    def parse(self, body: bytes, attributes: Attributes = NO_ATTRIBUTES) -> Change[R]:
        """A landed change. What was there before and never fitted the model counts as absent."""
        try:
            told = json.loads(body)
            if not isinstance(told, dict):
                raise ValueError
        except (ValueError, RecursionError):
            raise Reject("the record is not a change of a register", field="body") from None
        before = told.get("before")
        if before is not None and self._read(before) is None:
            if told.get("kind") == "removed":
                raise Reject("what was removed had never been readable", field="before")
            told |= {"kind": "added", "before": None}
        try:
            change = self.record_model.model_validate(told)
        except ValidationError as error:
            raise reject_from(error) from None
        assert isinstance(change, Change)
        if (change.after is None) != (change.kind == "removed") or (change.before is None) != (
            change.kind == "added"
        ):
            raise Reject(f"kind: {change.kind} does not go with what is there", field="kind")
        return change

    def replaces(self, before: Any, after: Any) -> bool:
        """Whether later rows are compared with `after`: where it fits, and `supersedes` a row that does."""
        known, read = self._read(before), self._read(after)
        return read is not None and (known is None or self.supersedes(known, read))

    def _read(self, row: Any) -> Any:
        try:
            return self.row_model.model_validate(row)
        except Exception:  # noqa: BLE001 - a model's own validators may raise anything
            return None

    def change_key(self, key: str, row: Mapping[str, Any]) -> str:
        """The Kafka key of a change: what `key_field` finds in the row, or else the row's key."""
        return lookup(row, self.key_field) or key


def change_of(
    key: str, before: bytes | None, after: bytes | None, modified: datetime, number: int
) -> dict[str, Any]:
    """A change as it is landed. `before` and `after` are JSON; `number` counts the registers of the instance."""
    kind = "added" if before is None else "removed" if after is None else "changed"
    told = {"kind": kind, "key": key, "at": modified.astimezone(UTC).isoformat(), "id": f"{key}:{number}"}
    return told | {name: row and msgspec.Raw(row) for name, row in (("before", before), ("after", after))}
