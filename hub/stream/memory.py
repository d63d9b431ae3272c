"""How the memory of a long-lived process is looked after."""

import ctypes
import gc

_YOUNG = 1_000_000

#: glibc's names, which `malloc.h` has as numbers.
_MMAP_THRESHOLD, _ARENA_MAX = -3, -8


def confine() -> None:
    """Once, before there are threads: keep the C library from holding what is free, where it is glibc.

    It gives most threads a heap of their own, and each keeps the most that its thread ever had; and what is as large
    as was freed before it no longer gives back, so that the buffers of a large transaction stay for ever.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_ARENA_MAX, 2)
        mallopt(_MMAP_THRESHOLD, 1 << 20)


def keep() -> None:
    """Once, when all is loaded: keep Python's cycle collector away from what lives for ever.

    It would stop the process for a tenth of a second whenever it walks over all of that.
    """
    gc.collect()
    gc.freeze()


def settle() -> None:
    """`keep`, and keep the collector away from batches.

    A batch is some hundred thousand objects that hold no cycle and are gone when it is committed. With the
    collector's own thresholds it walks over them dozens of times, a third of the time that routing takes.
    Cycles are still found, once more than `_YOUNG` objects have piled up.
    """
    keep()
    gc.set_threshold(_YOUNG, 10, 10)
