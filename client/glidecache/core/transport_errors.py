"""The failures of a request on its way to the daemon, and the callers' errors for the daemon's error codes."""

from __future__ import annotations

import errno

from glidecache.errors import (
    ClosingError,
    ConfigurationError,
    ConnectionError,
    ExecAbortError,
    GlideError,
    RequestError,
    TimeoutError,
)
from glidecache_shared import protocol
from glidecache_shared.wire.dealer import NotSentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "OWN_FAULTS",
    "DaemonLostError",
    "NoDaemonError",
    "NoReplyError",
    "NotSentError",
    "OtherVersionError",
    "error_for",
    "error_for_reply",
    "own_fault",
    "too_many",
]

OWN_FAULTS = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS)
"""Errors that show a shortage of this process, not of the daemon."""


class NoDaemonError(Exception):
    """There is no daemon, or none that answers: the request was not handed over. The text gives the reason."""


class OtherVersionError(NoDaemonError):
    """A daemon answers, and this client is of no version that belongs with it. The text says what to do.

    daemon_protocol: the version of the protocol that the daemon speaks; this client's own if it does not say.
    """

    def __init__(self, problem: str, about: dict[str, Any]) -> None:
        super().__init__(problem)
        theirs = about.get("protocol_version")
        self.daemon_protocol: int = theirs if isinstance(theirs, int) else protocol.PROTOCOL_VERSION


class DaemonLostError(Exception):
    """The connection was lost before the reply came: the request may have run."""


class NoReplyError(Exception):
    """The daemon did not answer until the deadline: the request may have run."""


_ERRORS: dict[int, type[GlideError]] = {
    protocol.ERROR_TIMEOUT: TimeoutError,
    protocol.ERROR_CONNECTION: ConnectionError,
    protocol.ERROR_CLOSING: ClosingError,
    protocol.ERROR_CONFIGURATION: ConfigurationError,
    protocol.ERROR_EXEC_ABORT: ExecAbortError,
    protocol.ERROR_OVERDUE: TimeoutError,
}


def error_for(code: int, message: str) -> GlideError:
    """Return the caller's error for one of the protocol's codes."""
    return _ERRORS.get(code, RequestError)(_with_glides_words(message))


def too_many(limit: int) -> RequestError:
    """Return the error for one request more than a client may have open, in GLIDE's words."""
    return RequestError(f"Reached maximum inflight requests: inflight_requests_limit is {limit}")


def error_for_reply(text: str) -> RequestError:
    """Return the error for an error inside a reply: a batch's element."""
    if text.startswith("EXECABORT"):
        return ExecAbortError(text)
    return RequestError(_with_glides_words(text))


def _with_glides_words(text: str) -> str:
    """Return the server's text, with GLIDE's name of the error where programs look for that."""
    return f"{text} (CrossSlot)" if text.startswith("CROSSSLOT") else text


def own_fault(error: OSError, purpose: str) -> str:
    """Return the text for a shortage of this process itself: descriptors, memory (isolation, I16)."""
    name = errno.errorcode.get(error.errno or 0, "?")
    if error.errno == errno.EMFILE:
        return (
            f"this process has no free descriptor ({name}) for a {purpose}: it has as many files open as its "
            "RLIMIT_NOFILE allows; close some, or raise the limit (ulimit -n)"
        )
    if error.errno == errno.ENFILE:
        return f"this host has no free descriptor ({name}) for a {purpose}: fs.file-max is reached"
    return f"this process has no memory ({name}) for a {purpose}: {error.strerror}"
