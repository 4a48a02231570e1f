"""The daemon's socket: it is bound here, and clients are admitted or turned away. Nothing blocks.

It speaks ZeroMQ's protocol on a plain Unix socket, in the loop's own thread
(docs/design/0011-zmtp-on-plain-sockets.md).
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import select
import socket
import stat
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from glidecached.budget import Budget
from glidecached.frontend.client_connection import ClientConnection
from glidecached.frontend.connections import ConnectionSet
from glidecached.shares import Shares

if TYPE_CHECKING:
    from collections.abc import Callable

    from glidecached.process.turn_end import TurnEnd

logger = logging.getLogger(__name__)

_SOCKET_UMASK = 0o007
"""The socket is open to its owner and its group; the runtime directory's mode decides who can reach it."""

_BACKLOG = 1_024
_LINGER_SECONDS = 1.0
_MORE_UNSENT = 1_000
_HANDSHAKE_NS = 30_000_000_000
_TURNED_AWAY_NS = 2_000_000_000
_MOST_TURNED_AWAY = 32
_MOST_TURNED_AWAY_OF_A_PROCESS = 4
"""This many connections above the limit get a refusal at once; the others are closed without one.

One process that connects endlessly must not use up the refusals of others.
"""

_SWEEP_MS = 1_000.0
_ROOM_MS = 20.0
DEFAULT_MAX_CONNECTIONS = 16_384
_WARNING_INTERVAL_NS = 10_000_000_000
_NO_DESCRIPTOR = (errno.EMFILE, errno.ENFILE)


