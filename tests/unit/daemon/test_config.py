"""The configuration file: each fault has one clear message, and the example stays complete."""

from __future__ import annotations

import dataclasses
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from glidecache_shared.pool.store import PoolStore
from glidecache_shared.protocol import STRING
from glidecached.config.load import ConfigError, load
from glidecached.config.schema import (
    AdviceSettings,
    CacheSettings,
    DaemonSettings,
    MetricsSettings,
    UpstreamSettings,
)
from glidecached.pools.metadata import MAX_CACHE_KB, MAX_TTL_MS, PoolSettings
from glidecached.upstream.target import Address
from support.process import ROOT

if TYPE_CHECKING:
    from glidecached.config.model import Config

EXAMPLE = ROOT / "glidecached.toml.example"
SYSTEMD_EXAMPLE = ROOT / "systemd" / "glidecached.toml"
SECTIONS = {
    "daemon": DaemonSettings,
    "metrics": MetricsSettings,
    "advice": AdviceSettings,
    "upstreams.default": UpstreamSettings,
    "caches.catalog": CacheSettings,
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "glidecached.toml"


def faults(file: Path, text: str) -> list[str]:
    """What is wrong with the text; every message begins with the file."""
    file.write_text(text)
    with pytest.raises(ConfigError) as raised:
        load(file)
    assert all(fault.startswith(f"{file}: ") for fault in raised.value.faults)
    return [fault.removeprefix(f"{file}: ") for fault in raised.value.faults]


def loaded(file: Path, text: str) -> Config:
    file.write_text(text)
    return load(file)


UPSTREAM = '[upstreams.default]\naddresses = ["h:1"]\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[daemon]\ngrace_ms = 'soon'", r"\[daemon\] grace_ms = 'soon': should be a valid integer"),
        ("[daemon]\ngrace_ms = true", r"\[daemon\] grace_ms = True: should be a valid integer"),
        ("[daemon]\ngrace_ms = 1", r"\[daemon\] grace_ms = 1: should be greater than or equal to 100"),
        ("[daemon]\nlog_level = 'loud'", r"\[daemon\] log_level = 'loud': should be 'debug', 'info'"),
        ("[daemon]\nadmin_users = 'root'", r"\[daemon\] admin_users = 'root': should be an array"),
        ("[daemon]\nadmin_users = ['no such user']", r"admin_users = 'no such user': there is no user"),
        ("[daemon]\nruntime_dir = 'run'", r"runtime_dir = 'run': must be an absolute path"),
        ("[daemon]\ngrace = 1", r"\[daemon\] grace: unknown key; allowed are runtime_dir, pool_dir, "),
        ("daemon = 1", r"daemon = 1: should be a table"),
        ("[metrics]\nlisten = 9464", r"\[metrics\] listen = 9464: must be a string, host:port"),
        ("[metrics]\nlisten = ':9464'", r"\[metrics\] listen = ':9464': '' is not a host name"),
        (
            "[metrics]\nlisten = 'unix:/run/m'",
            r"\[metrics\] listen = 'unix:/run/m': must be a string, host:port",
        ),
        ("[metrics]\nport = 1", r"\[metrics\] port: unknown key; allowed are listen, allowed_hosts"),
        ("[advice]\nenabled = 1", r"\[advice\] enabled = 1: should be a valid boolean"),
        ("[advice]\non = true", r"\[advice\] on: unknown key; allowed are enabled"),
        ("[caches]\nx = 1", r"\[caches\.x\]|caches\.x = 1: should be a table"),
        ("[demon]\nx = 1", r"demon: unknown key; allowed are daemon, metrics, advice, upstreams, caches"),
        ("[upstreams.a]", r"\[upstreams\.a\] addresses: this key is required"),
        ("[upstreams.a]\naddresses = []", r"addresses = \[\]: must have at least one address"),
        ("[upstreams.a]\naddresses = ['h']", r"addresses\[0\] = 'h': 'h' is not an address; write host:port"),
        ("[upstreams.a]\naddresses = ['h:99999']", r"'h:99999' is not an address"),
        ("[upstreams.a]\naddresses = ['unix:run']", r"path must be absolute"),
        ("[upstreams.a]\naddresses = [1]", r"addresses\[0\] = 1"),
        (UPSTREAM + "mode = 'both'", r"mode = 'both': should be 'standalone' or 'cluster'"),
        (UPSTREAM + "database_id = -1", r"\[upstreams\.default\] database_id = -1: should be greater than"),
        (UPSTREAM + "username = 'app'", r"username = 'app': a username needs a password_file"),
        (
            UPSTREAM + "password_file = '/no/such'",
            r"password_file = '/no/such': cannot be read: No such file",
        ),
        (UPSTREAM + "tls_ca_file = '/no/such'", r"tls_ca_file: has no effect without use_tls = true"),
        (UPSTREAM + "tls_insecure = true", r"tls_insecure: has no effect without use_tls = true"),
        (
            UPSTREAM + "use_tls = true\ntls_cert_file = '/c'",
            r"a certificate and its key must be given together",
        ),
        (UPSTREAM + "allow_groups = ['no such group']", r"allow_groups = 'no such group': there is no group"),
        ("[caches.c]\nmax_cache_kb = 1", r"\[caches\.c\] entry_ttl_ms: this key is required"),
        ("[caches.c]\nmax_cache_kb = 0\nentry_ttl_ms = 0", r"max_cache_kb = 0: should be greater than 0"),
        ("[caches.c]\nmax_cache_kb = 1\nentry_ttl_ms = -1", r"entry_ttl_ms = -1: should be greater than"),
        (
            "[caches.c]\nmax_cache_kb = 1\nentry_ttl_ms = 0\nupstream = 'x'",
            r"\[caches\.c\] upstream = 'x': no such upstream; known: default",
        ),
        (
            "[daemon]\nmax_total_cache_kb = 9\n[caches.c]\nmax_cache_kb = 10\nentry_ttl_ms = 0",
            r"max_total_cache_kb = 9: the configured caches alone need 10 KB",
        ),
        (
            "[caches.c]\nmax_cache_kb = 1\nentry_ttl_ms = 9007199254740992",
            r"entry_ttl_ms = 9007199254740992: should be less than or equal to 18446744073709",
        ),
        (
            "[caches.c]\nmax_cache_kb = 159383552\nentry_ttl_ms = 0",
            r"max_cache_kb = 159383552: should be less than or equal to 159383551",
        ),
        (
            "[daemon]\nmax_pools = 1\n[caches]\na={max_cache_kb=1,entry_ttl_ms=0}\nb={max_cache_kb=1,entry_ttl_ms=0}",
            r"\[daemon\] max_pools = 1: 2 caches are configured",
        ),
        (f"[daemon]\nruntime_dir = '/{'d' * 100}'", r"runtime_dir = '/d+.*: .*has 118 bytes.*at most 107"),
        ('[daemon]\npool_dir = "/dev/shm/a\\u0000b"', r"pool_dir = .*: must not contain a NUL"),
        (
            "[daemon]\nsession_idle_seconds = 9223372036855",
            r"session_idle_seconds = 9223372036855: should be less",
        ),
        (f"[daemon]\nmax_total_cache_kb = {2**64}", r"max_total_cache_kb = \d+: should be less"),
        (UPSTREAM + f"database_id = {2**31}", r"database_id = 2147483648: should be less"),
        ("[daemon", r"not a TOML file: "),
    ],
)
def test_each_fault_has_one_message_that_names_key_value_and_what_is_right(
    file: Path, text: str, message: str
) -> None:
    (fault,) = faults(file, text)
    assert re.search(message, fault), fault


