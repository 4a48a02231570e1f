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
"""How long the manager may take to make room for what it has to hear: the daemon must not hang with it."""


class ServiceManager:
    """Whoever started the daemon and wants to hear of it; without an `address` nobody does, and nothing is sent.

    `address` is a socket's path, or `@name` in the abstract namespace. `watchdog_ms`: how much silence the manager
    takes for a hang; None when it does not watch. No method raises. For one thread.
    """

    def __init__(self, address: str | None = None, *, watchdog_ms: float | None = None) -> None:
        self._address = "\0" + address[1:] if address and address.startswith("@") else address
        self.watchdog_ms = watchdog_ms if address else None

    @classmethod
    def from_environment(cls, environment: MutableMapping[str, str]) -> ServiceManager:
        """What the variables say, which are taken out: a child process must not speak for the daemon."""
        address = environment.pop("NOTIFY_SOCKET", None)
        if address and not address.startswith(("/", "@")):
            logger.warning(
                "NOTIFY_SOCKET is %s, no path and no abstract name: no service manager is told", address
            )
            address = None
        watchdog_us = environment.pop("WATCHDOG_USEC", "")
        watched_pid = environment.pop("WATCHDOG_PID", str(os.getpid()))
        watched = watchdog_us.isdecimal() and int(watchdog_us) > 0 and watched_pid == str(os.getpid())
        return cls(address, watchdog_ms=int(watchdog_us) / 1e3 if watched else None)

    @property
    def listens(self) -> bool:
        """Whether there is one."""
        return bool(self._address)

    def ready(self) -> None:
        """The daemon serves: its start, or its reload, is done."""
        self._send("READY=1")

    def reloading(self) -> None:
        """The configuration is about to be read again; `ready` has to follow, whatever comes of it."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1_000}")

    def stopping(self) -> None:
        """The daemon is about to end."""
        self._send("STOPPING=1")

    def alive(self) -> None:
        """The watchdog's sign of life. Where the manager has no room for it, the next one will do."""
        self._send("WATCHDOG=1", wait_seconds=0.0)

    def show(self, status: str) -> bool:
        """One line for `systemctl status`; False where the manager has no room for it now."""
        return self._send(f"STATUS={status}", wait_seconds=0.0)

    def allow(self, seconds: float) -> None:
        """The start, or the stop, that goes on may take so much longer from now on."""
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
            logger.warning("the service manager could not be told %s: %s", message.partition("\n")[0], error)
            return False
        return True
