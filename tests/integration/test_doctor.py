"""`glidecache doctor`: each fault is really made, and found; where there is none, nothing fails."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from glidecached.cli.operator import main
from glidecached.doctor.check_huge_pages import check_huge_pages, huge_bytes, judge_share
from glidecached.doctor.check_pool_files import check_entries, check_orphans, check_permissions
from glidecached.doctor.check_process import memory_limit_bytes
from glidecached.doctor.check_systemd import judge_unit
from glidecached.doctor.context import Configuration, Contact, DoctorContext, Process
from glidecached.doctor.result import Status
from glidecached.doctor.turns import Turns, judge_turns
from support.caches import new_cache
from support.clients import at
from support.process import child_environment
from support.valkey_server import HOST, free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.connector import Connector
    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer

PROGRAM = "import sys; from glidecached.cli.operator import main; sys.exit(main())"
STRANGER = 65_534
SETTINGS = {"max_cache_kb": 1024, "entry_ttl_ms": 0}

Findings = dict[str, list[dict[str, str]]]


def run(*arguments: object, before: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """The command as a shell would run it."""
    return subprocess.run(
        [*before, sys.executable, "-c", PROGRAM, "doctor", *map(str, arguments)],
        env=child_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def run_here(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The same without the start of an interpreter."""
    ended = CliRunner().invoke(main, ["doctor", *map(str, arguments)], catch_exceptions=False)
    return subprocess.CompletedProcess([], ended.exit_code, ended.stdout, ended.stderr)


def examine(*arguments: object, before: tuple[str, ...] = ()) -> Findings:
    """The findings by their checks; the exit status must be the one that they ask for."""
    ended = run(*arguments, "--json", before=before) if before else run_here(*arguments, "--json")
    assert ended.stderr == ""
    findings: Findings = {}
    for finding in json.loads(ended.stdout):
        findings.setdefault(finding["check"], []).append(finding)
        assert finding["seen"]
        assert finding["advice"] or finding["status"] in ("ok", "skipped")
    assert ended.returncode == int("fail" in statuses(findings)), ended.stdout
    return findings


def statuses(findings: Findings) -> set[str]:
    return {finding["status"] for several in findings.values() for finding in several}


def only(findings: Findings, check: str) -> dict[str, str]:
    (finding,) = findings[check]
    return finding


