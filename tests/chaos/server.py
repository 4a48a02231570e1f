"""A Valkey that keeps what it has acknowledged over its own kill, and the one who writes the values there."""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING, Any

import valkey

from chaos.values import Key, make_value
from support.valkey_server import HOST, PORT_ATTEMPTS, ValkeyServer

if TYPE_CHECKING:
    from pathlib import Path

    from chaos.versions import Versions

BELOW_EPHEMERAL_PORTS = (20_000, 32_000)
"""A port that the kernel gives to nobody who connects: else one who does may have it while the server is dead."""

_DURABLE = ("appendonly yes", "appendfsync always", "auto-aof-rewrite-min-size 16mb")
_RETRY_S = 0.02


class DurableServer(ValkeyServer):
    """A write that was answered is in the append-only file: the reply leaves after the `fsync`."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, *_DURABLE)

    def start(self) -> None:
        for _ in range(PORT_ATTEMPTS):
            self.port = random.randint(*BELOW_EPHEMERAL_PORTS)
            if self._start_on_port():
                return
        message = f"no port could be bound in {PORT_ATTEMPTS} attempts:\n{self.log_text()}"
        raise AssertionError(message)


class Writer(threading.Thread):
    """Writes new versions of all keys, past the cache, one after the other, for as long as it runs.

    What failed is written again until it is acknowledged: writing the same version twice does no harm.
    """

    def __init__(self, port: int, keys: list[Key], versions: Versions, writes_per_second: float) -> None:
        super().__init__(name="writer", daemon=True)
        self._client: Any = valkey.Valkey(
            host=HOST, port=port, username="admin", password="any", socket_timeout=1, socket_connect_timeout=1
        )
        self._keys = keys
        self._versions = versions
        self._pause_s = 1 / writes_per_second
        self._stopped = threading.Event()
        self.written = 0

    def write_all(self) -> None:
        """Give each key its next version, before the thread is started."""
        for key in self._keys:
            self._write(key)

    def run(self) -> None:
        """Go on until `stop`."""
        order = random.Random(1)
        while not self._stopped.wait(self._pause_s):
            self._write(order.choice(self._keys))

    def stop(self) -> None:
        """End it, and its connection."""
        self._stopped.set()
        if self.is_alive():
            self.join(10)
        self._client.close()

    def _write(self, key: Key) -> None:
        version = self._versions.newest(key.number) + 1
        self._versions.begin(key.number, version)
        while not self._stopped.is_set():
            try:
                self._put(key, version)
            except (valkey.ValkeyError, OSError):
                self._stopped.wait(_RETRY_S)
            else:
                self._versions.finish(key.number, version)
                self.written += 1
                return

    def _put(self, key: Key, version: int) -> None:
        value = make_value(key, version)
        with self._client.pipeline(transaction=True) as pipeline:
            pipeline.delete(key.name)
            if isinstance(value, bytes):
                pipeline.set(key.name, value)
            elif isinstance(value, dict):
                pipeline.hset(key.name, mapping=value)
            else:
                pipeline.sadd(key.name, *value)
            pipeline.execute()
