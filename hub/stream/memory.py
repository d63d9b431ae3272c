"""How a worker's memory is looked after."""

import gc

_YOUNG = 1_000_000


def settle() -> None:
    """Once, when all is loaded: keep Python's cycle collector away from what lives for ever and from batches.

    A batch is some hundred thousand objects that hold no cycle and are gone when it is committed. With the
    collector's own thresholds it walks over them dozens of times, a third of the time that routing takes.
    Cycles are still found, once more than `_YOUNG` objects have piled up.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, 10, 10)
