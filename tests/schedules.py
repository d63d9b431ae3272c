"""How many schedules the simulations try: few at every commit, ten thousand in `make chaos`.

    HUB_SCHEDULES=10000 pytest --hypothesis-seed=7 tests/stream/test_any_order.py

The seed is all that a run depends on, so whatever it finds is found again.
"""

from __future__ import annotations

import os


def schedules(few: int) -> int:
    """As many as `HUB_SCHEDULES` says, and `few` without."""
    return int(os.environ.get("HUB_SCHEDULES", few))
