"""The result of an `ATTACH`: a session with one daemon process, and perhaps a pool (contract C18 to C20)."""

from __future__ import annotations

import os

from glidecache.core.connection import OWN_FAULTS, own_fault
from glidecache.errors import ConfigurationError, ConnectionError
from glidecache_shared import lease as leases
from glidecache_shared.pool.reader import PoolFormatError, PoolReader
from glidecache_shared.trusted_path import check_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from glidecache.core.connection import Hello
    from glidecache_shared.lease import Lease


class PoolGoneError(Exception):
    """The pool ended between the daemon's answer and this client's hold on it: attach again."""


class Attachment:
    """A session, and the hold on its pool. Immutable; shared by the threads and forked children of one client.

    `forks` identifies the process that made it. Only that process ends the session at the daemon.
    """

    __slots__ = ("forks", "instance_id", "lease", "reader", "request_timeout_ms", "session_id")

    def __init__(self, hello: Hello, answer: dict[str, Any], forks: int) -> None:
        """Hold the pool that the answer to `ATTACH` names, and map it. `hello` describes that daemon.

        Raises `PoolGoneError`, and `ConfigurationError` if this process can never map it.
        """
        self.instance_id = hello.instance_id
        self.session_id: int = answer["session_id"]
        self.request_timeout_ms: int = answer["request_timeout_ms"]
        self.forks = forks
        self.lease: Lease | None = None
        self.reader: PoolReader | None = None
        pool = answer["pool"]
        if pool is not None:
            self.lease, self.reader = _hold(pool, hello.daemon_uid)

    @property
    def worn(self) -> bool:
        """Return whether the pool gives no more hits, for now or permanently: attaching again may help."""
        return self.reader is not None and not self.reader.trusted

    def release(self) -> None:
        """Release the hold on the pool. Its mapping ends with the last reader."""
        if self.lease is not None:
            self.lease.close()


def _hold(pool: dict[str, Any], daemon_uid: int) -> tuple[Lease, PoolReader]:
    paths = [pool["pool_path"], pool["board_path"], pool["lease_path"]]
    try:
        # A user who could replace the files could also choose the values (I11).
        for directory in {os.path.dirname(path) for path in paths}:
            check_directory(directory, friend=daemon_uid)
    except FileNotFoundError:
        raise PoolGoneError from None
    except OSError as error:
        message = f"this process cannot trust the cache's pool: {error}"
        raise ConfigurationError(message) from error
    try:
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
    except OSError as error:
        if error.errno in OWN_FAULTS:
            raise ConnectionError(own_fault(error, "cache's files")) from error
        message = (
            f"this process cannot map the cache's pool: {error}; "
            "the daemon's pool_dir must be visible and readable here"
        )
        raise ConfigurationError(message) from error
    except PoolFormatError as error:
        message = f"this process cannot read the cache's pool: {error}"
        raise ConfigurationError(message) from error
