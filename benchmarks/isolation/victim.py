"""A victim's reads: `python -m isolation.victim HOW RUNTIME_DIR PORT SECONDS`, through the daemon or directly.

Reads are due at fixed moments, and their time counts from then: a stall counts for all reads that it delays.
It prints one JSON line.
"""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

import valkey

import glidecache
import glidecache.sync

if TYPE_CHECKING:
    from collections.abc import Callable

INTERVAL_S = 0.002
_KEYS = 1_000
_WARM_S = 1.5
_VALUE = "x" * 100


def main() -> None:
    """Read for the given time, and print the times."""
    how, runtime_dir, port, seconds = sys.argv[1:]
    direct = valkey.Valkey(port=int(port), socket_timeout=30)
    direct.mset({f"victim{number}": _VALUE for number in range(_KEYS)})
    read: Callable[[str], Any] = direct.get if how == "direct" else _through_daemon(runtime_dir, int(port))
    # The victim has been served for a while: everything that is made on first use exists.
    warm_until = time.monotonic() + _WARM_S
    while time.monotonic() < warm_until:
        read("victim0")
        time.sleep(INTERVAL_S)
    sys.stdout.write("begins\n")
    sys.stdout.flush()
    sys.stdin.readline()
    times: list[float] = []
    failed = []
    wrong = 0
    began = time.monotonic()
    number = 0
    while (due := began + number * INTERVAL_S) < began + float(seconds):
        time.sleep(max(0.0, due - time.monotonic()))
        try:
            wrong += read(f"victim{number % _KEYS}") != _VALUE.encode()
        except Exception as error:  # noqa: BLE001 - the failure is counted
            failed.append(f"{type(error).__name__}: {error}")
        times.append((time.monotonic() - due) * 1000)
        number += 1
    times.sort()
    result = {
        "reads": len(times),
        "failed": len(failed),
        "wrong": wrong,
        "example": failed[:1],
        **{name: times[min(len(times) - 1, int(len(times) * part))] for name, part in
           (("p50_ms", 0.5), ("p99_ms", 0.99), ("p999_ms", 0.999), ("max_ms", 1.0))},
    }  # fmt: skip
    sys.stdout.write(json.dumps(result) + "\n")


def _through_daemon(runtime_dir: str, port: int) -> Callable[[str], Any]:
    client = glidecache.sync.GlideClient.create(
        glidecache.GlideClientConfiguration(
            [glidecache.NodeAddress("127.0.0.1", port)],
            runtime_dir=runtime_dir,
            request_timeout=30_000,
            fallback="error",
            client_side_cache=glidecache.ClientSideCache.create(1024, 1),
        )
    )
    read: Callable[[str], Any] = client.get
    return read


if __name__ == "__main__":
    main()