@pytest.fixture
def used_daemon(own_daemon: Daemon, own_valkey: ValkeyServer, connect: Connector, unique_name: str) -> Daemon:
    """A daemon that has seen nothing but a cache of three entries."""
    client = connect(new_cache(name=unique_name), **at(own_daemon, own_valkey))
    for number in range(3):
        own_valkey.admin.set(f"k{number}", f"{unique_name} {number}")
        client.get(f"k{number}")
    return own_daemon


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that all users can enter, which pytest's own are not."""
    path = Path(tempfile.mkdtemp(prefix="glidecached-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@contextlib.contextmanager
def stranger() -> Iterator[None]:
    """Be a user without any group that matters."""
    groups = os.getgroups()
    os.setgroups([])
    os.seteuid(STRANGER)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setgroups(groups)


@pytest.fixture
def kind() -> str:
    """Which client fills the cache does not matter here."""
    return "blocking"


def test_nothing_fails_where_all_is_well(used_daemon: Daemon, unique_name: str) -> None:
    findings = examine("--runtime-dir", used_daemon.runtime_dir)
    assert "fail" not in statuses(findings), findings
    for check in ("configuration", "runtime directory", "socket", "daemon", "pool directory", "file system"):
        assert only(findings, check)["status"] == "ok", findings[check]
    assert re.search(r"in \d\d+ turns it ran", only(findings, "processor time")["seen"])
    for check in ("clock", "pool permissions", "orphaned files"):
        assert only(findings, check)["status"] == "ok", findings[check]
    assert {finding["status"] for finding in findings["upstream"]} == {"ok"}
    assert any(re.search(r"connected to .*, valkey \d+\.\d+", one["seen"]) for one in findings["upstream"])
    assert str(used_daemon.configuration) in only(findings, "configuration")["seen"]
    assert f"cache {unique_name}: 3 sound" in [finding["seen"] for finding in findings["entries"]]


def test_people_read_what_was_seen_and_what_to_do(tmp_path: Path) -> None:
    ended = run("--runtime-dir", tmp_path)
    assert ended.returncode == 1
    assert f"fail     socket: there is none in {tmp_path}\n         → start the daemon" in ended.stdout
    assert " fail, " in ended.stdout.splitlines()[-1]


def test_a_wrong_configuration_is_told_fault_by_fault(tmp_path: Path) -> None:
    configuration = tmp_path / "wrong.toml"
    configuration.write_text("[daemon]\ngrace_ms = 1\nnonsense = 2\n")
    found = examine("--runtime-dir", tmp_path, "--config", configuration)["configuration"]
    assert [finding["status"] for finding in found] == ["fail", "fail"]
    assert "grace_ms" in found[0]["seen"] + found[1]["seen"]
    assert "nonsense" in found[0]["seen"] + found[1]["seen"]


def test_a_password_that_others_can_read_fails(open_directory: Path, tmp_path: Path) -> None:
    password = open_directory / "password"
    password.write_text("secret")
    configuration = tmp_path / "glidecached.toml"
    configuration.write_text(f'[upstreams.default]\naddresses = ["{HOST}:1"]\npassword_file = "{password}"\n')
    for mode, status in ((0o604, "fail"), (0o600, "ok"), (0o640, "ok")):
        password.chmod(mode)
        finding = only(examine("--runtime-dir", tmp_path, "--config", configuration), "secrets")
        assert (finding["status"], f"{mode:04o}" in finding["seen"]) == (status, True), finding


def test_a_certificate_that_others_can_replace_fails(open_directory: Path, tmp_path: Path) -> None:
    authority = open_directory / "ca.pem"
    authority.touch()
    configuration = tmp_path / "glidecached.toml"
    configuration.write_text(f'[upstreams.default]\naddresses = ["{HOST}:1"]\ntls_ca_file = "{authority}"\n')
    for mode, status in ((0o646, "fail"), (0o644, "ok")):
        authority.chmod(mode)
        finding = only(examine("--runtime-dir", tmp_path, "--config", configuration), "secrets")
        assert (finding["status"], f"{mode:04o}" in finding["seen"]) == (status, True), finding


def test_directories_that_others_can_write_fail(used_daemon: Daemon) -> None:
    for check, directory in (
        ("runtime directory", used_daemon.runtime_dir),
        ("pool directory", used_daemon.pool_dir),
    ):
        mode = directory.stat().st_mode
        directory.chmod(0o777)
        finding = only(examine("--runtime-dir", used_daemon.runtime_dir), check)
        directory.chmod(mode)
        assert (finding["status"], "0777" in finding["seen"]) == ("fail", True), finding


def test_a_socket_without_a_daemon_is_stale(own_daemon: Daemon) -> None:
    own_daemon.kill()
    findings = examine("--runtime-dir", own_daemon.runtime_dir, "--config", own_daemon.configuration)
    assert only(findings, "socket")["status"] == "fail"
    assert "stale" in only(findings, "socket")["seen"]
    assert only(findings, "daemon")["status"] == "skipped"


def test_what_a_stopped_service_has_not_is_no_fault_of_its_file(tmp_path: Path) -> None:
    """A credential is there while its service runs; where its directories are the file says all the same."""
    configuration = tmp_path / "glidecached.toml"
    (tmp_path / "pools").mkdir(mode=0o710)
    (tmp_path / "pools" / "named-1.1.pool").touch()
    configuration.write_text(
        f'[daemon]\nruntime_dir = "{tmp_path}/run"\npool_dir = "{tmp_path}/pools"\n'
        '[upstreams.default]\naddresses = ["127.0.0.1:6379"]\nusername = "app"\n'
        'password_file = "/run/credentials/no-such.service/password"\n'
    )
    findings = examine("--config", configuration)
    finding = only(findings, "configuration")
    assert (finding["status"], finding["advice"]) == ("skipped", "start the service, and run doctor again")
    assert only(findings, "runtime directory")["seen"] == f"{tmp_path}/run does not exist"
    assert only(findings, "orphaned files")["seen"].startswith("1 pool file left to the next daemon")


def test_a_stopped_daemon_is_told_from_a_dead_one(own_daemon: Daemon) -> None:
    own_daemon.pause()
    findings = examine("--runtime-dir", own_daemon.runtime_dir)
    own_daemon.resume()
    assert only(findings, "socket")["status"] == "ok"
    finding = only(findings, "daemon")
    assert finding["status"] == "fail"
    assert finding["seen"].startswith(f"pid {own_daemon.pid} is stopped")
    assert finding["advice"].startswith(f"kill -CONT {own_daemon.pid}")
    for check in ("pool permissions", "orphaned files", "entries"):
        assert only(findings, check)["seen"] == "the daemon could not be asked"


def test_a_listener_that_is_silent_fails_in_bounded_time(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "glidecached.sock"))
        silent.listen()
        finding = only(examine("--runtime-dir", tmp_path), "daemon")
    assert finding["status"] == "fail"
    assert "did not answer" in finding["seen"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_user_who_may_not_connect_learns_how(open_directory: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(open_directory / "glidecached.sock"))
        listener.listen()
        (open_directory / "glidecached.sock").chmod(0o600)
        with stranger():
            finding = only(examine("--runtime-dir", open_directory), "socket")
        assert finding["status"] == "fail"
        assert f"uid {STRANGER}" in finding["seen"]
        assert f"may not connect to {open_directory}/glidecached.sock" in finding["seen"]
        assert "only its owner may" in finding["advice"]
        open_directory.chmod(0o700)
        with stranger():
            finding = only(examine("--runtime-dir", open_directory), "socket")
        assert f"may not enter {open_directory} (uid 0, gid 0, mode 0700)" in finding["seen"]


def test_files_of_no_pool_are_named(used_daemon: Daemon) -> None:
    orphan = used_daemon.pool_dir / f"named-{'0' * 24}.7.pool"
    orphan.write_bytes(bytes(4096))
    finding = only(examine("--runtime-dir", used_daemon.runtime_dir), "orphaned files")
    orphan.unlink()
    assert finding["status"] == "warn"
    assert finding["seen"].endswith(f": {orphan.name}")


def test_a_generation_that_is_being_filled_is_no_orphan_and_one_of_before_is(used_daemon: Daemon) -> None:
    file_id, generation, _ = next(used_daemon.pool_dir.glob("*.pool")).name.split(".")
    for number, status in ((int(generation) + 10_000, "ok"), (0, "warn")):
        path = used_daemon.pool_dir / f"{file_id}.{number}.board"
        path.write_bytes(bytes(4096))
        finding = only(examine("--runtime-dir", used_daemon.runtime_dir), "orphaned files")
        path.unlink()
        assert finding["status"] == status, finding


def test_who_is_not_told_the_files_names_skips_them() -> None:
    cache = {"name": "catalog", "id": None, "generation": 1}
    context = DoctorContext(
        configuration=Configuration(path=None, config=None),
        runtime_dir="/nowhere",
        pool_dir=Path("/nowhere"),
        contact=Contact(stats={"caches": [cache]}, pool_files=("named-1.1.pool",)),
    )
    for check in (check_permissions, check_orphans, check_entries):
        (finding,) = check(context)
        assert (finding.status, finding.advice) == (
            Status.SKIPPED,
            "run doctor as root or as the daemon's user",
        )


def test_a_pool_that_others_can_write_fails(used_daemon: Daemon) -> None:
    pool = next(used_daemon.pool_dir.glob("*.pool"))
    mode = pool.stat().st_mode
    pool.chmod(0o666)
    finding = only(examine("--runtime-dir", used_daemon.runtime_dir), "pool permissions")
    pool.chmod(mode)
    assert finding["status"] == "fail"
    assert f"{pool.name}: mode 0666" in finding["seen"]


def test_a_damaged_entry_is_found_among_sound_ones(used_daemon: Daemon, unique_name: str) -> None:
    value = f"{unique_name} 1".encode()
    (pool,) = (path for path in used_daemon.pool_dir.glob("*.pool") if value in path.read_bytes())
    at = pool.read_bytes().index(value)
    with pool.open("r+b") as file:
        file.seek(at)
        file.write(b"D")
    findings = examine("--runtime-dir", used_daemon.runtime_dir)
    (finding,) = (one for one in findings["entries"] if unique_name in one["seen"])
    assert finding["status"] == "fail"
    assert finding["seen"] == f"cache {unique_name}: 1 damaged, 2 sound"
    assert finding["advice"].startswith(f"glidecache drop {unique_name}")


def test_the_advice_for_damage_is_sound_where_chains_lead_nowhere(
    own_daemon: Daemon, own_valkey: ValkeyServer, connect: Connector, unique_name: str
) -> None:
    client = connect(new_cache(name=unique_name), runtime_dir=own_daemon.runtime_dir, upstream="default")
    for number in range(20):
        own_valkey.admin.set(f"k{number}", f"{unique_name} {number}".ljust(400))
        client.get(f"k{number}")
    (pool,) = own_daemon.pool_dir.glob("*.pool")
    whole = pool.read_bytes()
    first, last = whole.index(f"{unique_name} 0 ".encode()), whole.index(f"{unique_name} 19 ".encode())
    with pool.open("r+b") as file:
        file.seek(min(first, last))
        file.write(b"\x7f" * abs(last - first))
    (finding,) = examine("--runtime-dir", own_daemon.runtime_dir)["entries"]
    assert "damaged" in finding["seen"]
    command, name = finding["advice"].partition(";")[0].removeprefix("glidecache ").split()
    done = CliRunner().invoke(main, [command, "--yes", "--runtime-dir", str(own_daemon.runtime_dir), name])
    assert done.exit_code == 0, done.output
    assert client.get("k1") == f"{unique_name} 1".ljust(400).encode()
    assert own_daemon.running, "it neither follows what is damaged nor goes down with it"
    assert only(examine("--runtime-dir", own_daemon.runtime_dir), "entries")["status"] == "ok"


@pytest.mark.parametrize("kind", ["blocking"])
def test_an_upstream_that_is_down_fails_while_a_program_uses_it(
    own_daemon: Daemon, own_valkey: ValkeyServer, connect: Connector, unique_name: str
) -> None:
    assert only(examine("--runtime-dir", own_daemon.runtime_dir), "upstream")["status"] == "ok"
    client = connect(new_cache(name=unique_name), runtime_dir=own_daemon.runtime_dir, upstream="default")
    own_valkey.stop()
    finding = only(examine("--runtime-dir", own_daemon.runtime_dir), "upstream")
    assert finding["status"] == "fail"
    assert str(own_valkey.port) in finding["seen"]
    assert finding["seen"].endswith(f"(used by cache {unique_name}, 1 connected process)"), finding
    client.close()
    finding = only(examine("--runtime-dir", own_daemon.runtime_dir), "upstream")
    assert (finding["status"], "no cache and no program uses it" in finding["seen"]) == ("warn", True), (
        finding
    )


_WRONG_SERVER = """
import sys
from glidecache.redis import Redis
front = Redis(port=sys.argv[2], db=sys.argv[4], shared_cache=sys.argv[3], runtime_dir=sys.argv[1], host="127.0.0.1")
try:
    front.get("k")
except Exception as error:
    print(error, flush=True)
input()
"""


def test_a_clients_wrong_server_is_named_with_its_cache_as_long_as_the_client_lives(
    own_daemon: Daemon,
) -> None:
    port, programs = free_port(), []
    try:
        for database in (0, 3):
            arguments = (str(own_daemon.runtime_dir), str(port), f"site{database}", str(database))
            program = subprocess.Popen(
                [sys.executable, "-c", _WRONG_SERVER, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=child_environment(),
                text=True,
            )
            programs.append(program)
            assert program.stdout is not None
            assert program.stdout.readline(), "it has asked"
        found = examine("--runtime-dir", own_daemon.runtime_dir)["upstream"][1:]
        for database, finding in zip((0, 3), found, strict=True):
            assert finding["status"] == "fail"
            assert finding["seen"].startswith(
                f"{HOST}:{port}, database {database}, user default: not connected"
            )
            assert finding["seen"].endswith(f"(used by cache site{database}, 1 connected process)"), finding
    finally:
        for program in programs:
            program.communicate("\n", timeout=20)
    found = examine("--runtime-dir", own_daemon.runtime_dir)["upstream"][1:]
    assert [finding["status"] for finding in found] == ["skipped"] * len(found), found
    assert all(finding["seen"].endswith("no program uses it any more") for finding in found)


def test_an_upstream_by_a_unix_socket_is_tried_there(
    start_daemon: Callable[..., Daemon], open_directory: Path
) -> None:
    path = open_directory / "valkey.sock"
    daemon = start_daemon(upstreams={"default": {"addresses": [f"unix:{path}"]}})
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        finding = only(examine("--runtime-dir", daemon.runtime_dir), "upstream")
        assert finding["status"] == "ok", finding
    assert only(examine("--runtime-dir", daemon.runtime_dir), "upstream")["status"] == "warn"


def test_a_file_system_on_disk_is_warned_of(tmp_path: Path) -> None:
    configuration = tmp_path / "glidecached.toml"
    configuration.write_text('[daemon]\npool_dir = "/proc/pools"\n')
    finding = only(examine("--runtime-dir", tmp_path, "--config", configuration), "file system")
    assert (finding["status"], "/proc is on proc" in finding["seen"]) == ("warn", True), finding


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a file system")
def test_caches_that_cannot_fit_fail(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    configuration = tmp_path / "glidecached.toml"
    script = f'mount -t tmpfs -o size=512k tmpfs {small} && exec "$0" "$@"'
    own_mounts = ("unshare", "--mount", "sh", "-c", script)
    if subprocess.run([*own_mounts, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this container may not mount")
    for most, caches, status in (
        (512, {}, "ok"),
        (1024, {}, "warn"),
        (2048, SETTINGS, "fail"),
    ):
        table = "".join(f"{key} = {value}\n" for key, value in caches.items())
        configuration.write_text(
            f'[daemon]\npool_dir = "{small}/pools"\nmax_total_cache_kb = {most}\n'
            + (f"[caches.large]\n{table}" if table else "")
        )
        arguments = ("--runtime-dir", tmp_path, "--config", configuration)
        finding = only(examine(*arguments, before=own_mounts), "room")
        assert (finding["status"], "512 KB" in finding["seen"]) == (status, True), finding


def test_limits_that_are_too_low_are_found(start_daemon: Callable[..., Daemon]) -> None:
    upstream = {"addresses": [f"{HOST}:{free_port()}"]}
    daemon = start_daemon(upstreams={"default": upstream}, caches={"large": SETTINGS})
    for limit, status in (("--nofile=200:", "warn"), ("--fsize=65536:", "fail")):
        subprocess.run(["prlimit", f"--pid={daemon.pid}", limit], check=True)
        findings = examine("--runtime-dir", daemon.runtime_dir)
        assert only(findings, "limits")["status"] == status, findings["limits"]
        assert "200 allowed" in only(findings, "limits")["seen"]
    assert only(findings, "upstream")["status"] == "fail"
    assert upstream["addresses"][0] in only(findings, "upstream")["seen"]


@pytest.mark.parametrize(
    ("membership", "files", "limit"),
    [
        ("0::/a/b\n", {"a/memory.max": "5000", "a/b/memory.max": "max"}, 5000),
        ("0::/a\n", {"a/memory.max": "max"}, None),
        ("4:cpu,memory:/a\n0::/\n", {"memory/a/memory.limit_in_bytes": "7000"}, 7000),
        ("4:memory:/a\n", {"memory/a/memory.limit_in_bytes": "9223372036854771712"}, None),
        ("1:cpu:/a\n", {"a/memory.max": "5000"}, None),
    ],
)
def test_the_tightest_control_group_counts(
    membership: str, files: dict[str, str], limit: int | None, tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    assert memory_limit_bytes(membership, tmp_path) == limit


@pytest.mark.parametrize(
    ("changed", "advised"),
    [
        ({}, ""),
        ({"Restart": "no"}, "Restart="),
        ({"WatchdogUSec": "0"}, "WatchdogSec="),
        ({"Type": "simple"}, "Type=notify"),
        ({"RuntimeDirectoryPreserve": "no"}, "RuntimeDirectoryPreserve=restart"),
        ({"RemoveIPC": "yes"}, "RemoveIPC=no"),
    ],
)
def test_a_units_settings_are_judged(changed: dict[str, Any], advised: str) -> None:
    good = {
        "Type": "notify-reload",
        "Restart": "on-failure",
        "WatchdogUSec": "30s",
        "RuntimeDirectoryPreserve": "restart",
        "RemoveIPC": "no",
    }
    (finding,) = judge_unit("glidecached.service", good | changed)
    assert advised in finding.advice
    assert finding.status == ("warn" if advised else "ok")


SMAPS = """\
7f0000000000-7f0004000000 rw-s 00000000 00:18 4711                       /dev/shm/pools/a b.1.pool
Rss:               65536 kB
ShmemPmdMapped:    49152 kB
7f0004000000-7f0004001000 rw-s 00000000 00:18 4712                       /dev/shm/pools/a b.1.board
ShmemPmdMapped:        0 kB
7f0008000000-7f000c000000 r--s 00000000 00:18 4711                       /dev/shm/pools/a b.1.pool
ShmemPmdMapped:     2048 kB
7f0010000000-7f0010021000 rw-p 00000000 00:00 0
ShmemPmdMapped:        0 kB
"""


def test_huge_pages_are_counted_by_file() -> None:
    found = huge_bytes(SMAPS)
    assert found["/dev/shm/pools/a b.1.pool"] == 50 << 20  # noqa: S108 - a text
    assert found["/dev/shm/pools/a b.1.board"] == 0  # noqa: S108 - a text


def test_small_pages_of_a_large_cache_are_warned_of() -> None:
    assert judge_share("catalog", 60 << 20, 100 << 20).status == "ok"
    finding = judge_share("catalog", 40 << 20, 100 << 20)
    assert (finding.status, finding.seen) == ("warn", "cache catalog: 40.0 MB of 100 MB in huge pages")
    assert "huge=within_size" in finding.advice


@pytest.mark.parametrize(("resident_mb", "status"), [(64, "ok"), (65, "warn")])
def test_only_large_caches_need_huge_pages(resident_mb: int, status: str) -> None:
    cache = {
        "name": "catalog",
        "id": None,
        "generation": 1,
        "file_id": "f",
        "resident_bytes": resident_mb << 20,
    }
    context = DoctorContext(
        configuration=Configuration(path=None, config=None),
        runtime_dir="/nowhere",
        pool_dir=Path("/nowhere"),
        contact=Contact(stats={"caches": [cache]}, process=Process(pid=os.getpid(), uid=os.geteuid())),
    )
    (finding,) = check_huge_pages(context)
    assert finding.status == status


@pytest.mark.parametrize(
    ("ran_ms", "waited_ms", "turns", "status"),
    [
        (5, 0.2, 22, "ok"),  # an idle host
        (5, 30, 22, "warn"),  # starved
        (5, 5.3, 22, "ok"),  # short waits
        (0.1, 5.6, 22, "warn"),
        (900, 600, 22, "ok"),  # a daemon that has much to do shares the processors, and is not starved
        (0, 0, 0, "ok"),  # nothing was counted
    ],
)
def test_a_starved_daemon_is_warned_of(ran_ms: float, waited_ms: float, turns: int, status: str) -> None:
    finding = judge_turns(Turns(int(ran_ms * 1e6), int(waited_ms * 1e6), turns), 4711, 0)
    assert finding.status == status
    assert f"waited {waited_ms:.1f} ms" in finding.seen
    assert ("renice -n -10 -p 4711" in finding.advice) == (status == "warn")


def test_a_daemon_that_really_waits_is_warned_of(own_daemon: Daemon) -> None:
    """Twelve processes on its one processor, and the lowest priority: what `warn` is for."""
    one = min(os.sched_getaffinity(0))
    os.sched_setaffinity(own_daemon.pid, {one})
    os.setpriority(os.PRIO_PROCESS, own_daemon.pid, 19)
    spin = f"import os\nos.sched_setaffinity(0, {{{one}}})\nprint(flush=True)\nwhile True: pass"
    spinners = [subprocess.Popen([sys.executable, "-c", spin], stdout=subprocess.PIPE) for _ in range(12)]
    try:
        for spinner in spinners:
            assert spinner.stdout
            spinner.stdout.readline()
        finding = only(examine("--runtime-dir", own_daemon.runtime_dir), "processor time")
    finally:
        for spinner in spinners:
            spinner.kill()
            spinner.communicate()
    assert (finding["status"], "nice value is 19" in finding["seen"]) == ("warn", True), finding


def test_a_pool_directory_that_others_can_list_is_warned_of(used_daemon: Daemon) -> None:
    """Their names are all that keeps a group's members from files without a list."""
    used_daemon.pool_dir.chmod(0o750)
    finding = only(examine("--runtime-dir", used_daemon.runtime_dir), "pool directory")
    used_daemon.pool_dir.chmod(0o710)
    assert (finding["status"], "others can list its files" in finding["seen"]) == ("warn", True), finding


def test_i13_files_that_the_daemon_cannot_make_again_are_told(
    own_daemon: Daemon, own_valkey: ValkeyServer, connect: Connector
) -> None:
    connect(new_cache(name="catalog"), **at(own_daemon, own_valkey)).get("k")
    for path in own_daemon.pool_dir.iterdir():
        path.unlink()
    finding = only(examine("--runtime-dir", own_daemon.runtime_dir), "orphaned files")
    assert finding["status"] == "ok", finding  # the files are there again
    shutil.rmtree(own_daemon.pool_dir)
    own_daemon.pool_dir.mkdir()
    own_daemon.pool_dir.chmod(0o777)  # The daemon makes no files where other users could put theirs.
    finding = only(examine("--runtime-dir", own_daemon.runtime_dir), "orphaned files")
    assert finding["status"] == "fail", finding
    assert ".lease" in finding["seen"]


def test_i11_a_path_that_cannot_be_trusted_is_told_with_the_command_that_mends_it(own_daemon: Daemon) -> None:
    above = own_daemon.runtime_dir.parent
    above.chmod(0o775)
    finding = only(examine("--runtime-dir", own_daemon.runtime_dir), "runtime directory")
    above.chmod(0o755)
    assert finding["status"] == "fail", finding
    assert finding["advice"] == f"chmod g-w {above}"
