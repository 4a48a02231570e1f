"""`glidecached.service` under a real systemd: started, used, killed, hung, stopped, misconfigured."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from support.service import (
    CONFIGURATION,
    CONNECT,
    DROP_IN,
    GLIDECACHE,
    READ,
    SOCKET,
    TABLES,
    UNIT,
    WAIT_FOR_AN_ELEMENT,
)
from support.waiting import wait_until

if TYPE_CHECKING:
    from support.machine import Machine
    from support.service import Valkey

RETURN_SECONDS = 60
ERROR, WARNING, INFORMATION = 3, 4, 6


@pytest.fixture
def started(service: Machine) -> Machine:
    """The service, active."""
    service.run("systemctl", "start", UNIT)
    return service


def main_pid(machine: Machine) -> str:
    return machine.property(UNIT, "MainPID")


def wait_for_return(machine: Machine, before: str) -> None:
    """Wait until the service is active again with another main process."""
    wait_until(
        lambda: main_pid(machine) not in {before, "0"} and machine.ok("systemctl", "is-active", "-q", UNIT),
        "the service is back with another main process",
        RETURN_SECONDS,
    )


def test_active_means_that_it_answers_and_knows_its_upstreams(started: Machine) -> None:
    assert "answers" in started.run(GLIDECACHE, "ping")
    assert started.property(UNIT, "StatusText") == "1 cache, 1 of 1 upstream connected, 0 sessions"


def test_the_first_attempt_may_fail(service: Machine) -> None:
    unreachable = '[upstreams.default]\naddresses = ["127.0.0.1:1"]\n'
    service.write(CONFIGURATION, unreachable)
    since = service.now()
    service.run("systemctl", "start", UNIT)
    assert service.property(UNIT, "StatusText") == "0 caches, 0 of 1 upstream connected, 0 sessions"
    told = [
        (int(entry["PRIORITY"]), entry["MESSAGE"])
        for entry in service.journal(UNIT, since)
        if entry["_PID"] == main_pid(service)
    ]
    assert [priority for priority, _ in told] == [INFORMATION, WARNING]
    (_, start), (_, complaint) = told
    assert start.startswith("level=info logger=glidecached.cli.daemon event=started version=")
    assert "127.0.0.1:1" in complaint


def test_an_upstream_that_comes_later_is_found_without_a_client(service: Machine, valkey: Valkey) -> None:
    service.write(CONFIGURATION, TABLES.replace("6379", "6380"))
    service.run("systemctl", "start", UNIT)
    assert "0 of 1 upstream " in service.property(UNIT, "StatusText")
    service.run("systemd-run", "--quiet", "--unit=late", valkey.binary, "--port", "6380", "--save", "")
    try:
        wait_until(
            lambda: "1 of 1 upstream " in service.property(UNIT, "StatusText"), "it is found", RETURN_SECONDS
        )
    finally:
        service.run("systemctl", "stop", "late")


def test_the_doctor_finds_the_unit_and_the_host_well(started: Machine) -> None:
    report = started.run(GLIDECACHE, "doctor", "--config", CONFIGURATION, check=False)
    complaints = [line for line in report.splitlines() if line.startswith(("warn", "fail"))]
    # How long the daemon waits for a processor depends on what else this host does meanwhile.
    assert [line for line in complaints if not line.startswith("warn     processor time:")] == []
    assert "ok       systemd unit: glidecached.service: Type=notify" in report


def test_the_doctor_finds_what_a_proc_of_its_own_hides_from_the_service(started: Machine) -> None:
    """As in a container of systemd-nspawn, whose boot_id is laid over the kernel's."""
    boot_id = "/proc/sys/kernel/random/boot_id"
    started.write("/run/another-boot", "01234567-89ab-cdef-0123-456789abcdef\n")
    started.run("mount", "--bind", "/run/another-boot", boot_id)
    try:
        report = started.run(GLIDECACHE, "doctor", check=False)
    finally:
        started.run("umount", boot_id)
    (clock,) = [line for line in report.splitlines() if " clock: " in line]
    assert (
        clock == "fail     clock: the daemon sees another boot_id than this process: workers refuse its pools"
    )
    assert "ProtectProc=default" in report


def test_a_member_of_the_group_gets_hits(started: Machine, valkey: Valkey) -> None:
    valkey.command("SET", "greeting", "hello")
    first = started.python(READ, "greeting", "greeting", user="insider")
    assert first == {"values": ["hello", "hello"], "hits": 1}
    gets = valkey.gets()
    assert started.python(READ, "greeting", user="insider") == {"values": ["hello"], "hits": 1}
    assert valkey.gets() == gets, "another process's hit asks nobody"


