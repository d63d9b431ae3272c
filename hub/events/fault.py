"""Which errors may be laid to the data at hand."""

from __future__ import annotations


def is_a_fault(error: BaseException) -> bool:
    """Whether an error is no more than a bug that these data have met: others may go on, and these may not.

    What the machine lacks is no data's fault. Rust's panics are no `Exception`, and each library has its own.
    """
    if isinstance(error, (OSError, MemoryError)):
        return False
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"
