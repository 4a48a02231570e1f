"""A client's knowledge of its daemon and of its session there: enough to send a request without looking further."""

from __future__ import annotations

import os
import time

import cython

from glidecache.core.transport_errors import OWN_FAULTS, own_fault
from glidecache.errors import ConfigurationError, ConnectionError
from glidecache_shared import lease as leases
from glidecache_shared.pool.reader import PoolFormatError, PoolLayoutError, PoolReader
from glidecache_shared.trusted_path import check_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from glidecache_shared.lease import Lease


class Hello:
    """The daemon's description of itself, and the uid of its process as the kernel reports it."""

    def __init__(self, answer: dict[str, Any], daemon_uid: int) -> None:
        self.daemon_uid: int = daemon_uid
        self.about: dict[str, Any] = answer
        self.instance_id: cython.longlong = answer["instance_id"]
        self.max_message_bytes: cython.longlong = answer["max_message_bytes"]


class PoolGoneError(Exception):
    """The pool ended between the daemon's answer and this client's hold on it: attach again."""


class Attachment:
    """A session, and the hold on its pool. Immutable; shared by the threads and forked children of one client.

    `forks` identifies the process that made it. Only that process ends the session at the daemon.
    """

    def __init__(self, hello: Hello, answer: dict[str, Any], forks: int) -> None:
        """Hold the pool that the answer to `ATTACH` names, and map it. `hello` describes that daemon.

        Raises `PoolGoneError`, `PoolLayoutError`, and `ConfigurationError` if this process can never map it.
        """
        self.instance_id: cython.longlong = hello.instance_id
        self.session_id: cython.longlong = answer["session_id"]
        self.request_timeout_ms: cython.longlong = answer["request_timeout_ms"]
        self.forks: cython.longlong = forks
        self.lease: Lease | None = None
        self.reader: PoolReader | None = None
        pool = answer["pool"]
        if pool is not None:
            self.lease, self.reader = _hold(pool, hello.daemon_uid)

    def is_stale(self) -> cython.bint:
        """Return whether the pool gives no more hits, for now or permanently: attaching again may help."""
        return self.reader is not None and not self.reader.trusted

    def release(self) -> None:
        """Release the hold on the pool. Its mapping ends with the last reader."""
        if self.lease is not None:
            self.lease.close()


class SessionState:
    """The state that a client's calls check before they send anything. Shared by all its threads and loops."""

    def __init__(self) -> None:
        self.attachment: Attachment | None = None
        self.unknown: Attachment | None = None
        """The attachment that the daemon does not know (any more)."""
        self.outage: cython.bint = False
        """True when the daemon did not answer: calls go to the servers directly."""
        self.close_message: str = ""
        """The text of a closed client's `ClosingError`; empty while the client is open."""
        self.next_stale_ns: cython.longlong = 0
        """The time before which attaching again because of a stale pool is of no use."""

    def usable(self, hello: Hello | None) -> Attachment | None:
        """Return the attachment if it is one with the daemon that said hello, and of use."""
        attachment = self.attachment
        if attachment is None or hello is None or attachment is self.unknown:
            return None
        if attachment.instance_id != hello.instance_id:
            return None
        # The daemon may have replaced the generation. If it is only late, attaching changes nothing: not too often.
        if attachment.is_stale() and time.monotonic_ns() >= self.next_stale_ns:
            return None
        return attachment


class FirstAttempt:
    """A request that was sent on the fast path, and did not succeed there: the session goes on from it."""

    def __init__(
        self,
        connection: Any,
        attachment: Attachment,
        asked_ns: int,
        outcome: Exception | tuple[int, Any],
    ) -> None:
        """Note the outcome of a request for a call that was made at `asked_ns`: its reply, or why there is none."""
        self.connection: Any = connection
        self.attachment: Attachment = attachment
        self.asked_ns: cython.longlong = asked_ns
        self.outcome: Exception | tuple[int, Any] = outcome

    def reply(self) -> tuple[int, Any]:
        """Return the reply's status and body. Raises as `DaemonConnection.request`."""
        outcome = self.outcome
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def _hold(pool: dict[str, Any], daemon_uid: int) -> tuple[Lease, PoolReader]:
    paths = [pool["pool_path"], pool["board_path"], pool["lease_path"]]
    try:
        # A user who could replace the files could also choose the values (I11).
        for directory in {os.path.dirname(path) for path in paths}:
            check_directory(directory, friend=daemon_uid)
    except (FileNotFoundError, NotADirectoryError):
        raise PoolGoneError from None
    except OSError as error:
        if error.errno is not None:  # the kernel's: this process may not look
            raise _not_mapped(error) from error
        message = f"this process cannot trust the cache's pool: {error}"
        raise ConfigurationError(message) from error
    try:
        return _hold_files(pool)
    except OSError as error:
        raise _not_mapped(error) from error
    except PoolLayoutError:
        raise
    except PoolFormatError as error:
        message = f"this process cannot read the cache's pool: {error}"
        raise ConfigurationError(message) from error


def _hold_files(pool: dict[str, Any]) -> tuple[Lease, PoolReader]:
    lease = leases.hold(pool["lease_path"], pool["lease_inode"])
    if lease is None:
        raise PoolGoneError
    try:
        return lease, PoolReader(pool["pool_path"], pool["board_path"])
    except FileNotFoundError:
        lease.close()
        raise PoolGoneError from None
    except BaseException:
        lease.close()
        raise


def _not_mapped(error: OSError) -> ConnectionError | ConfigurationError:
    if error.errno in OWN_FAULTS:
        return ConnectionError(own_fault(error, "cache's files"))
    from glidecache.core.pool_faults import why_not_mapped  # for a message alone

    return ConfigurationError(why_not_mapped(error))