def test_others_can_neither_connect_nor_open_pools(started: Machine, valkey: Valkey) -> None:
    valkey.command("SET", "secret", "value")
    started.python(READ, "secret", user="insider")
    refusal = started.python(CONNECT, user="outsider")
    assert "Permission denied" in refusal
    assert "must be in the group glidecached (on a host: usermod -aG glidecached USER" in refusal
    asked = started.run("sh", "-c", f"{GLIDECACHE} ping 2>&1; echo $?", user="outsider")
    assert asked.startswith("cannot connect to the daemon in /run/glidecached: ")
    assert "must be in the group glidecached " in asked
    assert asked.splitlines()[-1] == "3"
    pool = started.run("sh", "-c", "ls /dev/shm/glidecached-main/*.pool").strip()
    for path in (pool, SOCKET):
        assert started.ok("stat", path, user="insider"), "the path is right"
        assert not started.ok("stat", path, user="outsider")
    assert started.ok("head", "-c1", pool, user="insider")
    assert not started.ok("sh", "-c", f"echo spoilt >>{pool}", user="insider"), "members only read"


def test_killed_it_comes_back_warm(started: Machine, valkey: Valkey) -> None:
    keys = [f"key-{number}" for number in range(20)]
    for key in keys:
        valkey.command("SET", key, key)
    assert started.python(READ, *keys, user="insider")["values"] == keys
    gets, before = valkey.gets(), main_pid(started)
    started.run("systemctl", "kill", "--kill-whom=main", "--signal=KILL", UNIT)
    wait_for_return(started, before)
    assert started.python(READ, *keys, user="insider") == {"values": keys, "hits": len(keys)}
    assert valkey.gets() == gets
    assert started.property(UNIT, "NRestarts") == "1"


def test_stopped_and_started_it_is_warm_too(started: Machine, valkey: Valkey) -> None:
    valkey.command("SET", "lasting", "value")
    started.python(READ, "lasting", user="insider")
    gets = valkey.gets()
    started.run("systemctl", "stop", UNIT)
    assert not started.ok("test", "-e", "/run/glidecached"), "the runtime directory goes with the service"
    started.run("systemctl", "start", UNIT)
    assert started.python(READ, "lasting", user="insider") == {"values": ["value"], "hits": 1}
    assert valkey.gets() == gets


def test_a_stop_may_take_as_long_as_the_configuration_says(service: Machine) -> None:
    """Else systemd would end the daemon before it has answered, and the next one would have to verify its pools."""
    service.write(DROP_IN, "[Service]\nTimeoutStopSec=1s\n")
    service.write(CONFIGURATION, TABLES.replace("[daemon]", "[daemon]\nstop_timeout_ms = 20_000"))
    service.run("systemctl", "daemon-reload")
    service.run("systemctl", "start", UNIT)

    def waits() -> bool:
        (upstream,) = json.loads(service.run(GLIDECACHE, "stats", "--json"))["upstreams"]
        return bool(upstream["blocking_connections"])

    with ThreadPoolExecutor(1) as worker:
        answer = worker.submit(service.python, WAIT_FOR_AN_ELEMENT, user="insider")
        wait_until(waits, "the request is upstream", RETURN_SECONDS)
        service.run("systemctl", "stop", UNIT)
        assert answer.result(RETURN_SECONDS) is None
    assert service.property(UNIT, "Result") == "success"


def test_hung_it_is_ended_by_the_watchdog(service: Machine) -> None:
    service.write(DROP_IN, "[Service]\nWatchdogSec=1s\n")
    service.run("systemctl", "daemon-reload")
    service.run("systemctl", "start", UNIT)
    before, since = main_pid(service), service.now()
    service.run("systemctl", "kill", "--kill-whom=main", "--signal=STOP", UNIT)
    wait_for_return(service, before)
    messages = [entry["MESSAGE"] for entry in service.journal(UNIT, since) if entry.get("_PID") == "1"]
    assert any("Watchdog timeout" in message for message in messages)
    assert any("Failed with result 'watchdog'" in message for message in messages)


def test_a_reload_is_begun_and_ended_in_systemds_eyes(started: Machine) -> None:
    before, since = main_pid(started), started.now()
    started.write(CONFIGURATION, TABLES.replace("max_cache_kb = 1024", "max_cache_kb = 2048"))
    started.run("systemctl", "log-level", "debug")
    try:
        started.run("systemctl", "reload", UNIT)
        wait_until(lambda: told(started, since)[-1:] == ["READY=1"], "the reload is over", RETURN_SECONDS)
    finally:
        started.run("systemctl", "log-level", "info")
    assert told(started, since) == ["RELOADING=1", "READY=1"]
    assert started.property(UNIT, "ActiveState") == "active"
    assert main_pid(started) == before
    daemons = [entry["MESSAGE"] for entry in started.journal(UNIT, since) if entry["_PID"] == before]
    assert any("event=reloaded " in message and "2048" in message for message in daemons)


