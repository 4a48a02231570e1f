"""The kernel's epoll, for compiled code: descriptors, and the events for which they are ready."""

class EventPoll:
    """A set of watched descriptors. `events` are bits of `select.EPOLL…`. Methods raise `OSError`."""

    def __init__(self) -> None: ...
    @property
    def descriptor(self) -> int:
        """Return its own descriptor, which is readable while one of the others is ready; -1 once it is closed."""

    def add(self, descriptor: int, events: int) -> None:
        """Watch a descriptor."""

    def change(self, descriptor: int, events: int) -> None:
        """Watch for other events from now on."""

    def remove(self, descriptor: int) -> None:
        """Stop watching. Must be called before the descriptor is closed."""

    def wait(self, timeout_ms: int) -> int:
        """Wait until descriptors are ready. Return their number.

        The interpreter's lock is given up meanwhile if the process has other threads.
        """

    def look(self) -> int:
        """Return the number of descriptors that are ready now."""

    def descriptor_at(self, index: int) -> int:
        """Return one of the descriptors that the last `wait` or `look` found."""

    def events_at(self, index: int) -> int:
        """Return the events of that descriptor."""

    def close(self) -> None:
        """Close its own descriptor. Idempotent."""
