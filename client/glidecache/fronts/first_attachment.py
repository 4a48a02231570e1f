"""The attachment of a client when it is made, so that a refusal of the daemon is an error there, and not at a read."""

from __future__ import annotations

import threading
import time

from glidecache.core.transport_errors import (
    DaemonLostError,
    NoDaemonError,
    NoReplyError,
    NotSentError,
    OtherVersionError,
)
from glidecache.errors import ConfigurationError, GlideError
from glidecache.sync.connection import BlockingConnection, run_blocking
from glidecache.sync.exchange import Closing
from glidecache_shared.wire.dealer import forks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Never

    from glidecache.aio.client import AsyncClient
    from glidecache.sync.client import BlockingClient

_MS = 1_000_000
_LONGEST_NS = 500 * _MS
_PAUSE_OF_DURATION = 4
"""After an attempt that was slow, later clients attach with their first miss for four times as long as it took."""
_FORGET_SINCE = 2
"""The first version of the protocol that has `FORGET`."""

_paused_until_ns: dict[str, int] = {}


class _PromptConnection(BlockingConnection):
    """A connection that waits for no daemon to start."""

    __slots__ = ()

    async def _pause(self, nanoseconds: int) -> Never:
        del nanoseconds
        message = "there is no daemon now"
        raise NoDaemonError(message)


def attach_at_once(client: AsyncClient | BlockingClient) -> None:
    """Attach a client that no other thread has yet, in half a second at most. Raises `ConfigurationError`, as a miss.

    A daemon before 0.2 is such an error too. One that is absent, busy or too slow is not: the client attaches with its
    first miss. The connection is closed again, so that a fork inherits the hold on the pool, and no socket. It blocks,
    an event loop too: usually for a millisecond.
    """
    session, settings = client._session, client._settings
    began_ns = time.monotonic_ns()
    if session.state.attachment is not None or began_ns < _paused_until_ns.get(settings.runtime_dir, 0):
        return
    connection = _PromptConnection(settings.runtime_dir, forks(), threading.RLock(), Closing())
    timeout_ms = settings.request_timeout_ms
    deadline_ns = began_ns + (_LONGEST_NS if timeout_ms is None else min(timeout_ms * _MS, _LONGEST_NS))
    try:
        run_blocking(session.connect_and_attach(connection, deadline_ns, deadline_ns))
    except OtherVersionError as other:
        if other.daemon_protocol < _FORGET_SINCE:
            raise ConfigurationError(str(other)) from None
    except (DaemonLostError, NoDaemonError, NoReplyError, NotSentError):
        pass
    except ConfigurationError:
        raise
    except GlideError:
        pass  # it passes by: no room, no connection to the servers
    finally:
        connection.drop()
    # The daemon itself waits for servers that are silent, and then gives no pool.
    ended_ns = time.monotonic_ns()
    if session.reader is None:
        _paused_until_ns[settings.runtime_dir] = ended_ns + _PAUSE_OF_DURATION * (ended_ns - began_ns)