def told(machine: Machine, since: str) -> list[str]:
    """What the daemon told of its state, as systemd at its log level "debug" says."""
    messages = [entry["MESSAGE"] for entry in machine.journal(UNIT, since) if entry["_PID"] == "1"]
    states = re.compile(r"notification message.*\b(READY=1|RELOADING=1|STOPPING=1)")
    return [found[1] for found in map(states.search, messages) if found]


def test_a_wrong_reload_changes_nothing(started: Machine) -> None:
    before, since = main_pid(started), started.now()
    started.write(CONFIGURATION, TABLES.replace("6379", "no-port"))
    started.run("systemctl", "reload", UNIT)
    wait_until(
        lambda: [entry for entry in started.journal(UNIT, since) if "no-port" in entry["MESSAGE"]],
        "the journal has the fault",
        RETURN_SECONDS,
    )
    assert main_pid(started) == before
    assert "answers" in started.run(GLIDECACHE, "ping")


def test_a_stop_leaves_a_clean_journal(service: Machine) -> None:
    since = service.now()
    service.run("systemctl", "start", UNIT)
    service.python(READ, "anything", user="insider")
    service.run("systemctl", "stop", UNIT)
    entries = service.journal(UNIT, since=since)
    assert entries
    assert [entry["MESSAGE"] for entry in entries if int(entry["PRIORITY"]) <= WARNING] == []
    assert service.property(UNIT, "Result") == "success"


def test_objects_of_json_have_priorities_in_the_journal(service: Machine) -> None:
    service.write(CONFIGURATION, TABLES.replace("[daemon]", '[daemon]\nlog_format = "json"'))
    since = service.now()
    service.run("systemctl", "start", UNIT)
    pid = main_pid(service)
    service.write(CONFIGURATION, TABLES.replace("6379", "no-port"))
    service.run("systemctl", "reload", UNIT)
    wait_until(
        lambda: [entry for entry in service.journal(UNIT, since) if "reload refused" in entry["MESSAGE"]],
        "the journal has the refusal",
        RETURN_SECONDS,
    )
    entries = [entry for entry in service.journal(UNIT, since) if entry["_PID"] == pid]
    priorities = {(json.loads(each["MESSAGE"])["level"], int(each["PRIORITY"])) for each in entries}
    assert {("info", INFORMATION), ("error", ERROR)} <= priorities
    assert priorities <= {("info", INFORMATION), ("error", ERROR), ("warning", WARNING)}


def test_a_wrong_configuration_is_not_tried_again(service: Machine) -> None:
    service.write(CONFIGURATION, TABLES.replace("6379", "no-port"))
    since = service.now()
    assert not service.ok("systemctl", "start", UNIT)
    found = service.properties(UNIT, "ActiveState", "ExecMainStatus", "NRestarts")
    assert found == {"ActiveState": "failed", "ExecMainStatus": "78", "NRestarts": "0"}
    (fault,) = [entry for entry in service.journal(UNIT, since) if "no-port" in entry["MESSAGE"]]
    assert int(fault["PRIORITY"]) == ERROR


def test_a_crash_of_the_service_starts_no_handler_of_cores(started: Machine) -> None:
    """With a limit of 0 the kernel starts one, with 1 it does not (core(5)); no soft limit is above the hard one."""
    limits = started.run("cat", f"/proc/{main_pid(started)}/limits").splitlines()
    (core,) = [line.split() for line in limits if line.startswith("Max core file size")]
    assert core[-3:] == ["1", "1", "bytes"]


def test_a_password_comes_by_credential(service: Machine, valkey: Valkey) -> None:
    valkey.command("ACL", "SETUSER", "app", "on", ">correct-horse", "allkeys", "allcommands")
    service.write("/etc/glidecached/password", "correct-horse\n", mode=0o600)
    service.write(DROP_IN, "[Service]\nLoadCredential=password:/etc/glidecached/password\n")
    service.run("systemctl", "daemon-reload")
    credential = 'username = "app"\npassword_file = "/run/credentials/glidecached.service/password"\n'
    service.write(CONFIGURATION, TABLES.replace("[caches.", f"{credential}[caches.", 1))
    since = service.now()
    service.run("systemctl", "start", UNIT)
    assert service.property(UNIT, "StatusText") == "1 cache, 1 of 1 upstream connected, 0 sessions"
    assert "user=app" in valkey.command("CLIENT", "LIST")
    assert not any("correct-horse" in str(entry) for entry in service.journal(UNIT, since))
