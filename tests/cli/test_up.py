"""`hub up` by itself: how it ends, what it makes, and what it says when it cannot start."""

from __future__ import annotations

import subprocess
import sys

NEVER_OPENS = """
import time
from hub.cli import up

class Nobody:
    def close(self): ...

up._STOPPED_WITHIN_S = 0
up._close(Nobody(), up._beside(lambda: time.sleep(600)))
"""


def test_it_does_not_wait_for_a_kafka_that_does_not_come_to_open_when_it_is_told_to_stop() -> None:
    assert subprocess.run([sys.executable, "-c", NEVER_OPENS], check=False, timeout=60).returncode == 0
