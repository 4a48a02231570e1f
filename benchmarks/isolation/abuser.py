"""One abuser: `python -m isolation.abuser WAY RUNTIME_DIR PORT SECONDS`. Its load is bounded by that time.

It prints a line when it begins. What the daemon refuses it tries again, at most once in a few milliseconds.
"""

from __future__ import annotations

import contextlib
import os
import signal
import struct
import sys
import time
from typing import TYPE_CHECKING, Any

import glidecache
import glidecache.sync
from glidecache_shared import protocol
from support.hostile_values import pack
from support.raw_peer import PeerDroppedError, RawPeer, raw_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MB = 1 << 20
OVERSIZED_BYTES = 100 * MB
BATCH = 200_000
_LARGE_REPLY_BYTES = 100 * MB
_REPLY_OF_SLOW_READER = 4 * MB
_UNFINISHED = 8
_SLOW_READERS = 4
_REST_S = 0.005


class Abuser:
    """The kinds of abuse, each a generator that yields after one round."""

    def __init__(self, runtime_dir: str, port: int) -> None:
        self._runtime_dir = runtime_dir
        self._port = port

    def peer(self) -> RawPeer:
        """Return a raw connection with a session."""
        peer = RawPeer(self._runtime_dir)
        peer.attach(self._port)
        return peer

    def client(self) -> Any:
        """Return a blocking client with a long time-out."""
        return glidecache.sync.GlideClient.create(
            glidecache.GlideClientConfiguration(
                [glidecache.NodeAddress("127.0.0.1", self._port)],
                runtime_dir=self._runtime_dir,
                request_timeout=60_000,
                fallback="error",
            )
        )

    def none(self) -> Iterator[None]:
        """Do nothing: the victim is alone."""
        while True:
            yield

    def flood(self) -> Iterator[None]:
        """Send requests as fast as the daemon takes them, over four connections."""
        peers = [self.peer() for _ in range(4)]
        while True:
            for peer in peers:
                numbers = [
                    peer.send(protocol.COMMAND, peer.session_id, [b"GET", b"flood"]) for _ in range(200)
                ]
                peer.answer(numbers[-1])
            yield

    def small_objects(self) -> Iterator[None]:
        """Send 24 MB of empty lists in place of arguments."""
        blob = struct.pack(">BI", 0xDD, 24 * MB) + b"\x90" * (24 * MB)
        while True:
            peer = self.peer()
            head = [peer.new_id(), peer.instance_id, time.monotonic_ns() + 60_000_000_000, peer.session_id]
            peer.send_body(raw_request([pack(protocol.COMMAND), *map(pack, head), blob]))
            peer.lives()
            peer.close()
            yield

    def unfinished(self) -> Iterator[None]:
        """Send frames that announce 200 MB, bring 50 MB, and stay unfinished."""
        while True:
            peers: list[RawPeer] = []
            for _ in range(_UNFINISHED):
                peers.append(RawPeer(self._runtime_dir))
                with contextlib.suppress(PeerDroppedError):
                    peers[-1].send_raw(b"\x02" + struct.pack(">Q", 200_000_000) + bytes(50 * MB), 1.0)
                yield
            time.sleep(1)
            for peer in peers:
                peer.close()

    def batch(self) -> Iterator[None]:
        """Send a pipeline of 200,000 commands."""
        client = self.client()
        batch = glidecache.Batch(is_atomic=False)
        for number in range(BATCH):
            batch.custom_command(["SET", f"batch{number % 1000}", "v"])
        while True:
            client.exec(batch, False)
            yield

    def replies(self) -> Iterator[None]:
        """Ask for replies of 100 MB."""
        client = self.client()
        client.custom_command(["SETRANGE", "large", str(_LARGE_REPLY_BYTES - 1), "x"])
        while True:
            client.custom_command(["GETRANGE", "large", "0", "-1"])
            yield

    def oversized(self) -> Iterator[None]:
        """Send a request of 100 MB."""
        client = self.client()
        value = bytes(OVERSIZED_BYTES)
        while True:
            client.custom_command([b"SET", b"oversized", value])
            yield

    def slow_readers(self) -> Iterator[None]:
        """Ask for 400 MB on each of several connections, and read nothing."""
        client = self.client()
        client.custom_command(["SETRANGE", "slow", str(_REPLY_OF_SLOW_READER - 1), "x"])
        while True:
            peers = [self.peer() for _ in range(_SLOW_READERS)]
            for peer in peers:
                for _ in range(100):
                    peer.send(protocol.COMMAND, peer.session_id, [b"GETRANGE", b"slow", b"0", b"-1"])
                yield
            time.sleep(1)
            for peer in peers:
                peer.close()

    def queued(self) -> Iterator[None]:
        """Send requests of 20 MB one behind the other, and do not wait for their answers."""
        while True:
            peer = self.peer()
            for _ in range(20):
                peer.send(protocol.COMMAND, peer.session_id, [b"SET", b"queued", bytes(20 * MB)])
                yield
            peer.close()

    def blocked(self) -> Iterator[None]:
        """Issue blocking calls from peers that disconnect at once."""
        while True:
            peer = self.peer()
            for _ in range(20):
                peer.send(protocol.COMMAND, peer.session_id, [b"BLPOP", b"nothing", b"0"])
            peer.close()
            yield


WAYS = (
    "flood",
    "small_objects",
    "unfinished",
    "batch",
    "replies",
    "slow_readers",
    "oversized",
    "queued",
    "blocked",
)
"""Every kind of abuse but `none`."""
REFUSALS = (PeerDroppedError, TimeoutError, OSError, RuntimeError, glidecache.GlideError)


def main() -> None:
    """Run one kind of abuse for the given time."""
    way, runtime_dir, port, seconds = sys.argv[1:]
    signal.alarm(int(float(seconds)) + 30)  # whatever it waits for
    abuser = Abuser(runtime_dir, int(port))
    make: Callable[[], Iterator[None]] = getattr(abuser, way)
    os.write(1, b"begins\n")
    end = time.monotonic() + float(seconds)
    rounds = refused = 0
    going: Iterator[None] | None = None
    while time.monotonic() < end:
        try:
            going = going or make()
            next(going)
            rounds += 1
        except REFUSALS:
            going = None
            refused += 1
        time.sleep(_REST_S if way != "none" else 0.1)
    os.write(1, f"{rounds} rounds, {refused} refused\n".encode())
    os._exit(0)


if __name__ == "__main__":
    main()
