"""A queue of connections, each linked to the next: one is put in and taken out, wherever it is, without a look-up."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from glidecached.frontend.client_connection import ClientConnection


class ConnectionQueue:
    """Connections in the order of their turns; each is in it once. A connection may be in one such queue."""

    first: ClientConnection | None
    """The connection whose turn is next."""

    def __init__(self) -> None:
        self.first = None
        self.last: ClientConnection | None = None

    def add(self, connection: ClientConnection) -> None:
        """Put a connection at the end. One that is in the queue keeps its place."""
        if connection.queued:
            return
        connection.queued = True
        if self.last is None:
            self.first = connection
        else:
            self.last.queue_behind = connection
            connection.queue_before = self.last
        self.last = connection

    def discard(self, connection: ClientConnection) -> None:
        """Take a connection out, if it is in the queue."""
        before: ClientConnection | None = connection.queue_before
        behind: ClientConnection | None = connection.queue_behind
        if not connection.queued:
            return
        connection.queued = False
        connection.queue_before = connection.queue_behind = None
        if before is None:
            self.first = behind
        else:
            before.queue_behind = behind
        if behind is None:
            self.last = before
        else:
            behind.queue_before = before