def test_all_faults_are_told_at_once(file: Path) -> None:
    assert len(faults(file, "[daemon]\nx = 1\ngrace_ms = 0\n[caches.c]\nmax_cache_kb = 0")) == 4


def test_a_password_that_stands_in_the_file_is_not_repeated(file: Path) -> None:
    (fault,) = faults(file, UPSTREAM + "password = 'hunter2'")
    assert "password: unknown key" in fault
    assert "hunter2" not in fault


def test_a_file_that_is_not_there(file: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load(file)


def test_a_services_credential_that_is_not_there_yet(file: Path) -> None:
    path = "/run/credentials/glidecached-test.service/secret"
    (fault,) = faults(file, UPSTREAM + f"password_file = '{path}'")
    assert "cannot be read: No such file" in fault
    assert "while a service with LoadCredential=secret:FILE runs" in fault


def test_without_upstreams_there_is_the_default_one(file: Path) -> None:
    config = loaded(file, "")
    assert config.upstreams["default"].target.addresses == (Address("127.0.0.1", 6379),)
    assert config.upstreams["default"].request_timeout_ms == 250


def test_what_the_files_contain_is_read_at_the_start_and_never_shown(file: Path, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hunter2\n")
    authority = trustme.CA().cert_pem.bytes()
    (tmp_path / "ca").write_bytes(authority)
    config = loaded(
        file,
        f"{UPSTREAM}username = 'app'\npassword_file = '{tmp_path}/password'\n"
        f"use_tls = true\ntls_ca_file = '{tmp_path}/ca'",
    )
    credentials = config.upstreams["default"].target.credentials
    assert credentials.password == "hunter2"
    assert credentials.tls is not None
    assert credentials.tls.ca == authority
    for secret in ("hunter2", "CERTIFICATE"):
        assert secret not in repr(config)
    assert config.upstreams["default"].target.identity.user == "app"


def test_a_file_that_holds_no_certificate_is_a_fault(file: Path, tmp_path: Path) -> None:
    (tmp_path / "ca").write_text("PEM of the CA")
    (fault,) = faults(file, f"{UPSTREAM}use_tls = true\ntls_ca_file = '{tmp_path}/ca'")
    assert "tls_ca_file: the root certificates are not readable as PEM" in fault


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe"])
def test_password_files_that_hold_no_password(file: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "password").write_bytes(content)
    (fault,) = faults(file, f"{UPSTREAM}password_file = '{tmp_path}/password'")
    assert "password_file" in fault


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("Valkey.Example:6379", Address("valkey.example", 6379)),
        ("[::1]:1", Address("::1", 1)),
        ("unix:/run/v.sock", Address("/run/v.sock", 0)),
        ("unix:///run/v.sock", Address("/run/v.sock", 0)),
    ],
)
def test_forms_of_addresses(file: Path, text: str, address: Address) -> None:
    config = loaded(file, f'[upstreams.default]\naddresses = ["{text}"]')
    assert config.upstreams["default"].target.addresses == (address,)


