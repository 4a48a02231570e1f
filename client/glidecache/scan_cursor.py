"""The position of a scan over a cluster."""

from __future__ import annotations

_START = "0"
_FINISHED = "finished"


class ClusterScanCursor:
    """The position of a scan over all keys of a cluster. A new one begins; each `scan` returns the next one.

    Immutable, and nothing but its text, which `get_cursor` returns. Another process may continue from that text. Raises
    `TypeError` for anything but text.
    """

    __slots__ = ("_cursor",)

    def __init__(self, new_cursor: str | None = None) -> None:
        if not isinstance(new_cursor, (str, type(None))):
            message = f"new_cursor must be a str, not {type(new_cursor).__name__}"
            raise TypeError(message)
        self._cursor = new_cursor or _START

    def get_cursor(self) -> str:
        """Return the cursor as text."""
        return self._cursor

    def is_finished(self) -> bool:
        """Return whether the scan is over."""
        return self._cursor == _FINISHED

    def is_start(self) -> bool:
        """Return whether the scan has not begun."""
        return self._cursor == _START

    def __repr__(self) -> str:
        return f"ClusterScanCursor({self._cursor!r})"

    @classmethod
    def finished(cls) -> ClusterScanCursor:
        """Return the cursor of a scan that is over."""
        return cls(_FINISHED)
