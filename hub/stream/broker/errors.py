"""What can go wrong with a broker."""

from __future__ import annotations


class BrokerError(Exception):
    """No broker is to be had: `message` says why, `remedy` what to do about it."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(f"{message}. {remedy}")
        self.message = message
        self.remedy = remedy