@pytest.mark.parametrize("path", [EXAMPLE, SYSTEMD_EXAMPLE], ids=lambda path: path.name)
def test_the_examples_are_correct(path: Path) -> None:
    assert "default" in load(path).upstreams


@pytest.mark.parametrize("section", SECTIONS)
def test_the_example_documents_every_key_with_its_default(section: str) -> None:
    text = EXAMPLE.read_text().partition(f"[{section}]")[2].partition("\n[")[0]
    for field in dataclasses.fields(SECTIONS[section]):
        line = re.search(rf"^(# )?{field.name} = (.*)$", text, re.MULTILINE)
        assert line, f"{field.name} is not in the example"
        shown = line[2].strip()
        is_scalar = isinstance(field.default, (bool, int))
        if line[1] and is_scalar:
            assert shown == str(field.default).lower(), f"{field.name}: the example shows another default"


@pytest.mark.parametrize(
    "text",
    [
        "[upstreams.default]\naddresses = ['valkey://app:hunter2@h:1']",
        "[upstreams.default]\naddresses = 'valkey://app:hunter2@h:1'",
        UPSTREAM + "password_file = 'hunter2'",
        UPSTREAM + "password = 'hunter2'",
        UPSTREAM + "username = 'app'\npassword = 'hunter2'",
    ],
)
def test_a_password_that_stands_in_the_file_itself_is_not_shown(file: Path, text: str) -> None:
    assert "hunter2" not in "".join(faults(file, text))


