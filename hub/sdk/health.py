"""How an instance's connection to its system is: what `hub connector show` shows and alerts ask."""

from __future__ import annotations

from dataclasses import dataclass
from time import time


@dataclass(slots=True)
class Health:
    """Times in epoch seconds, 0 for never or unknown.

    `last_error` is one sentence: the hub's reason and, where the connector's `Policy.words` finds it in the
    answer, the system's own code or words, chosen so that no personal data can be in them.
    """

    last_good: float = 0
    last_error: str = ""
    last_error_at: float = 0
    credential_expires: float = 0

    def good(self) -> None:
        """The system answered as it should."""
        self.last_good = time()
        self.last_error = ""

    def bad(self, reason: str) -> None:
        """It did not."""
        self.last_error, self.last_error_at = reason, time()
