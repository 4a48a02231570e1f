"""Telling systemd, when it asked for it, that the daemon is ready or stopping (sd_notify's protocol)."""

from __future__ import annotations

import logging
import os
import socket

logger = logging.getLogger(__name__)


def notify(state: str) -> None:
    """Send `READY=1` or `STOPPING=1` to `$NOTIFY_SOCKET`. Without one it does nothing; it never raises."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notifier:
            notifier.connect(address)
            notifier.sendall(state.encode())
    except OSError as error:
        logger.warning("the service manager could not be told %s: %s", state, error)
