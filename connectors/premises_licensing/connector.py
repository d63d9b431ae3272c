"""A council's register of premises licences: what changed in it, and its fees that were paid, told to it."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, TextIO

from connectors.premises_licensing.config import Config
from connectors.premises_licensing.mapping import facts, renewal_facts
from connectors.premises_licensing.records import Answer, Licence, dated
from hub.events.generated.licensing import (
    FeePaid,
    PremisesLicenceEnded,
    PremisesLicenceFeeDue,
    PremisesLicenceGranted,
    PremisesLicenceRenewed,
    PremisesLicenceRevoked,
    PremisesLicenceSuspended,
    PremisesLicenceVaried,
)
from hub.sdk import (
    BadRow,
    Change,
    Event,
    Fact,
    FileSink,
    OutcomeSink,
    Outgoing,
    Place,
    Receipt,
    RegisterSource,
    Reject,
    Retry,
    csv_rows,
    london_day,
)
from hub.sdk.identifiers import todays_council

#: How often to look for an answer, seconds.
_LOOK_S = 0.5


class PremisesRegister(RegisterSource[Config, Licence]):
    """The whole register, as CSV with the columns of the LGA's open data scheme."""

    name = "register"
    emits = (
        PremisesLicenceGranted,
        PremisesLicenceVaried,
        PremisesLicenceSuspended,
        PremisesLicenceRevoked,
        PremisesLicenceEnded,
        PremisesLicenceFeeDue,
    )
    pattern = "*.csv"

    def read(self, file: TextIO) -> Iterator[dict[str, str] | BadRow]:
        """Rows with the day their fee is due on in place of the day of the extract."""
        for row in csv_rows(file):
            if isinstance(row, BadRow):
                yield row
            elif "ExtractDate" not in row:
                raise Reject("the file has no ExtractDate", field="header", kind="header")
            else:
                try:
                    yield dated(row)
                except ValueError as error:
                    yield BadRow(f"ExtractDate: {error}", json.dumps(row))

    def row_key(self, row: Mapping[str, Any]) -> str:
        """The council's reference."""
        return str(row["CaseReference"]).strip()

    def supersedes(self, before: Licence, after: Licence) -> bool:
        """Not where there is an application under way: what was in force is so until that is decided."""
        return not (before.stands and after.standing == "pending")

    def events(self, record: Change[Licence]) -> Iterator[Fact]:
        """See `mapping`."""
        return facts(record, todays_council(self.instance.party))


class Renewals(FileSink[Config], OutcomeSink[Config, Answer]):
    """Fees that were paid, as one file each in the folder where the back office takes renewals.

    It answers beside it: `renewal-<key>.answer.csv`. The delivery is done when that says that the licence is
    renewed. What is still being written is no answer yet. (The interface is our own; see the README.)
    """

    name = "renewals"
    accepts = (FeePaid,)
    emits = (PremisesLicenceRenewed,)
    key_field = "CaseReference"

    @property
    def used(self) -> bool:
        """Where the back office takes renewals."""
        return bool(self.config.renewals_folder)

    def place(self) -> Place:
        """The other folder of the same server."""
        return self.config.model_copy(update={"folder": self.config.renewals_folder}).place()

    def wants(self, event: Event) -> bool:
        """Fees for premises licences, by the payment's word or, where it has none, by the reference."""
        kind = event.data["licence_type"]
        return kind == "premises" or (
            kind is None and str(event.data["licence_reference"]).startswith("PREM")
        )

    def file(self, event: Event, key: str) -> Outgoing:
        """One line under a header."""
        fee, text = self.data_of(event), io.StringIO(newline="")
        assert isinstance(fee, FeePaid)
        writer = csv.writer(text)
        writer.writerow(("CaseReference", "PaymentReference", "Amount", "PaidOn"))
        amount = f"{fee.amount // 100}.{fee.amount % 100:02}"
        writer.writerow(
            (fee.licence_reference, fee.payment_id, amount, f"{london_day(fee.paid_at):%d/%m/%Y}")
        )
        return Outgoing(f"renewal-{key}.csv", text.getvalue().encode())

    async def deliver(self, event: Event, key: str) -> Receipt:
        """Write the file and wait for the answer to it; one to an earlier attempt is put aside."""
        with suppress(Reject):
            await self.files.move(_answer_to(key), "superseded", _answer_to(key))
        await super().deliver(event, key)
        loop = asyncio.get_running_loop()
        until = loop.time() + self.config.answer_within_seconds
        while loop.time() < until:
            if row := _whole(await self._answer(key)):
                return _judged(row)
            await asyncio.sleep(_LOOK_S)
        answer = await self._answer(key)
        if answer is None:
            raise Retry("the back office has not answered")
        return _judged(_row(answer))

    async def find(self, event: Event, key: str) -> Receipt | None:
        """The answer to an earlier attempt, if it can be read. Raises Reject where it is a refusal.

        Whoever waited for the end of its last line may be gone: what does not grow any more counts as it is.
        """
        before, answer = None, await self._answer(key)
        while answer is not None and answer != before and not _whole(answer):
            await asyncio.sleep(_LOOK_S)
            before, answer = answer, await self._answer(key)
        row = _row(answer) if answer is not None else None
        return _judged(row) if row else None

    async def _answer(self, key: str) -> bytes | None:
        try:
            return b"".join([chunk async for chunk in self.files.read(_answer_to(key))])
        except Reject:
            return None

    def events(self, record: Answer) -> Iterator[Fact]:
        """See `mapping`."""
        return renewal_facts(record, todays_council(self.instance.party))


def _answer_to(key: str) -> str:
    return f"renewal-{key}.answer.csv"


def _whole(answer: bytes | None) -> dict[str, str] | None:
    """The row of an answer that is written to its end."""
    return _row(answer) if answer and answer.endswith((b"\n", b"\r")) else None


def _row(answer: bytes) -> dict[str, str] | None:
    """The first row below the header, if both can be read."""
    with suppress(Reject):
        row = next(csv_rows(io.StringIO(answer.decode(errors="replace"), newline="")), None)
        return row if isinstance(row, dict) else None
    return None


def _judged(row: dict[str, str] | None) -> Receipt:
    if row is None:
        raise Reject("the back office's answer cannot be read", field="answer", kind="unreadable")
    if row.get("Outcome") != "renewed":
        raise Reject("the back office does not renew the licence", field="Outcome", kind="refused")
    return Receipt(row.get("CaseReference", ""), outcome=row)