class Listener:
    """A bound socket that admits clients to its `connections`. For the loop's thread."""

    def __init__(
        self,
        path: str,
        *,
        max_message_bytes: int,
        max_requests: int,
        turn_end: TurnEnd,
        call_later: Callable[[float, Callable[[], object]], object] | None = None,
        budget: Budget | None = None,
        max_connections: int = DEFAULT_MAX_CONNECTIONS,
        descriptor_bound: int = 1_000_000,
    ) -> None:
        """Bind to the Unix socket at `path`, which must not exist. Raises `OSError`.

        `max_requests` is the limit of open requests per peer: that many answers find room, and refusals beside them.
        `turn_end` has the tasks for the end of the loop's turn: the answers of one turn to one peer leave together.
        `call_later` is the loop's; without it no message has a deadline. `budget` bounds the bytes held for all peers.
        `descriptor_bound` is the number of connections for which the process's limit on descriptors leaves room.
        """
        self.connections = ConnectionSet(self, turn_end)
        self.peer_ended: Callable[[ClientConnection], object] | None = None
        """Called with each connection that has ended, after its last message was taken."""
        self._socket: socket.socket | None = None
        self._place: tuple[int, ...] | None = None
        self.budget = budget or Budget()
        self._descriptor_bound = descriptor_bound
        self.connection_shares = Shares(
            min(max_connections, descriptor_bound),
            "connections",
            "[daemon] max_connections, limit on descriptors",
        )
        self.refused: Counter[str] = Counter()
        """The numbers of refused messages, by cause. The dispatcher counts here, too."""
        self._turned_away: Counter[tuple[int, int]] = Counter()
        self._path = Path(path)
        self._max_message_bytes = max_message_bytes
        self._max_unsent = _unsent_for(max_requests)
        self._accepted = 0
        self._warned_ns = 0
        self._reserve = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._socket = _listen(path)
        except OSError:
            self._close_descriptors()
            raise
        self._place = _place_of(path)
        self.connections.add_listener(self._socket.fileno())
        self._call_later = call_later
        self._looks_for_room = False
        if call_later is not None:
            call_later(_SWEEP_MS, self._sweep)

    def connected_processes(self) -> set[int]:
        """Return the ids of the connected processes, as the kernel reports them; 0 for those it does not show."""
        return {connection.peer.pid for connection in self.connections}

    def limit_requests(self, max_requests: int) -> None:
        """Set the limit of open requests per peer, as at the start."""
        self._max_unsent = _unsent_for(max_requests)
        self.connections.limit_unsent(self._max_unsent)

    def restore(self) -> bool:
        """Bind again if the socket has vanished, or another file has its place. Return whether that was so (I13).

        Existing connections stay. For an owner of the directory. Raises `OSError`; then nothing has changed.
        """
        try:
            if self._socket is None or _place_of(self._path) == self._place:
                return False
        except OSError:  # the kernel gives no answer, as for a directory that is closed for a while
            return False
        self._path.unlink(missing_ok=True)
        bound = _listen(str(self._path))
        self.connections.add_listener(bound.fileno())
        self.connections.remove_listener(self._socket.fileno())
        self._socket.close()
        self._socket, self._place = bound, _place_of(self._path)
        return True

    def limit_connections(self, max_connections: int) -> None:
        """Set the limit of connections, as far as descriptors allow; open connections stay."""
        self.connection_shares.total = min(max_connections, self._descriptor_bound)

    def stop_receiving(self) -> None:
        """Take no more messages, and no more connections; `write` when `connections.descriptor` is readable."""
        if self._socket is not None:
            self.connections.remove_listener(self._socket.fileno())
        self.connections.stop_reading()

    def hide(self) -> None:
        """Remove the socket's name, so that no new client finds it. Existing connections stay, and get answers."""
        with contextlib.suppress(OSError):
            if _place_of(self._path) == self._place:  # otherwise another daemon owns it now
                self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Send queued answers, for at most a second, and close. Idempotent."""
        until = time.monotonic() + _LINGER_SECONDS
        waiting = [connection for connection in self.connections if not connection.flush()]
        while waiting and time.monotonic() < until:
            poll = select.poll()
            for connection in waiting:
                poll.register(connection.descriptor, select.POLLOUT)
            poll.poll(max(0.0, until - time.monotonic()) * 1_000)
            waiting = [connection for connection in waiting if not connection.flush()]
        for connection in self.connections:
            self.connections.drop(connection)
        self._close_descriptors()
        self.hide()

    def accept(self) -> None:
        """Implement `connections.ConnectionHandler`: accept pending clients."""
        while self._socket is not None:
            try:
                connected, _ = self._socket.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _NO_DESCRIPTOR:
                    self._turn_away(error)
                return
            try:
                self._admit(connected)
            except OSError:
                connected.close()  # the peer has disconnected already

    def connection_lacks_room(self) -> None:
        """Implement `connections.ConnectionHandler`: look for room every 20 ms while any connection lacks it."""
        if self._call_later is not None and not self._looks_for_room:
            self._looks_for_room = True
            self._call_later(_ROOM_MS, self._look_for_room)

    def connection_ended(self, connection: ClientConnection) -> None:
        """Implement `connections.ConnectionHandler`: count one connection less."""
        if self.peer_ended is not None:
            self.peer_ended(connection)
        if connection.refusal is None:
            self.connection_shares.leave(connection.peer)
        else:
            self._turned_away[_process_of(connection)] -= 1
            self._turned_away += Counter()  # drops the processes that have none left

    def _admit(self, connected: socket.socket) -> None:
        now_ns = time.monotonic_ns()
        self._drop_silent(now_ns)
        self._accepted += 1
        connection = ClientConnection(
            connected,
            self._accepted.to_bytes(8),
            now_ns,
            max_message_bytes=self._max_message_bytes,
            max_unsent=self._max_unsent,
            budget=self.budget,
        )
        full = self.connection_shares.enter(connection.peer)
        if full is not None:
            # The refusal is sent when the peer asks for something; then the connection is closed.
            self._warn_turned_away(full)
            process = _process_of(connection)
            if (
                self._turned_away.total() >= _MOST_TURNED_AWAY
                or self._turned_away[process] >= _MOST_TURNED_AWAY_OF_A_PROCESS
            ):
                connection.close()
                return
            self._turned_away[process] += 1
            connection.refusal = full
        self.connections.admit(connection)

    def _drop_silent(self, now_ns: int) -> None:
        """Drop connections that do not introduce themselves, and refused ones that send nothing."""
        for silent in list(self.connections.introducing.values()):
            limit_ns = _HANDSHAKE_NS if silent.refusal is None else _TURNED_AWAY_NS
            if now_ns - silent.accepted_ns >= limit_ns:
                self.connections.drop(silent)

    def _look_for_room(self) -> None:
        self._looks_for_room = False
        if self.connections.retry_roomless():
            self.connection_lacks_room()

    def _sweep(self) -> None:
        now_ns = time.monotonic_ns()
        self._drop_silent(now_ns)
        if self._turned_away:
            for connection in self.connections:
                if connection.refusal is not None and now_ns - connection.accepted_ns >= _TURNED_AWAY_NS:
                    self.connections.drop(connection)
        for peer in self.connections.drop_unfinished() if self.connections.unfinished else ():
            self.refused["unfinished"] += 1
            if self._may_warn():
                seconds = round(self.budget.unfinished_ns / 1e9)
                logger.warning(
                    "dropped a connection: its message made no progress",
                    extra={"pid": peer.pid, "uid": peer.uid, "seconds": seconds},
                )
        if self._call_later is not None:
            self._call_later(_SWEEP_MS, self._sweep)

    def _may_warn(self) -> bool:
        """Return whether the last warning was long enough ago: clients cannot flood the log."""
        now_ns = time.monotonic_ns()
        if now_ns - self._warned_ns < _WARNING_INTERVAL_NS:
            return False
        self._warned_ns = now_ns
        return True

    def _warn_turned_away(self, reason: str | None) -> None:
        if self._may_warn():
            logger.warning("a client was turned away", extra={"reason": reason})

    def _turn_away(self, error: OSError) -> None:
        """Close a connection for which no descriptor is left: pending, it would keep the loop awake."""
        self._warn_turned_away(error.strerror)
        reserve, self._reserve = self._reserve, -1
        if reserve >= 0:
            os.close(reserve)
        with contextlib.suppress(OSError):
            if self._socket is not None:
                self._socket.accept()[0].close()
        with contextlib.suppress(OSError):
            self._reserve = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def _close_descriptors(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self.connections.close()
        reserve, self._reserve = self._reserve, -1
        if reserve >= 0:
            os.close(reserve)


def _listen(path: str) -> socket.socket:
    """Return a socket that listens at `path`, which must not exist. Raises `OSError`."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    previous = os.umask(_SOCKET_UMASK)
    try:
        listener.bind(path)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise OSError(error.errno, error.strerror, path) from error
    finally:
        os.umask(previous)
    listener.setblocking(False)
    return listener


def _place_of(path: str | Path) -> tuple[int, ...] | None:
    """Return an identity of a socket in the file system; None where there is none. Raises `OSError`.

    A bound socket's own descriptor does not give it. The time is included for file systems that reuse inode numbers.
    """
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return (found.st_dev, found.st_ino, found.st_mtime_ns) if stat.S_ISSOCK(found.st_mode) else None


def _process_of(connection: ClientConnection) -> tuple[int, int]:
    return connection.peer.uid, connection.peer.pid


def _unsent_for(max_requests: int) -> int:
    return 2 * max_requests + _MORE_UNSENT
