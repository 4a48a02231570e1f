"""A client's way to the daemon: connect, ask who answers, send requests, and match replies to them.

`Channel` has everything but waiting. The blocking and the asyncio client wait in their own ways; what stands above them
is written once, as coroutines: those of the blocking channel never suspend, and `run_blocking` takes their result.
"""

from __future__ import annotations

import time

from glidecache.errors import ConfigurationError, RequestError
from glidecache.outcomes import DaemonLostError, NoDaemonError, NoReplyError, NotSentError
from glidecache_shared import protocol
from glidecache_shared.runtime_dir import check_endpoint, socket_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence
    from types import TracebackType
    from typing import Any, Protocol

    from glidecache.link import Link

    class Turn(Protocol):
        """Held by the one call of a client that connects and attaches; the others come after it, in their order."""

        async def __aenter__(self) -> object: ...
        async def __aexit__(
            self,
            kind: type[BaseException] | None,
            error: BaseException | None,
            traceback: TracebackType | None,
        ) -> object: ...

    class Channels(Protocol):
        """All channels of one client: one per process and thread, or per process and event loop."""

        def current(self) -> Channel:
            """The channel for the caller's process and thread or loop, made if there is none yet."""

        def existing(self) -> Channel | None:
            """The same, if it has been made."""

        def close(self) -> None:
            """Close what the caller's thread or loop may close, and have the rest closed."""


CLIENT_VERSION = "0.1.0"

_MS = 1_000_000
_RETRY_PAUSE_NS = 10 * _MS


class Hello:
    """What the daemon said of itself, and the uid of its process, as the kernel tells it."""

    __slots__ = ("daemon_uid", "instance_id", "max_message_bytes")

    def __init__(self, answer: dict[str, Any], daemon_uid: int) -> None:
        self.daemon_uid = daemon_uid
        self.instance_id: int = answer["instance_id"]
        self.max_message_bytes: int = answer["max_message_bytes"]


