"""The errors that callers meet, with GLIDE's names and inheritance.

`GlideError` is the base of all. A caller's mistake is a `ConfigurationError`, a `ClosingError`, or Python's own
`TypeError` or `ValueError`; what the server answers is a `RequestError`; what fails on the way is a `TimeoutError` or a
`ConnectionError`.
"""

from __future__ import annotations

import builtins


class GlideError(Exception):
    """The base of every error of this package."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or "No error message provided")

    def name(self) -> str:
        """Return the class's name."""
        return type(self).__name__


class ClosingError(GlideError):
    """The client is closed, or could not be opened: its servers are out of reach or refuse its credentials."""


class RequestError(GlideError):
    """A request failed. The text is the server's own if the error is the server's."""


_TIMED_OUT = "timed out"


class TimeoutError(RequestError, builtins.TimeoutError):
    """No answer came within `request_timeout`. A command that is not a read may still have run.

    The text begins with GLIDE's words, `timed out`, which programs look for.
    """

    def __init__(self, message: str | None = None) -> None:
        if not message:
            message = _TIMED_OUT
        elif _TIMED_OUT not in message:
            message = f"{_TIMED_OUT}: {message}"
        super().__init__(message)


class ExecAbortError(RequestError):
    """The server refused to run a transaction (`EXECABORT`): no command of it ran."""


class ConnectionError(RequestError, builtins.ConnectionError):
    """The server is not reachable, or the connection to it was lost before it answered."""


class DaemonUnavailableError(ConnectionError):
    """No daemon answers at the runtime directory's endpoint. The command was not run."""


class ConfigurationError(RequestError):
    """The configuration contradicts itself, the daemon's, or what this library supports; the text names the field."""
