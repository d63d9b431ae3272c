"""Percentiles."""

from __future__ import annotations

from collections.abc import Sequence


def milliseconds(ordered: Sequence[float], share: float) -> float:
    """The value of `ordered` seconds that `share` of all do not exceed, in milliseconds; infinite without any."""
    if not ordered:
        return float("inf")
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000, 1)
