"""How much the gateway takes on at once, and that no instance takes it all. One event loop uses it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import monotonic

_RECENT_S = 10.0


class Full(Exception):
    """No room. `mine` says that it is the instance itself that has taken it."""

    def __init__(self, *, mine: bool) -> None:
        super().__init__(
            "This instance has too much under way." if mine else "The hub has too much under way."
        )
        self.mine = mine


class Share:
    """So much of one thing, of which each may have as much as is left free.

    One that floods alone so gets half, two get a third each, and there is always room for one more: the dynamic
    thresholds of Choudhury and Hahne (IEEE/ACM Transactions on Networking, 1998), there for a switch's buffers.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.used = 0
        self._by: dict[str, int] = {}

    @property
    def by(self) -> Mapping[str, int]:
        """What each has, of those that have any."""
        return self._by

    def take(self, name: str, count: int) -> None:
        """Raises Full."""
        mine, free = self._by.get(name, 0), self.total - self.used
        if mine + count > free:
            raise Full(mine=mine >= free)
        self.used += count
        self._by[name] = mine + count

    def give_back(self, name: str, count: int) -> None:
        """What was taken."""
        self.used -= count
        self._by[name] -= count
        if not self._by[name]:
            del self._by[name]


class Place:
    """A request's place in the room."""

    def __init__(self, held: Share, name: str) -> None:
        self._held = held
        self._name = name
        self.bytes = 0

    def grow(self, size: int) -> None:
        """So many bytes more are held. Raises Full."""
        self._held.take(self._name, size)
        self.bytes += size


class Room:
    """Of so many requests, with so many bytes of bodies."""

    def __init__(self, requests: int, held_bytes: int) -> None:
        self.requests = Share(requests)
        self.held = Share(held_bytes)
        self._turned_away: dict[str, float] = {}

    @contextmanager
    def enter(self, name: str, size: int) -> Iterator[Place]:
        """A place for a request of instance `name` whose body is said to have `size` bytes. Raises Full."""
        place = Place(self.held, name)
        try:
            self.requests.take(name, 1)
            try:
                place.grow(size)
                yield place
            finally:
                self.requests.give_back(name, 1)
                if place.bytes:
                    self.held.give_back(name, place.bytes)
        except Full:
            self._turned_away[name] = monotonic()
            raise

    def turned_away(self) -> list[str]:
        """The instances of which requests were turned away within the last ten seconds."""
        since = monotonic() - _RECENT_S
        return sorted(name for name, at in self._turned_away.items() if at > since)
