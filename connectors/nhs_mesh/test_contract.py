from collections.abc import Iterator
from typing import ClassVar

from connectors.care_messages.fhir import Bundle
from connectors.care_messages.samples import events
from connectors.nhs_mesh.connector import MeshLetters, MeshPartner
from connectors.nhs_mesh.simulator import MeshSimulator
from hub.testing.contracts import MailboxContract, SinkContract
from hub.testing.shapes import Path, required


class TestMesh(MailboxContract):
    connector, simulator = MeshLetters, MeshSimulator
    impatient: ClassVar = {"timeout_seconds": 1}

    def required(self) -> Iterator[Path]:
        """Of the letters that are JSON."""
        return required(Bundle)


class TestMeshPartner(SinkContract):
    connector, simulator = MeshPartner, MeshSimulator
    samples = events()
    impatient: ClassVar = {"timeout_seconds": 1}
