from datetime import UTC, datetime
from typing import ClassVar

from connectors.premises_licensing.connector import PremisesRegister, Renewals
from connectors.premises_licensing.simulator import REFUSED, SILENT, PremisesSimulator
from hub.events.generated.licensing import FeePaid
from hub.sdk.sftp_simulator import BUSY
from hub.testing.contracts import FileSinkContract, RegisterContract


class TestRegister(RegisterContract):
    connector, simulator = PremisesRegister, PremisesSimulator


class TestRenewals(FileSinkContract):
    connector, simulator = Renewals, PremisesSimulator
    impatient: ClassVar = {"answer_within_seconds": 1}
    silent, passing, refusing = (SILENT,), (BUSY, SILENT), (REFUSED,)
    samples = (
        FeePaid(
            council="E08000025",
            licence_reference="PREM-2026-00001",
            payment_id="k3v9q0b7t1m5x8c2n6w4z0r3hd",
            amount=19_000,
            currency="GBP",
            paid_at=datetime(2026, 1, 25, tzinfo=UTC),
        ),
    )
