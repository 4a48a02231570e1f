"""The proof to which calls the replies on a connection belong, where that is in doubt (isolation I4).

Replies belong to calls by their order alone. It is in doubt when a reply comes for a call that is not wanted any more.
Then the daemon sends a marker behind everything: a command that returns its argument, which is random. Replies are
parked until the marker's own reply comes. At its place it proves the order of all replies before it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import cython
from cython.cimports.libc.stdint import int64_t

from glidecache_shared.protocol import TOO_LATE, ReplyError
from glidecached.upstream.call import Call, pack_command

if TYPE_CHECKING:
    from glidecached.upstream.call_queue import CallQueue

PARKED, PROVED, NOT_NOW, BROKEN = 0, 1, 2, 3
"""The outcomes of `ReplyOrder.park` for a reply on a connection in doubt."""

_NONCE_BYTES = 16

_MOST_PARKED_BYTES = cython.declare(int64_t, 67_108_864)
"""The most bytes that are parked while their order is not proved."""

_SERVER_BUSY = ("BUSY ", "LOADING ", "MASTERDOWN ")
"""Errors of a server that runs no commands now: they prove nothing, either way."""


class Marker(Call):
    """The daemon's own command. The place of its reply shows to which calls the replies around it belong."""

    def __init__(self, command: bytes, nonce: bytes) -> None:
        self.deadline_ns = 2**63 - 1
        self._command = command
        self.nonce = nonce

    def pack(self) -> bytes:
        """Implement `Call`."""
        return pack_command((self._command, self.nonce))

    def abandon(self) -> None:
        """Do nothing: it is sent at once, so it is never abandoned."""

    def succeed(self, reply: Any) -> None:
        """Do nothing: the connection has handled it."""

    def fail(self, code: cython.int, message: str) -> None:
        """Do nothing: no caller waits for it."""


def is_over(call: Call, received_ns: int64_t) -> cython.bint:
    """Return whether no client will take the call's reply, which came at that time.

    A read's deadline does not decide that: until the reply is passed on, a later request may join the flight and move
    it.
    """
    return not call.is_wanted(0 if call.repeatable else received_ns)


class ReplyOrder:
    """The replies of one connection that wait for the proof, and the marker that was sent for it.

    `waiting` are the connection's calls, which the connection itself changes, too. `command` returns its argument;
    None where the server refuses such commands.
    """

    def __init__(self, command: bytes | None, waiting: CallQueue) -> None:
        self.in_doubt: cython.bint = False
        self.marker: Marker | None = None
        self.fault: str | None = None
        """The reason why the order is lost, after `BROKEN`."""
        self._command = command or b""
        self._waiting = waiting
        self._parked: list[tuple[Any, int]] = []
        self._parked_bytes: int64_t = 0
        self._expected: cython.Py_ssize_t = 0
        self._place: cython.Py_ssize_t = 0
        self._left: cython.Py_ssize_t = 0

    def doubt(self) -> cython.bint:
        """Park replies from now on. Return False where they can never be proved."""
        self.in_doubt = bool(self._command)
        return self.in_doubt

    def send_marker(self) -> bytes:
        """Let a marker wait behind everything that was sent; return its bytes for the server."""
        call: Call
        count: cython.Py_ssize_t = 0
        # Parked replies are not passed on: their calls still wait for them.
        for call in self._waiting:
            count += call.replies_left()
        self._expected = count
        self.marker = Marker(self._command, b"glidecached:" + os.urandom(_NONCE_BYTES).hex().encode())
        self._waiting.append(self.marker)
        return self.marker.pack()

    def park(self, reply: Any, received_ns: int64_t, weight_bytes: int64_t) -> cython.int:
        """Park a reply (`PARKED`), or recognize it as the marker's (`PROVED`) or as a sign of lost order (`BROKEN`).

        `NOT_NOW`: the server runs no commands now. The marker is forgotten, and has to be sent again.
        """
        count: cython.Py_ssize_t = len(self._parked)
        if self.marker is not None and type(reply) is bytes and reply == self.marker.nonce:
            if count == self._expected:
                return PROVED
            return self._break(f"replies are out of step: {self._expected - count} are missing")
        if self.marker is not None and count == self._expected:
            if not isinstance(reply, ReplyError):
                return self._break("replies are out of step: there is one too many")
            if not str(reply).startswith(_SERVER_BUSY):
                return self._break(
                    f"the server refuses the command that proves the order of its replies: {reply}"
                )
            self._forget_marker()
            return NOT_NOW
        if self._is_unheard(received_ns):
            # Only that it came has to be remembered. Should its caller still listen, it hears what is true.
            reply = TOO_LATE
        else:
            self._parked_bytes += weight_bytes
        self._parked.append((reply, received_ns))
        if self._parked_bytes > _MOST_PARKED_BYTES:
            return self._break(f"more than {_MOST_PARKED_BYTES} bytes arrived before their order was proved")
        return PARKED

    def take_proved(self) -> list[tuple[Any, int]]:
        """Return the parked replies with the times of their arrival: they belong to the first waiting calls."""
        parked, self._parked = self._parked, []
        self._parked_bytes = self._place = self._left = 0
        self.marker = None
        self.in_doubt = False
        return parked

    def take_certain(self, error: str) -> tuple[Any, int] | None:
        """Return the first parked reply if it is true for any caller, while the server answers all with this error.

        It belongs to the first waiting call. `find_place` has to follow after the last.
        """
        call: Call
        if not self._parked:
            return None
        reply, received_ns = self._parked[0]
        call = self._waiting[0]
        if not is_over(call, received_ns) and not (
            isinstance(reply, ReplyError) and str(reply).startswith(_SERVER_BUSY)
        ):
            if call.is_wanted(received_ns):
                return None
            # Late, but others may have joined it: they hear the same as all who ask now.
            reply = ReplyError(error)
        del self._parked[0]
        return (reply, received_ns)

    def find_place(self) -> None:
        """Find out which call the next reply to be parked belongs to."""
        replies: cython.Py_ssize_t = len(self._parked)
        call: Call
        self._place = self._left = 0
        if not replies:
            self._parked_bytes = 0
        while replies > 0:
            call = self._waiting[self._place]
            self._left = call.replies_left()
            if self._left > replies:
                self._left -= replies
                return
            replies -= self._left
            self._left = 0
            self._place += 1

    def close(self) -> None:
        """Forget everything: the connection is closed. Idempotent."""
        self._forget_marker()
        self._parked = []

    def _is_unheard(self, received_ns: int64_t) -> cython.bint:
        """Return whether the next reply to be parked belongs to a call that no client waits for."""
        call: Call
        if self._left == 0:
            if self._place >= len(self._waiting):
                return False
            call = self._waiting[self._place]
            self._left = call.replies_left()
        call = self._waiting[self._place]
        self._left -= 1
        if self._left == 0:
            self._place += 1
        return is_over(call, received_ns)

    def _forget_marker(self) -> None:
        if self.marker is not None:
            self._waiting.remove(self.marker)
            self.marker = None

    def _break(self, fault: str) -> cython.int:
        self.fault = fault
        return BROKEN
