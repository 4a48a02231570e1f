"""Descriptors closed by the object that opened them, and never once the number belongs to another file (I16)."""

class OwnedDescriptor:
    """An open file of this process, known by its device and inode besides its number.

    An application that daemonizes closes all descriptors by number. Files that it opens later get these numbers. So the
    file is checked before it is closed. Inherited by forks, not by `exec`. Closed with the object.
    """

    def __init__(self, number: int) -> None:
        """Take over an open descriptor; -1 for none. Raises `OSError` for a number that is not open."""

    @staticmethod
    def open(path: str, flags: int) -> OwnedDescriptor:
        """Open a file with `O_CLOEXEC` and these flags. Raises `OSError`."""

    @staticmethod
    def connect(path: str) -> OwnedDescriptor:
        """Connect a non-blocking Unix socket to the one at `path`. Raises `OSError` as `connect(2)`."""

    @property
    def number(self) -> int:
        """Return the descriptor's number; -1 once closed."""

    def peer_uid(self) -> int:
        """Return the uid of the process that listens at a connected socket's other end, as the kernel reports it."""

    def is_own(self) -> bool:
        """Return whether the number still leads to the file that was opened."""

    def close(self) -> None:
        """Close the file if the number still leads to it. Never raises. Idempotent."""
