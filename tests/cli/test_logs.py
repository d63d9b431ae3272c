"""What a process logs is for whoever reads it, and no reason for it to end."""

from __future__ import annotations

import subprocess
import sys

import pytest

LOGS = """
import structlog, sys
from hub.cli.logs import set_up_logs

log = structlog.get_logger()
set_up_logs()
{before}
log.warning("child-killed", child="worker-1")
try:
    raise RuntimeError("a net")
except RuntimeError:
    log.exception("mended")
print("went on")
"""


def logging(before: str, stderr: str) -> str:
    with open(stderr, "w") as file:  # noqa: PTH123 - a device
        command = [sys.executable, "-c", LOGS.format(before=before)]
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=file, text=True, check=False).stdout


@pytest.mark.parametrize(("before", "stderr"), [("", "/dev/full"), ("sys.stderr.close()", "/dev/null")])
def test_who_logs_goes_on_though_the_disk_is_full_or_the_stream_closed(before: str, stderr: str) -> None:
    assert logging(before, stderr) == "went on\n"
