"""systemd's notification protocol (sd_notify(3)): lines of `NAME=value`, one datagram each time."""

from __future__ import annotations

import logging
import os
import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import MutableMapping

logger = logging.getLogger(__name__)

_SEND_SECONDS = 1.0
"""The time limit for the manager to make room for a message: the daemon must not hang with it."""


class ServiceManager:
    """The service manager that started the daemon. Without an `address` there is none, and nothing is sent.

    `address` is a socket's path, or `@name` in the abstract namespace. `watchdog_ms`: the silence that the manager
    takes for a hang; None when it does not watch. No method raises. For one thread.
    """

    def __init__(self, address: str | None = None, *, watchdog_ms: float | None = None) -> None:
        self._address = "\0" + address[1:] if address and address.startswith("@") else address
        self.watchdog_ms = watchdog_ms if address else None

    @classmethod
    def from_environment(cls, environment: MutableMapping[str, str]) -> ServiceManager:
        """Read the variables, and remove them: a child process must not send messages for the daemon."""
        address = environment.pop("NOTIFY_SOCKET", None)
        if address and not address.startswith(("/", "@")):
            logger.warning(
                "NOTIFY_SOCKET is not a path or an abstract name, service manager not used",
                extra={"address": address},
            )
            address = None
        watchdog_us = environment.pop("WATCHDOG_USEC", "")
        watched_pid = environment.pop("WATCHDOG_PID", str(os.getpid()))
        watched = watchdog_us.isdecimal() and int(watchdog_us) > 0 and watched_pid == str(os.getpid())
        return cls(address, watchdog_ms=int(watchdog_us) / 1e3 if watched else None)

    @property
    def listens(self) -> bool:
        """Return whether there is a manager."""
        return bool(self._address)

    def ready(self) -> None:
        """Report that the daemon serves: its start, or its reload, is done."""
        self._send("READY=1")

    def reloading(self) -> None:
        """Report that the configuration is about to be read again; `ready` must follow, also after a failure."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1_000}")

    def stopping(self) -> None:
        """Report that the daemon is about to end."""
        self._send("STOPPING=1")

    def alive(self) -> None:
        """Send the watchdog's sign of life. If the manager has no room for it, the next one is enough."""
        self._send("WATCHDOG=1", wait_seconds=0.0)

    def show(self, status: str) -> bool:
        """Send a line for `systemctl status`. Return False if the manager has no room for it now."""
        return self._send(f"STATUS={status}", wait_seconds=0.0)

    def allow(self, seconds: float) -> None:
        """Ask for this much more time, from now on, for the start or stop in progress."""
        self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}")

    def _send(self, message: str, wait_seconds: float = _SEND_SECONDS) -> bool:
        if not self._address:
            return False
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.settimeout(wait_seconds)
                sender.connect(self._address)
                sender.sendall(message.encode())
        except OSError as error:
            logger.warning(
                "service manager not reachable",
                extra={"notification": message.partition("\n")[0], "reason": error},
            )
            return False
        return True