class Channel:
    """The way to one runtime directory's daemon. Subclasses say how to wait, and for whom it may be used."""

    __slots__ = (
        "_daemon_uid",
        "_link",
        "_next_id",
        "_runtime_dir",
        "_trusted_uid",
        "forks",
        "hello",
        "watch",
    )

    def __init__(self, runtime_dir: str, forks: int) -> None:
        self._runtime_dir = runtime_dir
        self._link: Link | None = None
        self._next_id = 0
        self._trusted_uid = self._daemon_uid = 0
        self.hello: Hello | None = None
        """Who answers; None while no connection stands."""
        self.forks = forks
        """When it was made, as `link.forks` counts: a channel of another process must not be touched."""
        self.watch = 0
        """The number under which this thread or loop watches keys, or 0. It outlives the connection: see `watching`."""

    @property
    def crowded(self) -> bool:
        """Whether calls wait for their turn, whom another one must not overtake (contract C23)."""
        return False

    def turn(self, deadline_ns: int) -> Turn:
        """The right to connect and attach. Entering it raises `NoDaemonError` when it cannot be had in time."""
        raise NotImplementedError

    async def connect(self, deadline_ns: int) -> Hello:
        """Have a connection to a daemon that answers. Raises `NoDaemonError` when there is none at the deadline."""
        while True:
            if self.hello is not None:
                return self.hello
            await self._open(deadline_ns)
            try:
                self.hello = await self._greet(deadline_ns)
            except (DaemonLostError, NotSentError):
                continue  # it ended just now; perhaps another one comes
            except NoReplyError:
                self.drop()
                problem = "does not answer"
                raise self._unavailable(problem) from None

    def request(
        self, operation: int, instance_id: int, deadline_ns: int, body: Sequence[Any]
    ) -> Coroutine[Any, Any, tuple[int, Any]]:
        """Send one request, when that is awaited; the reply's status and body.

        Raises `RequestError` for what is too long, `NotSentError`, `DaemonLostError` and `NoReplyError`.
        """
        link = self._link
        if link is None:
            raise NotSentError
        self._next_id = request_id = self._next_id + 1
        frame = protocol.pack((operation, request_id, instance_id, deadline_ns, *body))
        hello = self.hello
        if hello is not None and len(frame) > hello.max_message_bytes:
            message = (
                f"the request has {len(frame)} bytes; "
                f"max_message_bytes of the daemon's configuration allows {hello.max_message_bytes}"
            )
            raise RequestError(message)
        return self._exchange(link, request_id, frame, deadline_ns)

    def drop(self) -> None:
        """Close the connection, if there is one. The next `connect` makes another."""
        link, self._link = self._link, None
        self.hello = None
        if link is not None:
            self._release(link)

    async def _open(self, deadline_ns: int) -> None:
        """Make a link that is up. Raises `NoDaemonError`."""
        while True:
            problem = self._look()
            if not problem:
                self.drop()  # what a call has left that was cancelled while it connected
                try:
                    link = self._link = self._make_link()
                except BlockingIOError:
                    problem = "is busy: too many wait for it to take their connections"
                except OSError:
                    problem = "is not running: nobody listens at its socket"
                else:
                    if await self._wait_until_up(link, deadline_ns):
                        return
                    self.drop()
                    problem = "accepts no connections"
            remaining_ns = deadline_ns - time.monotonic_ns()
            if remaining_ns <= 0:
                raise self._unavailable(problem)
            await self._pause(min(remaining_ns, _RETRY_PAUSE_NS))

    def _look(self) -> str:
        """Why connecting would be in vain just now, or nothing. Raises `NoDaemonError` where waiting would not help."""
        try:
            self._trusted_uid = check_endpoint(self._runtime_dir)
        except FileNotFoundError:
            return "is not running: it has no socket there"
        except OSError as error:
            # With a number it is the kernel's word: this process may not look who is there.
            problem = "trusted" if error.errno is None else "reached"
            message = f"glidecached cannot be {problem}: {error}"
            raise NoDaemonError(message) from None
        return ""

    def _make_link(self) -> Link:
        """Begin to connect. Raises `OSError` as `Link`, and `NoDaemonError` for another daemon than was looked at."""
        from glidecache.link import Link

        link = Link(socket_path(self._runtime_dir))
        # Who may write the directory could have put another socket there since.
        if link.listener_uid not in (0, self._trusted_uid):
            link.close()
            message = (
                f"glidecached cannot be trusted: uid {link.listener_uid} listens at the socket in {self._runtime_dir}, "
                f"which belonged to uid {self._trusted_uid}"
            )
            raise NoDaemonError(message)
        self._daemon_uid = link.listener_uid
        return link

    async def _greet(self, deadline_ns: int) -> Hello:
        body = (protocol.PROTOCOL_VERSION, CLIENT_VERSION)
        status, answer = await self.request(protocol.HELLO, 0, deadline_ns, body)
        if status != protocol.STATUS_OK:
            if answer[0] == protocol.ERROR_OVERDUE:
                raise NoReplyError  # it hung meanwhile, and is just coming back: that is no refusal
            self.drop()
            message = f"glidecached at {self._runtime_dir} refuses this client: {answer[1]}"
            raise ConfigurationError(message)
        return Hello(answer, self._daemon_uid)

    def _unavailable(self, problem: str) -> NoDaemonError:
        return NoDaemonError(f"glidecached at {self._runtime_dir} {problem}")

    def _read(self, frame: bytes) -> tuple[int, int, Any]:
        """A reply's request id, status and body. Raises `DaemonLostError` for what is none, closing the connection."""
        try:
            request_id, status, body = protocol.unpack(frame, max(len(frame), 1))
        except (ValueError, TypeError):
            self.drop()
            message = "the daemon's reply cannot be read"
            raise DaemonLostError(message) from None
        return request_id, status, body

    async def _wait_until_up(self, link: Link, deadline_ns: int) -> bool:
        """Whether the link came up before the deadline."""
        raise NotImplementedError

    async def _pause(self, nanoseconds: int) -> None:
        raise NotImplementedError

    async def _exchange(self, link: Link, request_id: int, frame: bytes, deadline_ns: int) -> tuple[int, Any]:
        """Send the frame and wait for the reply with that id."""
        raise NotImplementedError

    def _release(self, link: Link) -> None:
        """Close a link that is no longer the channel's."""
        raise NotImplementedError


def reply_deadline_ns(deadline_ns: int) -> int:
    """Until when to wait for the reply to a request: the daemon's own word about a deadline comes a little after it.

    The daemon's timers are up to 5 ms late, and up to a hundredth of longer time-outs.
    """
    return deadline_ns + 25 * _MS + max(0, deadline_ns - time.monotonic_ns()) // 50
