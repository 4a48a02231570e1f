"""Hostile members of the group, and callers that die while they wait, with an account of their jobs."""

from __future__ import annotations

import contextlib
import random
import struct
import threading
from typing import TYPE_CHECKING, Any

import valkey

from glidecache_shared import protocol
from support.hostile_values import values
from support.raw_peer import CANCEL, PeerDroppedError, RawPeer, raw_request
from support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

REFUSED = (PeerDroppedError, OSError, TimeoutError, RuntimeError)
"""The errors that a peer gets when its daemon ends, or drops it."""
FORGOTTEN_S = 20.0
"""The server may take so long to hear of a death: far above the rule's second, since it may be stopped itself."""
_UNFINISHED_BYTES = 4 << 20
_FLOOD = 300
_REST_S = 0.01


class Member(threading.Thread):
    """A member that sends raw frames, unfinished ones and floods in turn, until it is stopped."""

    def __init__(self, runtime_dir: Path, port: int, seed: int) -> None:
        super().__init__(name="hostile member", daemon=True)
        self._runtime_dir = runtime_dir
        self._port = port
        self._random = random.Random(seed)
        self._values = [value for _, value in values()]
        self._stopped = threading.Event()
        self._kept: list[RawPeer] = []
        self.acts = 0

    def run(self) -> None:
        """Send until stopped; after a refusal, connect again."""
        acts = (self._raw_frames, self._unfinished_frame, self._flood, self._unread_answers)
        while not self._stopped.wait(_REST_S):
            with contextlib.suppress(*REFUSED):
                self._random.choice(acts)()
            self.acts += 1
            while len(self._kept) > 20:
                self._kept.pop(0).close()

    def stop(self) -> None:
        """Stop, and close all connections."""
        self._stopped.set()
        self.join(60)
        for peer in self._kept:
            peer.close()

    def _peer(self) -> RawPeer:
        peer = RawPeer(self._runtime_dir)
        self._kept.append(peer)
        return peer

    def _raw_frames(self) -> None:
        peer = self._peer()
        for _ in range(20):
            head = [self._random.choice((b"\x03", b"\x05", b"\x06", b"\x01")), b"\x01"]
            peer.send_body(raw_request([*head, *(self._random.choice(self._values) for _ in range(4))]))

    def _unfinished_frame(self) -> None:
        announced = b"\x02" + struct.pack(">Q", 2 * _UNFINISHED_BYTES)
        self._peer().send_raw(announced + bytes(_UNFINISHED_BYTES), 1.0)

    def _flood(self) -> None:
        peer = self._peer()
        peer.attach(self._port)
        numbers = [
            peer.send(protocol.COMMAND, peer.session_id, [b"GET", b"chaos:flood"]) for _ in range(_FLOOD)
        ]
        peer.answer(numbers[-1], 1.0)

    def _unread_answers(self) -> None:
        peer = self._peer()
        for _ in range(_FLOOD):
            peer.send(protocol.STATS)


class Jobs:
    """The ledger of jobs for dead callers: all jobs that were pushed must be there in the end.

    Each generation of callers waits at a list of its own: a list with jobs in it would serve them at once.
    """

    def __init__(self, runtime_dir: Path, port: int) -> None:
        self._runtime_dir = runtime_dir
        self._port = port
        self._waiting: list[RawPeer] = []
        self._pushed: dict[bytes, list[bytes]] = {}
        self._key = b""
        self.callers = 0

    def wait(self, callers: int) -> None:
        """Let the given number of callers wait. A third of them cancels at once, by a message of its own."""
        self._key = b"chaos:jobs:%d" % len(self._pushed)
        self._pushed[self._key] = []
        for number in range(callers):
            with contextlib.suppress(*REFUSED):
                peer = RawPeer(self._runtime_dir)
                self._waiting.append(peer)
                peer.attach(self._port)
                call = peer.send(
                    protocol.COMMAND, peer.session_id, [b"BLPOP", self._key, b"0"], deadline_s=3600
                )
                if number % 3 == 0:
                    peer.send(CANCEL, call)
                self.callers += 1

    def die(self) -> None:
        """End all callers."""
        for peer in self._waiting:
            peer.close()
        self._waiting.clear()

    def push(self, jobs: int) -> None:
        """Push jobs when the server has forgotten all callers. Raise `AssertionError` if it does not."""
        with self._server() as server:
            wait_until(
                lambda: not self._blocked(server),
                "the server has forgotten callers that are gone",
                FORGOTTEN_S,
            )
            pushed = self._pushed[self._key]
            pushed += [b"job-%d" % number for number in range(jobs)]
            server.rpush(self._key, *pushed)

    def wrong(self) -> list[str]:
        """Return what is wrong with the lists: each must have its jobs, once and in order."""
        with self._server() as server:
            kept = {key: server.lrange(key, 0, -1) for key in self._pushed}
        return [
            f"{key.decode()} has {kept[key]} instead of {pushed}: who waited there was gone"
            for key, pushed in self._pushed.items()
            if kept[key] != pushed
        ]

    def _server(self) -> Any:
        return valkey.Valkey(
            port=self._port, username="admin", password="any", socket_timeout=10, socket_connect_timeout=10
        )

    @staticmethod
    def _blocked(server: Any) -> int:
        try:
            return int(server.info("clients")["blocked_clients"])
        except (valkey.ConnectionError, valkey.TimeoutError):
            return 1  # The daemon is being killed or stopped; its callers no longer wait, or soon will not.
