from typing import ClassVar

from connectors.dvla_driver.connector import Drivers
from connectors.dvla_driver.simulator import DvlaSimulator
from hub.testing.contracts import PollingContract


class TestDrivers(PollingContract):
    connector, simulator = Drivers, DvlaSimulator
    settings: ClassVar = {"page_size": 2}
    impatient: ClassVar = {"timeout_seconds": 1}
