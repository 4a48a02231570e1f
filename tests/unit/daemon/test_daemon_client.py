"""The operator's connection to a daemon that hangs, closes, babbles, or is replaced: bounded, and named."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
import zmq

from glidecache_shared import __version__, protocol
from glidecache_shared.runtime_dir import SOCKET_NAME
from glidecached.cli.daemon_client import DaemonClient, DaemonUnreachableError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SHORT_MS = 200
LONGEST_SECONDS = 5.0
ABOUT = {"protocol_version": protocol.PROTOCOL_VERSION, "instance_id": 7, "daemon_version": __version__}

Answer = bytes | tuple[int, Any] | None


@contextlib.contextmanager
def listening(runtime_dir: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(runtime_dir / SOCKET_NAME))
        listener.listen(1)
        yield listener


@contextlib.contextmanager
def answering(runtime_dir: Path, answer: Callable[[int], Answer]) -> Iterator[None]:
    """A peer on libzmq that answers each operation so: a frame as it is, a status and a body, or not at all."""
    context = zmq.Context()
    router = context.socket(zmq.ROUTER)
    router.bind(f"ipc://{runtime_dir}/{SOCKET_NAME}")
    stopping = threading.Event()

    def serve() -> None:
        while not stopping.is_set():
            if router.poll(10):
                identity, frame = router.recv_multipart()
                operation, number, *_ = protocol.unpack(frame)
                given = answer(operation)
                if isinstance(given, tuple):
                    given = protocol.pack([number, *given])
                if given is not None:
                    # An answer that no request waits for comes first.
                    router.send_multipart([identity, protocol.pack([number + 1_000, 0, "late"])])
                    router.send_multipart([identity, given])

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()
        router.close(0)
        context.term()


def test_a_process_that_takes_no_connections_is_waited_for_no_longer_than_said(tmp_path: Path) -> None:
    with listening(tmp_path):
        began = time.monotonic()
        with pytest.raises(
            DaemonUnreachableError, match=f"{SOCKET_NAME} did not answer within {SHORT_MS} ms"
        ):
            DaemonClient(str(tmp_path), timeout_ms=SHORT_MS)
        assert SHORT_MS / 1e3 <= time.monotonic() - began < LONGEST_SECONDS


def test_a_full_backlog_is_named(tmp_path: Path) -> None:
    with listening(tmp_path) as listener, contextlib.ExitStack() as stack:
        with contextlib.suppress(BlockingIOError):
            while True:
                waiting = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
                waiting.setblocking(False)
                waiting.connect(listener.getsockname())
        with pytest.raises(DaemonUnreachableError, match="too many wait there already"):
            DaemonClient(str(tmp_path), timeout_ms=SHORT_MS)


def test_a_daemon_that_closes_each_connection_is_full(tmp_path: Path) -> None:
    with listening(tmp_path) as listener:
        stopping = threading.Event()

        def close_all() -> None:
            while not stopping.is_set():
                with contextlib.suppress(OSError):
                    listener.accept()[0].close()

        listener.settimeout(0.05)
        thread = threading.Thread(target=close_all)
        thread.start()
        try:
            with pytest.raises(
                DaemonUnreachableError, match="closes new connections: as many as it may have"
            ):
                DaemonClient(str(tmp_path), timeout_ms=SHORT_MS)
        finally:
            stopping.set()
            thread.join()


def test_no_process_behind_the_socket_is_found_at_once(tmp_path: Path) -> None:
    with listening(tmp_path):
        pass
    began = time.monotonic()
    with pytest.raises(DaemonUnreachableError, match=f"no daemon in {tmp_path}: no process listens on"):
        DaemonClient(str(tmp_path), timeout_ms=60_000)
    assert time.monotonic() - began < LONGEST_SECONDS


def test_another_thread_ends_the_waiting(tmp_path: Path) -> None:
    give_up = threading.Event()
    timer = threading.Timer(0.1, give_up.set)
    with listening(tmp_path):
        timer.start()
        began = time.monotonic()
        with pytest.raises(DaemonUnreachableError):
            DaemonClient(str(tmp_path), timeout_ms=60_000, give_up=give_up)
        assert time.monotonic() - began < LONGEST_SECONDS
    timer.join()


def test_an_answer_that_does_not_come_is_waited_for_no_longer_than_said(tmp_path: Path) -> None:
    def answer(operation: int) -> Answer:
        return (protocol.STATUS_OK, ABOUT) if operation == protocol.HELLO else None

    with answering(tmp_path, answer), DaemonClient(str(tmp_path)) as link:
        assert link.about == ABOUT
        with pytest.raises(DaemonUnreachableError, match=f"did not answer within {SHORT_MS} ms"):
            link.request(protocol.STATS, timeout_ms=SHORT_MS)


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with (
        answering(tmp_path, lambda _: b"\xc1"),
        pytest.raises(DaemonUnreachableError, match="cannot be read: "),
    ):
        DaemonClient(str(tmp_path))


@pytest.mark.parametrize("about", [None, [], {**ABOUT, "instance_id": None}, {"instance_id": 7}])
def test_a_greeting_of_another_form_is_named(tmp_path: Path, about: Any) -> None:
    with (
        answering(tmp_path, lambda _: (protocol.STATUS_OK, about)),
        pytest.raises((DaemonUnreachableError, RefusedError), match=r"cannot be read: |speaks protocol None"),
    ):
        DaemonClient(str(tmp_path))


def test_an_end_in_between_is_named(tmp_path: Path) -> None:
    with answering(tmp_path, lambda _: (protocol.STATUS_OK, ABOUT)):
        link = DaemonClient(str(tmp_path))
    with link:
        for _ in range(2):
            with pytest.raises(DaemonUnreachableError, match="ended the connection"):
                link.request(protocol.PING)


def test_a_refusal_has_its_number(tmp_path: Path) -> None:
    def answer(operation: int) -> Answer:
        if operation == protocol.HELLO:
            return protocol.STATUS_OK, ABOUT
        return protocol.STATUS_ERROR, [protocol.ERROR_FORBIDDEN, "not you"]

    with answering(tmp_path, answer), DaemonClient(str(tmp_path)) as link:
        with pytest.raises(RefusedError, match="not you") as refused:
            link.request(protocol.DROP, "cache")
        assert refused.value.code == protocol.ERROR_FORBIDDEN
