from typing import Any, ClassVar

from connectors.taxi_licensing.connector import NationalDatabase, TaxiRegister
from connectors.taxi_licensing.simulator import ENDLESS, TaxiSimulator
from hub.events.generated.licensing import (
    TaxiLicenceEnded,
    TaxiLicenceGranted,
    TaxiLicenceRevoked,
    TaxiLicenceSuspended,
    TaxiLicenceVaried,
)
from hub.testing.contracts import ExportContract, RegisterContract

_WHO: dict[str, Any] = {
    "council": "E08000025",
    "authority": "Birmingham",
    "licence_reference": "HC-1",
    "kind": "vehicle",
    "licence_type": "TAXI",
    "registration_mark": "AB12CDE",
    "plate_number": "HC-0001",
    "flagged": [],
}
_DAYS: dict[str, Any] = {"starts_on": "2026-01-01", "ends_on": "2026-12-31"}


class TestRegister(RegisterContract):
    connector, simulator = TaxiRegister, TaxiSimulator
    settings: ClassVar = {"authority_id": ""}


class TestNationalDatabase(ExportContract):
    connector, simulator = NationalDatabase, TaxiSimulator
    settings: ClassVar = {"folder": "/drop/national"}
    impatient: ClassVar = {"timeout_seconds": 1, "job_seconds": 10}
    silent, passing = (*ExportContract.silent, ENDLESS), (*ExportContract.passing, ENDLESS)
    samples = (
        TaxiLicenceGranted(**_WHO, **_DAYS),
        TaxiLicenceVaried(
            **_WHO | {"licence_reference": "HC-2", "registration_mark": "BD51SMR"}, **_DAYS, changed=[]
        ),
        TaxiLicenceSuspended(**_WHO | {"licence_reference": "HC-3"}),
        TaxiLicenceRevoked(**_WHO | {"licence_reference": "HC-4"}),
        TaxiLicenceEnded(**_WHO | {"licence_reference": "HC-5"}, reason="expired"),
    )
