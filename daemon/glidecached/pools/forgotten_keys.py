# cython: boundscheck=False, wraparound=False
"""Keys that were forgotten while flights were under way: no older flight may bring them back (contract C25).

Flights and FORGETs have numbers of one sequence. A flight with a smaller number than a FORGET of its key was sent
before it, so its reply may be older than what made the caller forget: it answers those that wait, but it is not stored,
and no later lookup joins it.

A key has to be remembered only until the flights that were under way have landed. Flights land in any order, and new
ones are sent all the time, so they are counted in periods: a period ends when all flights that were under way at its
beginning have landed, and what was forgotten before its beginning is dropped then. While no flight is under way
nothing is remembered, and each test is one comparison.

What is remembered is bounded. Beyond that, all flights of the pool that are under way count as older, whatever their
keys: they are only not stored, and not shared.
"""

from __future__ import annotations

import cython

MOST_KEYS = cython.declare(cython.Py_ssize_t, 10_000)
MOST_BYTES = cython.declare(cython.Py_ssize_t, 1_048_576)
MOST_PREFIXES = cython.declare(cython.Py_ssize_t, 16)


class Forgotten:
    """Keys and prefixes, each with the number of its latest FORGET."""

    def __init__(self) -> None:
        self.keys: dict[bytes, int] = {}
        self.prefixes: list[tuple[bytes, int]] = []
        self.size: cython.Py_ssize_t = 0

    def has(self, key: bytes, number: cython.longlong) -> cython.bint:
        """Return whether the key was forgotten after the flight with that number was sent."""
        forgotten = self.keys.get(key)
        if forgotten is not None and number < cython.cast(cython.longlong, forgotten):
            return True
        for prefix, forgotten in self.prefixes:
            if number < cython.cast(cython.longlong, forgotten) and key.startswith(prefix):
                return True
        return False

    def count(self) -> cython.Py_ssize_t:
        """Return how many there are."""
        return len(self.keys) + len(self.prefixes)


class ForgottenKeys:
    """The forgotten keys of one pool, as long as older flights are under way. For the loop's thread.

    Every flight of the pool is `sent` once and `landed` once, with its number.
    """

    def __init__(self) -> None:
        self.flying: cython.Py_ssize_t = 0
        self.latest: cython.longlong = 0
        self.barred_below: cython.longlong = 0
        self.any = False
        self.until: cython.longlong = 0
        self.left: cython.Py_ssize_t = 0
        self.older = Forgotten()
        self.newer = Forgotten()

    @property
    def remembered(self) -> int:
        """Return how many keys and prefixes are remembered now."""
        return int(self.older.count() + self.newer.count())

    def sent(self, number: cython.longlong) -> None:
        """Count a flight that is under way from now on. Its number is above those before."""
        self.flying += 1
        self.latest = number

    def landed(self, number: cython.longlong) -> None:
        """Count a flight as landed."""
        self.flying -= 1
        if self.any and number < self.until:
            self.left -= 1
            if self.left == 0:
                self.next_period()

    def bars(self, key: bytes, number: cython.longlong) -> cython.bint:
        """Return whether the flight with that number was sent before the key was forgotten."""
        return number < self.barred_below or (self.any and self.remembers(key, number))

    def remembers(self, key: bytes, number: cython.longlong) -> cython.bint:
        """Do what `bars` does, while keys are remembered."""
        return self.newer.has(key, number) or self.older.has(key, number)

    def add(self, key: bytes, number: cython.longlong) -> None:
        """Note that a key is forgotten, by a FORGET with that number."""
        place: Forgotten
        if self.flying == 0:
            return
        place = self.place()
        if key not in place.keys:
            place.size += len(key)
        place.keys[key] = number
        self.bound()

    def add_prefix(self, prefix: bytes, number: cython.longlong) -> None:
        """Note that all keys with a prefix are forgotten, by a FORGET with that number."""
        place: Forgotten
        if self.flying == 0:
            return
        place = self.place()
        place.prefixes.append((prefix, number))
        place.size += len(prefix)
        self.bound()

    def place(self) -> Forgotten:
        """Return where to remember a key now. Begin a period if none is under way."""
        if not self.any:
            self.any = True
            self.until = self.latest + 1
            self.left = self.flying
        # Where no flight has been sent since the period began, the period is long enough for this key.
        return self.older if self.latest < self.until else self.newer

    def bound(self) -> None:
        """Remember no more than the bound allows."""
        if (
            len(self.older.keys) + len(self.newer.keys) > MOST_KEYS
            or self.older.size + self.newer.size > MOST_BYTES
            or len(self.older.prefixes) + len(self.newer.prefixes) > MOST_PREFIXES
        ):
            # Above every flight that is under way, and so above all that is remembered would bar; not above later ones.
            self.barred_below = self.latest + 1
            self.any = False
            self.older = Forgotten()
            self.newer = Forgotten()

    def next_period(self) -> None:
        """Drop what was forgotten before the period that has ended, and begin the next one if it is needed."""
        self.older = self.newer
        self.newer = Forgotten()
        self.any = self.flying != 0 and self.older.count() != 0
        if self.any:
            self.until = self.latest + 1
            self.left = self.flying
        else:
            self.older = Forgotten()
