"""A client whose answers are known beforehand: it notices when another client's work reaches it."""

from __future__ import annotations

import itertools
import threading
import time
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from support.clients import AnyClient

PAUSE_S = 0.002


class Sentinel:
    """Calls whose answers are known. `check` makes one round and returns what was wrong, or failed."""

    _names = itertools.count()

    def __init__(self, client: AnyClient, *, keys: int = 1) -> None:
        name = next(self._names)
        self._client = client
        self._nonces = itertools.count(1)
        self._values = {f"sentinel:{name}:{number}": b"" for number in range(keys)}
        self._counts = dict.fromkeys((f"sentinel:{name}:{number}:count" for number in range(keys)), 0)
        self.rounds = 0
        self.slowest_s = 0.0
        for key in self._values:
            self._values[key] = f"value of {key}".encode()
            client.call("set", key, self._values[key])

    def check(self, *, erased: bool = False) -> list[str]:
        """Ask for an echo, a value and a count. With `erased`, the server's keys may be gone by now."""
        self.rounds += 1
        wrong = self._echo()
        for key, value in self._values.items():
            wrong += self._asked("get", key, right=(value, None) if erased else (value,))
        for key, count in self._counts.items():
            problems = self._asked("incr", key, right=(count + 1, 1) if erased else (count + 1,))
            wrong += problems
            self._counts[key] = self._last if isinstance(self._last, int) else count
        if erased:
            for key, value in self._values.items():
                wrong += self._asked("set", key, value, right=("OK",))
        return wrong

    def read(self) -> list[str]:
        """Make the rounds of a client that only reads."""
        self.rounds += 1
        wrong: list[str] = []
        for key, value in self._values.items():
            wrong += self._asked("get", key, right=(value,))
        return wrong

    def restore(self) -> None:
        """Write the values again that other clients have removed."""
        for key, value in self._values.items():
            self._client.call("set", key, value)

    def _echo(self) -> list[str]:
        nonce = f"nonce {next(self._nonces)} of {id(self):x}".encode()
        return self._asked("custom_command", [b"ECHO", nonce], right=(nonce,))

    def _asked(self, method: str, *arguments: object, right: tuple[object, ...]) -> list[str]:
        began = time.monotonic()
        self._last: Any = None
        try:
            self._last = self._client.call(method, *arguments)
        except Exception as error:  # noqa: BLE001 - any exception is a finding
            return [f"{method} failed: {type(error).__name__}: {error}"]
        finally:
            self.slowest_s = max(self.slowest_s, time.monotonic() - began)
        if self._last not in right:
            return [f"{method}{arguments!r} was answered by {self._last!r:.100}"]
        return []


class Watchman(threading.Thread):
    """A sentinel that checks all the time, in a thread. A context manager; `problems` is what it has found.

    The first round is over before the watched work begins, and one more follows its end: however short the work
    is, and however seldom this thread runs, it was watched.
    """

    def __init__(self, sentinel: Sentinel, *, reads_only: bool = False) -> None:
        super().__init__(name="watchman", daemon=True)
        self.sentinel = sentinel
        self.problems: list[str] = []
        self._round = sentinel.read if reads_only else sentinel.check
        self._over = threading.Event()

    def __enter__(self) -> Self:
        self.problems += self._round()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()

    def run(self) -> None:
        """Check until the end, and once after it."""
        while not self._over.wait(PAUSE_S):
            self.problems += self._round()
        self.problems += self._round()
