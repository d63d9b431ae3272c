"""Which faults strike when: drawn from the seed, on progress, sometimes two at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from tests.chaos.fault import FAULTS

_FIRST, _LAST = 0.03, 0.85  # shares of all messages between which faults begin
TOGETHER = 0.3
"""The share of faults that have company, where there is no hurry."""


@dataclass(frozen=True, slots=True)
class Act:
    """Faults that strike together once `at` messages are accepted."""

    at: int
    faults: tuple[str, ...]


def write(seed: int, names: Sequence[str], events: int, together: float = TOGETHER) -> list[Act]:
    """Every fault once, in an order of the seed's, and `together` of them in company.

    The same seed, names and share give the same script.
    """
    random = Random(f"script {seed}")
    left = sorted(names)
    random.shuffle(left)
    scenes: list[tuple[str, ...]] = []
    while left:
        scene = [left.pop()]
        while random.random() < together:
            fitting = [name for name in left if _apart(name, scene)]
            if not fitting:
                break
            scene.append(random.choice(fitting))
            left.remove(scene[-1])
        scenes.append(tuple(scene))
    step = (_LAST - _FIRST) * events / max(len(scenes), 1)
    return [Act(int(_FIRST * events + step * at), scene) for at, scene in enumerate(scenes)]


def _apart(name: str, scene: Sequence[str]) -> bool:
    return all(FAULTS[name].touches.isdisjoint(FAULTS[other].touches) for other in scene)
