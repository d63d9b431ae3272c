"""Logs: one JSON object a line on standard error, from our code and from libraries alike."""

from __future__ import annotations

import logging
import sys
from contextlib import suppress

import structlog


class _Logger(structlog.PrintLogger):
    """A line that cannot be written is lost: whoever logs is often about to mend something, and must go on."""

    def msg(self, message: str) -> None:
        with suppress(OSError, ValueError):  # the disk is full; the stream is closed
            super().msg(message)

    debug = info = warning = error = critical = exception = msg


def set_up_logs(level: int = logging.INFO) -> None:
    """For a process of the hub: what a command prints stays free of them. Libraries speak up from WARNING on."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: _Logger(sys.stderr),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
            ],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    # Of a busy machine it says that its tasks take long; of lost connections a transactor tells, with what it does.
    logging.getLogger("kafka.net").setLevel(logging.CRITICAL)
