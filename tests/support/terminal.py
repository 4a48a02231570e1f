"""A program in a real terminal: a pseudo-terminal, with an emulator that knows what its screen shows."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
import threading

import pyte

from support.process import child_environment

_ALTERNATE_SCREEN = (b"\x1b[?1049h", b"\x1b[?1049l")


class Terminal:
    """`python -c program` on a terminal of `rows` times `columns`; its output is read by a thread until it ends."""

    def __init__(self, program: str, *arguments: str, rows: int = 40, columns: int = 120) -> None:
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self._lock = threading.Lock()
        self._output = b""
        self._controller, terminal = pty.openpty()
        self._set_size(rows, columns)
        # Variables with a size, which pytest-xdist sets, would count more than the terminal's own.
        environment = child_environment(TERM="xterm-256color")
        for name in ("LINES", "COLUMNS"):
            environment.pop(name, None)
        self._process = subprocess.Popen(
            [sys.executable, "-c", program, *arguments],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            env=environment,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - what makes SIGWINCH arrive
        )
        os.close(terminal)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def in_alternate_screen(self) -> bool:
        """Whether the program has switched to the alternate screen and not back."""
        entered, left = (self._output.rfind(switch) for switch in _ALTERNATE_SCREEN)
        return entered > left

    def text(self) -> str:
        """What the screen shows."""
        with self._lock:
            return "\n".join(self._screen.display)

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._controller, keys)

    def resize(self, rows: int, columns: int) -> None:
        """Give the terminal another size; the kernel tells the program with SIGWINCH."""
        with self._lock:
            self._screen.resize(rows, columns)
        self._set_size(rows, columns)

    def exit_status(self, timeout_s: float) -> int:
        """Wait for the program's end; its status."""
        status = self._process.wait(timeout_s)
        self._reader.join(timeout_s)
        return status

    def discard(self) -> None:
        """End the program in whatever state it is."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        os.close(self._controller)

    def _set_size(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._controller, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # the program, and with it the terminal's other end, is gone
            while output := os.read(self._controller, 65_536):
                with self._lock:
                    self._output += output
                    self._stream.feed(output)
