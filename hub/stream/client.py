"""What all clients of Kafka here are told: where it is, and to hear soon that it is back."""

from __future__ import annotations

from typing import Any

#: Seconds that connecting may take before it is tried anew. A Kafka that is frozen or cut off takes connections until
#: its backlog is full, and drops what asks for more: TCP then asks again after 1, 3, 7, 15 and 31 seconds, so that a
#: client that is left to it hears that late that Kafka is back.
CONNECTS_IN = 3.0

#: Seconds until it is tried anew where it failed, at most.
RECONNECTS_IN = 1.0


def reaching(servers: str) -> dict[str, Any]:
    """Settings of a client of librdkafka's for `servers`, host:port[,host:port]."""
    return {
        "bootstrap.servers": servers,
        "reconnect.backoff.max.ms": int(RECONNECTS_IN * 1000),
        "socket.connection.setup.timeout.ms": int(CONNECTS_IN * 1000),
        # Connections that were taken and are not answered, likewise.
        "api.version.request.timeout.ms": 2_000,
    }