@pytest.mark.parametrize("name", ["password_file", "tls_key_file"])
@pytest.mark.parametrize(
    ("mode", "fault"), [(0o644, "can read it (mode 0644)"), (0o642, "can write it (mode 0642)"), (0o640, "")]
)
def test_secrets_that_others_can_reach_are_refused(file: Path, name: str, mode: int, fault: str) -> None:
    with tempfile.TemporaryDirectory(prefix="glidecached-config-") as place:
        secret = Path(place) / "secret"
        secret.write_text("hunter2")
        secret.chmod(mode)
        text = f"{UPSTREAM}{name} = '{secret}'\n"
        if name == "tls_key_file":
            text += f"use_tls = true\ntls_cert_file = '{secret}'\n"
        Path(place).chmod(0o755)
        if not fault and name == "password_file":
            assert loaded(file, text).upstreams["default"].target.credentials.password == "hunter2"
            return
        found = "".join(faults(file, text))
        assert (f"[upstreams.default] {name} = '{secret}': other users {fault}" in found) == bool(fault)
        assert "hunter2" not in found
        # In a directory that is closed to others the file is closed too: services' credentials stand there.
        Path(place).chmod(0o750)
        assert "other users" not in "".join(_faults_or_nothing(file, text))


def test_authorities_that_others_can_change_are_refused(file: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="glidecached-config-") as place:
        Path(place).chmod(0o755)
        authority = Path(place) / "ca.pem"
        authority.write_bytes(trustme.CA().cert_pem.bytes())
        text = f"{UPSTREAM}use_tls = true\ntls_ca_file = '{authority}'"
        authority.chmod(0o644)
        loaded(file, text)
        authority.chmod(0o666)
        (fault,) = faults(file, text)
        assert "other users can write it (mode 0666)" in fault


def _faults_or_nothing(file: Path, text: str) -> list[str]:
    file.write_text(text)
    try:
        load(file)
    except ConfigError as error:
        return error.faults
    return []


@pytest.mark.parametrize("key", ["allow_users", "allow_groups"])
def test_a_caches_list_is_a_part_of_its_upstreams(file: Path, key: str) -> None:
    cache = "[caches.c]\nmax_cache_kb = 1\nentry_ttl_ms = 0\n"
    config = loaded(file, f"{UPSTREAM}{key} = ['61001', '61002']\n{cache}{key} = ['61002']")
    access = config.caches["c"].access
    assert {"allow_users": access.uids, "allow_groups": access.gids}[key] == {61002}
    (fault,) = faults(file, f"{UPSTREAM}{key} = ['61001']\n{cache}{key} = ['61001', '61003']")
    assert f"[caches.c] {key}: {'uid' if key == 'allow_users' else 'gid'} 61003 may not use" in fault
    loaded(file, f"{UPSTREAM}{cache}{key} = ['61003']")  # everybody may use the upstream


@pytest.mark.parametrize("key", ["allow_users", "allow_groups"])
def test_numbers_that_no_user_can_have(file: Path, key: str) -> None:
    (fault,) = faults(file, f"{UPSTREAM}{key} = ['4294967295']")
    assert "the largest is 4294967294" in fault


def test_what_the_limits_allow_can_be_made(tmp_path: Path) -> None:
    """The compiled core must accept what `--check-config` accepts, and the core's own bound is the limit."""
    making: dict[str, Any] = {"eviction_policy": "LFU", "enable_metrics": True, "instance_id": 1}
    largest = PoolSettings(max_cache_kb=MAX_CACHE_KB, entry_ttl_ms=MAX_TTL_MS)
    for number, grace_ms in enumerate((100, 3_600_000)):
        store = PoolStore.create(
            str(tmp_path),
            "pool",
            number,
            max_cache_kb=largest.max_cache_kb,
            entry_ttl_ms=largest.entry_ttl_ms,
            grace_ms=grace_ms,
            **making,
        )
        assert store.insert(b"k", STRING, b"v", 1)
        store.unlink()
        store.close()
    for field, value in (("max_cache_kb", MAX_CACHE_KB + 1), ("entry_ttl_ms", MAX_TTL_MS + 1)):
        settings: dict[str, Any] = {"max_cache_kb": 1, "entry_ttl_ms": 0, field: value}
        with pytest.raises(ValueError, match=f"{field} is {value}; it must be at most {value - 1}"):
            PoolSettings(**settings)
        with pytest.raises(ValueError, match=f"{field} must"):
            PoolStore.create(str(tmp_path), "pool", 9, grace_ms=5_000, **settings, **making)
