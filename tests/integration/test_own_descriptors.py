"""The stub closes only its own descriptors, and reports the process's lack of them as such (isolation, I16)."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from support.process import child_environment
from support.valkey_server import HOST

if TYPE_CHECKING:
    from pathlib import Path

    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer

PROGRAM = """
import asyncio, gc, json, os, resource, socket, sys, time
given = json.loads(sys.argv[1])
import glidecache, glidecache.sync
from glidecache import *
cache = ClientSideCache.create(1024, 60_000, name=given["cache"])
configuration = GlideClientConfiguration(
    [NodeAddress("127.0.0.1", given["port"])], client_side_cache=cache,
    runtime_dir=given["runtime_dir"], fallback="error", request_timeout=3_000)
loop = asyncio.new_event_loop()

class Awaited:
    def __init__(self):
        self.client = loop.run_until_complete(GlideClient.create(configuration))
    def call(self, method, *arguments, **named):
        return loop.run_until_complete(getattr(self.client, method)(*arguments, **named))

class Blocking:
    def __init__(self):
        self.client = glidecache.sync.GlideClient.create(configuration)
    def call(self, method, *arguments, **named):
        return getattr(self.client, method)(*arguments, **named)

def drop(user):
    connections = user.client._session._connections
    if isinstance(user, Blocking):
        connections.existing().drop()
    else:
        for connection in connections.of_loop.values():
            connection.drop()

def attempt(call):
    begun = time.monotonic()
    try:
        value = repr(call())
    except Exception as error:
        value = f"{type(error).__name__}: {error}"
    return value, time.monotonic() - begun

user = Blocking() if given["kind"] == "blocking" else Awaited()
"""

EXHAUSTED = (
    PROGRAM
    + """
user.call("get", "warm")
drop(user)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
held = []
try:
    while True:
        held.append(os.open("/dev/null", os.O_RDONLY))
except OSError:
    pass
batch = Batch(is_atomic=True)
batch.set("k", "v")
calls = {
    "get": lambda: user.call("get", "missing"),
    "get_many": lambda: user.call("get_many", ["missing"]),
    "set": lambda: user.call("set", "k", "v"),
    "hset": lambda: user.call("hset", "h", {"f": "v"}),
    "xadd": lambda: user.call("xadd", "x", [("f", "v")]),
    "geoadd": lambda: user.call("geoadd", "g", {"m": GeospatialData(1, 1)}),
    "exec": lambda: user.call("exec", batch, True),
    "watch": lambda: user.call("watch", ["k"]),
    "custom": lambda: user.call("custom_command", ["ECHO", "x"]),
    "attach": lambda: (setattr(user.client._session.state, "unknown", user.client._session.state.attachment),
                       user.call("set", "k", "v")),
}
outcomes = {name: attempt(call) for name, call in calls.items()}
# One descriptor is enough to connect, and not enough for the lease that comes with attaching.
os.close(held.pop())
outcomes["lease"] = attempt(calls["attach"])
drop(user)
for descriptor in held:
    os.close(descriptor)
after = attempt(lambda: user.call("set", "k", "v"))
print(json.dumps([outcomes, after]))
"""
)

REUSED = (
    PROGRAM
    + """
user.call("set", "k", "v")
user.call("get", "k")
if given["how"] == "daemonized":
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        sys.stdout.write(os.read(reader, 65536).decode())
        sys.stdout.flush()
        os._exit(0)
    os.dup2(writer, 1)
    os.setsid()
if given["how"] != "kept":
    os.closerange(3, 256)
pairs = [socket.socketpair() for _ in range(8)]
files = [open(f"{given['directory']}/{number}", "w+") for number in range(8)]
def look():
    return [(os.fstat(each.fileno()).st_ino, os.fstat(each.fileno()).st_dev)
            for each in [*files, *(end for pair in pairs for end in pair)]]
before = look()
problems = []
def step(name, call):
    try:
        call()
    except Exception as error:
        problems.append(f"{name}: {type(error).__name__}: {error}")
if given["kind"] == "asyncio":
    # A loop does not survive that its own descriptors are closed: applications make a new one. The old one would
    # close what has its numbers now, which is not the stub's doing.
    old_loop, loop = loop, asyncio.new_event_loop()
step("set", lambda: user.call("set", "k", "v2"))
step("get", lambda: user.call("get", "other"))
step("drop", lambda: drop(user) if given["kind"] == "blocking" else None)
step("attach", lambda: (setattr(user.client._session.state, "unknown", user.client._session.state.attachment),
                        user.call("set", "k", "v3")))
step("close", lambda: user.call("close"))
user = None
gc.collect()
sizes = [os.fstat(each.fileno()).st_size for each in files]
sent = []
for pair in pairs:
    for end in pair:
        end.setblocking(False)
        try:
            sent.append(end.recv(1))
        except BlockingIOError:
            pass
os.write(1, json.dumps([before == look(), sizes, len(sent), problems]).encode())
os._exit(0)
"""
)


def run(program: str, daemon: Daemon, valkey: ValkeyServer, **given: Any) -> Any:
    settings = {"port": valkey.port, "runtime_dir": str(daemon.runtime_dir), **given}
    assert HOST == "127.0.0.1"
    finished = subprocess.run(
        [sys.executable, "-c", program, json.dumps(settings)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=child_environment(),
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stderr == ""
    return json.loads(finished.stdout)


def test_i16_no_descriptor_left_is_told_as_such_at_once(
    daemon: Daemon, valkey: ValkeyServer, kind: str, unique_name: str
) -> None:
    outcomes, after = run(EXHAUSTED, daemon, valkey, kind=kind, cache=unique_name)
    for name, (outcome, seconds) in outcomes.items():
        assert "EMFILE" in outcome, (name, outcome)
        assert "no free descriptor" in outcome, (name, outcome)
        assert "ConnectionError" in outcome or "DaemonUnavailableError" in outcome, (name, outcome)
        assert seconds < 1, (name, seconds)
    assert after[0] == "'OK'"


@pytest.mark.parametrize("how", ["kept", "closed", "daemonized"])
def test_i16_files_that_have_the_stubs_old_numbers_are_left_alone(
    daemon: Daemon, valkey: ValkeyServer, kind: str, unique_name: str, how: str, tmp_path: Path
) -> None:
    same, sizes, sent, problems = run(
        REUSED, daemon, valkey, kind=kind, cache=unique_name, how=how, directory=str(tmp_path)
    )
    assert same, "a file or socket of the application was closed"
    assert sizes == [0] * len(sizes), "something was written to a file of the application"
    assert sent == 0, "something was written to a socket of the application"
    assert problems == []
