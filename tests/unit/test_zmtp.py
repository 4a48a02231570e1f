"""The stream of frames: however it is cut, and however long its frames claim to be."""

from __future__ import annotations

import itertools
import os
import resource
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glidecache_shared.wire.zmtp import Stream, TooLongError, message_header

LIMIT = 1 << 30
HERE = Stream(b"ROUTER", LIMIT).opening


def address_space_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def messages_of(stream: Stream) -> list[bytes]:
    found = []
    while (message := stream.next_message()) is not None:
        found.append(bytes(message))
    return found


@settings(deadline=None)
@given(st.lists(st.binary(max_size=400), max_size=8), st.data())
def test_messages_are_the_same_however_the_stream_is_cut(messages: list[bytes], data: st.DataObject) -> None:
    text = HERE + b"".join(message_header(len(message)) + message for message in messages)
    places = sorted({*data.draw(st.lists(st.integers(1, len(text) - 1), max_size=10)), 0, len(text)})
    stream = Stream(b"DEALER", LIMIT)
    taken: list[bytes] = []
    for start, end in itertools.pairwise(places):
        stream.feed(text[start:end])
        taken += messages_of(stream)
    assert taken == messages
    assert stream.missing_bytes > 0


@pytest.mark.parametrize("length", [65_536, 65_537, 1_048_576, 1_048_577, 5_000_000])
def test_long_messages_come_whole_with_what_stands_around_them(length: int) -> None:
    messages = [b"before", os.urandom(length), b"", b"behind", os.urandom(length)]
    text = HERE + b"".join(message_header(len(message)) + message for message in messages)
    for step in (len(text), 700_001, 65_536):
        stream = Stream(b"DEALER", LIMIT)
        taken: list[bytes] = []
        for start in range(0, len(text), step):
            stream.feed(text[start : start + step])
            if start % 3:
                taken += messages_of(stream)
        assert taken + messages_of(stream) == messages


def test_what_a_socket_has_is_read_without_waiting() -> None:
    near, far = socket.socketpair()
    with near, far:
        stream = Stream(b"DEALER", LIMIT)
        assert stream.receive(near.fileno()) == 0
        far.sendall(HERE + message_header(3) + b"abc")
        assert stream.receive(near.fileno()) == len(HERE) + 5
        assert messages_of(stream) == [b"abc"]
        far.close()
        assert stream.receive(near.fileno()) == -1


def test_a_length_that_is_only_announced_costs_nothing() -> None:
    stream = Stream(b"DEALER", LIMIT)
    stream.feed(HERE + message_header(LIMIT) + bytes(1000))
    assert stream.next_message() is None
    assert stream.missing_bytes == LIMIT - 1000
    near, far = socket.socketpair()
    with near, far:
        before = address_space_bytes()
        for _ in range(20):
            far.send(bytes(10_000))
            assert stream.receive(near.fileno()) == 10_000
        assert address_space_bytes() - before < LIMIT // 4


def test_a_frame_over_the_limit_is_refused_before_it_comes() -> None:
    stream = Stream(b"DEALER", 1000)
    stream.feed(HERE + message_header(1001))
    with pytest.raises(TooLongError, match="1001"):
        stream.next_message()


NO_MEMORY = """
import resource, sys
from glidecache_shared.wire.zmtp import Stream, ZmtpError, message_header
from test_zmtp import HERE, LIMIT, address_space_bytes

stream = Stream(b"DEALER", LIMIT)
stream.feed(HERE + message_header(LIMIT))
assert stream.next_message() is None
looks_like_messages = (message_header(3) + b"abc") * 20_000
stream.feed(looks_like_messages)
assert stream.next_message() is None
resource.setrlimit(resource.RLIMIT_AS, (address_space_bytes() + (16 << 20), resource.RLIM_INFINITY))
while stream.missing_bytes > 0:
    stream.feed(looks_like_messages)
assert stream.missing_bytes == 0, stream.missing_bytes
for _ in range(3):
    try:
        sys.exit(f"taken: {stream.next_message()}")
    except ZmtpError as error:
        assert str(error) == f"no memory for a frame of {LIMIT} bytes", error
    stream.feed(looks_like_messages)
"""


@pytest.mark.skipif(
    "GLIDECACHED_SANITIZED" in os.environ,
    reason="the sanitizers take all of the address space for themselves",
)
def test_what_comes_of_a_frame_without_memory_is_not_taken_for_messages() -> None:
    here = Path(__file__).parent
    outcome = subprocess.run(
        [sys.executable, "-c", NO_MEMORY],
        env={**os.environ, "PYTHONPATH": f"{here}:{os.pathsep.join(sys.path)}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (outcome.returncode, outcome.stderr) == (0, "")
