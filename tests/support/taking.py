"""Takings of a member of the daemon's group, in a process of its own: functions for `support.workers`.

Each takes until it is refused or has `most`, keeps what it got, and returns the amount and the last refusal.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import urllib.request
from typing import TYPE_CHECKING

from glidecache_shared import protocol
from glidecache_shared.wire.zmtp import message_header
from support.raw_peer import OPENING, PeerDroppedError, RawPeer

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.worker_tasks import State

_KEPT: list[object] = []
"""The objects that this process holds until it ends."""

Taken = tuple[int, str]


def connections(state: State, runtime_dir: str, most: int) -> Taken:
    """Take connections that send nothing but the opening."""
    del state

    def take() -> None:
        peer = socket.socket(socket.AF_UNIX)
        peer.settimeout(2)
        peer.connect(f"{runtime_dir}/glidecached.sock")
        _KEPT.append(peer)
        peer.sendall(OPENING)
        if not peer.recv(64):
            raise PeerDroppedError

    return _until_refused(take, most)


def greeted(state: State, runtime_dir: str, most: int) -> Taken:
    """Take connections that have been answered."""
    del state
    return _until_refused(lambda: _KEPT.append(RawPeer(runtime_dir)), most)


def sessions(state: State, runtime_dir: str, most: int) -> Taken:
    """Take sessions over a single connection."""
    del state
    peer = _kept_peer(runtime_dir)
    return _until_refused(lambda: peer.attach(client_name="taker"), most)


def upstreams(state: State, runtime_dir: str, most: int) -> Taken:
    """Bring upstreams of its own, each of which costs the daemon a connection: most of their ports are closed."""
    del state
    peer = _kept_peer(runtime_dir)
    ports = iter(range(20_000, 60_000))
    return _until_refused(lambda: peer.attach(next(ports), lazy_connect=True), most)


def named_pools(state: State, runtime_dir: str, most: int) -> Taken:
    """Make named caches, as small as they can be: names stay."""
    del state
    peer = _kept_peer(runtime_dir)
    names = iter(range(most))

    def take() -> None:
        peer.attach(cache={"id": "taker", "name": f"taken-{next(names)}", "settings": _SMALL})
        _hold(peer)

    return _until_refused(take, most)


def unnamed_pools(state: State, runtime_dir: str, most: int) -> Taken:
    """Make caches without names: they stay while this process does."""
    del state
    peer = _kept_peer(runtime_dir)
    numbers = iter(range(most))

    def take() -> None:
        peer.attach(cache={"id": f"taken-{next(numbers)}", "settings": _SMALL})
        _hold(peer)

    return _until_refused(take, most)


def blocking_calls(state: State, runtime_dir: str, most: int) -> Taken:
    """Make calls that block without a time-out, a session each."""
    del state

    def take() -> None:
        peer = _kept_peer(runtime_dir)
        peer.attach()
        number = peer.send(protocol.COMMAND, peer.session_id, [b"BLPOP", b"nothing", b"0"])
        with contextlib.suppress(TimeoutError):
            _, _, refusal = peer.answer(number, 0.05)
            raise RuntimeError(*refusal)

    return _until_refused(take, most)


def watches(state: State, runtime_dir: str, most: int) -> Taken:
    """Watch keys, each of which holds a connection."""
    del state
    peer = _kept_peer(runtime_dir)
    peer.attach()
    numbers = iter(range(1, most + 1))
    return _until_refused(
        lambda: peer.result(protocol.WATCH, peer.session_id, next(numbers), True, [b"k"]), most
    )


def unfinished_bytes(state: State, runtime_dir: str, most: int) -> Taken:
    """Send frames of 8 MB that lack their last byte."""
    del state

    def take() -> None:
        peer = _kept_peer(runtime_dir)
        whole = 8 << 20
        sent = peer.send_raw(b"\x02" + whole.to_bytes(8, "big") + bytes(whole - 1), 1.0)
        if sent < whole:
            raise TimeoutError

    return _until_refused(take, most)


def queued_bytes(state: State, runtime_dir: str, most: int) -> Taken:
    """Send requests of 4 MB, and do not read the answers."""
    del state

    def take() -> None:
        peer = _kept_peer(runtime_dir)
        peer.attach()
        for _ in range(4):
            head = [protocol.COMMAND, peer.new_id(), peer.instance_id, 2**62, peer.session_id]
            body = protocol.pack([*head, [b"ECHO", bytes(4 << 20)]])
            whole = message_header(len(body)) + body
            if peer.send_raw(whole, 0.5) < len(whole):
                raise TimeoutError

    return _until_refused(take, most)


def scrapers(state: State, port: int, most: int) -> Taken:
    """Open connections to the metrics' listener that ask for nothing."""
    del state
    return _until_refused(
        lambda: _KEPT.append(socket.create_connection(("127.0.0.1", port), timeout=10)), most
    )


def ask_for_health(state: State, port: int) -> int:
    """Return the status of the daemon's health."""
    del state
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10) as answer:
        return int(answer.status)


_SMALL = {"max_cache_kb": 1, "entry_ttl_ms": 0, "eviction_policy": "LRU", "enable_metrics": False}


def _kept_peer(runtime_dir: str) -> RawPeer:
    peer = RawPeer(runtime_dir)
    _KEPT.append(peer)
    return peer


def _hold(peer: RawPeer) -> None:
    """Hold the pool that this peer was given, as a client does: by its lease."""
    lease = os.open(peer.pool["lease_path"], os.O_RDONLY | os.O_CLOEXEC)
    fcntl.flock(lease, fcntl.LOCK_SH | fcntl.LOCK_NB)
    _KEPT.append(lease)


def _until_refused(take: Callable[[], object], most: int) -> Taken:
    for count in range(most):
        try:
            take()
        except (PeerDroppedError, OSError, RuntimeError) as refusal:
            return count, f"{type(refusal).__name__}: {refusal}"
    return most, ""
