"""A load of many threads on one client, each with keys of its own, that checks every reply."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Self

from glidecache import RequestError
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from support.clients import AnyClient


class Load:
    """Threads that count in keys, read back, and notice each reply that cannot be; a context manager.

    `errors` are the calls that failed, with their times; `lies` are replies that no right server could give.
    """

    def __init__(self, client: AnyClient, keys: Sequence[str]) -> None:
        self._client = client
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._count, args=(key,)) for key in keys]
        self.rounds = dict.fromkeys(keys, 0)
        self.last_ok = dict.fromkeys(keys, 0.0)
        self.errors: list[tuple[float, str, RequestError]] = []
        self.lies: list[str] = []

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        self.wait_for_rounds(5)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for_rounds(self, count: int, timeout_s: float = 30) -> None:
        """Wait until every thread has done `count` more rounds without an error."""
        goals = {key: done + count for key, done in self.rounds.items()}
        wait_until(
            lambda: all(self.rounds[key] >= goal for key, goal in goals.items()),
            "all threads go on",
            timeout_s,
        )

    def outage_s(self, key: str) -> float:
        """From the first to the last failed call of one key's thread."""
        times = [when for when, failed, _ in self.errors if failed == key]
        return times[-1] - times[0] if times else 0.0

    def _count(self, key: str) -> None:
        attempts = sure = 0
        while not self._stop.is_set():
            try:
                attempts += 1
                value = self._client.call("incr", key)
                # What failed may have run or not, once; what was acknowledged may be lost in a fail-over, with it.
                self._check(value <= attempts, f"INCR {key} answers {value} after {attempts} calls")
                sure = value
                self._check_read(key, self._client.call("custom_command", ["GETRANGE", key, "0", "-1"]), sure)
                attempts += 1
                sure = self._run_transaction(key, sure)
                self.rounds[key] += 1
                self.last_ok[key] = time.monotonic()
            except RequestError as error:
                self.errors.append((time.monotonic(), key, error))

    def _run_transaction(self, key: str, before: int) -> int:
        batch = self._client.batch(atomic=True)
        batch.incr(key)
        batch.custom_command(["GETRANGE", key, "0", "-1"])
        value, read = self._client.call("exec", batch, raise_on_error=True)
        self._check(read == b"%d" % value, f"a transaction on {key} counts to {value} and reads {read}")
        self._check(value <= before + 1, f"a transaction on {key} counts from {before} to {value}")
        return int(value)

    def _check_read(self, key: str, read: Any, expected: int) -> None:
        self._check(int(read or 0) <= expected, f"{key} reads {read}, and {expected} was the last")

    def _check(self, fine: bool, lie: str) -> None:
        if not fine:
            self.lies.append(lie)
