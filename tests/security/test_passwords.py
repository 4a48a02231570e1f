"""Passwords stay where they belong: in the daemon's memory, and in the client's that brought them.

Everything that another person could read is searched for them: the log at its most talkative, statistics, errors and
their tracebacks, `repr`s, process arguments and environments, and every byte in the daemon's directories.
"""

from __future__ import annotations

import resource
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from glidecache import (
    ClientSideCache,
    ClosingError,
    GlideClientConfiguration,
    GlideError,
    NodeAddress,
    ServerCredentials,
)
from glidecache.sync import GlideClient
from support.daemon import Daemon
from support.valkey_server import HOST, ValkeyServer
from support.wire import ReplyRefused, WireClient

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIGURED = "configured-5f1c9a"
CONFIGURED_WRONG = "configured-wrong-77ab03"
BROUGHT = "brought-e03d44"
BROUGHT_WRONG = "brought-wrong-91c2f8"
MISPLACED = "misplaced-0c55d1"
SECRETS = (CONFIGURED, CONFIGURED_WRONG, BROUGHT, BROUGHT_WRONG, MISPLACED)


@dataclass
class Findings:
    """What others could read, by where they would."""

    texts: dict[str, bytes] = field(default_factory=dict)

    def add(self, place: str, text: bytes | str) -> None:
        self.texts[f"{place} ({len(self.texts)})"] = text.encode() if isinstance(text, str) else text

    def add_error(self, place: str, error: BaseException) -> None:
        self.add(place, "".join(traceback.format_exception(error)) + repr(error) + str(vars(error)))

    def add_tree(self, directory: Path) -> None:
        for path in directory.rglob("*"):
            if path.is_file():
                self.add(str(path), path.read_bytes())

    def places_of(self, text: str) -> list[str]:
        return [place for place, content in self.texts.items() if text.encode() in content]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ValkeyServer]:
    server = ValkeyServer(
        tmp_path / "valkey",
        f"user default on >{CONFIGURED} ~* &* +@all",
        f"user app on >{BROUGHT} ~* &* +@all",
    )
    server.start()
    yield server
    server.stop()


@pytest.fixture
def daemon(server: ValkeyServer, tmp_path: Path) -> Iterator[Daemon]:
    upstream = {"addresses": [f"{HOST}:{server.port}"]}
    tables: dict[str, Any] = {"upstreams": {}}
    for name, password in (("default", CONFIGURED), ("wrong", CONFIGURED_WRONG)):
        path = tmp_path / f"password-{name}"
        path.write_text(password)
        path.chmod(0o600)
        tables["upstreams"][name] = {**upstream, "password_file": str(path)}
    tables["caches"] = {"catalog": {"max_cache_kb": 64, "entry_ttl_ms": 0}}
    daemon = Daemon(tmp_path / "daemon", tables)
    daemon.start()
    yield daemon
    daemon.discard()


def test_passwords_appear_nowhere(daemon: Daemon, server: ValkeyServer) -> None:
    found = Findings()
    addresses = [NodeAddress(HOST, server.port)]
    uses: dict[str, dict[str, Any]] = {
        "configured": {"upstream": "default", "client_side_cache": ClientSideCache.named("catalog")},
        "configured, wrong": {"upstream": "wrong"},
        "brought": {
            "addresses": addresses,
            "credentials": ServerCredentials(BROUGHT, "app"),
            "client_side_cache": ClientSideCache.create(64, 0, name="theirs"),
        },
        "brought, wrong": {"addresses": addresses, "credentials": ServerCredentials(BROUGHT_WRONG, "app")},
        "brought, wrong, direct": {
            "addresses": addresses,
            "credentials": ServerCredentials(BROUGHT_WRONG, "app"),
            "runtime_dir": str(daemon.runtime_dir / "nobody"),
            "fallback": "direct",
            "request_timeout": 300,
        },
        "none": {"addresses": addresses},
    }
    for place, settings in uses.items():
        common = {"runtime_dir": str(daemon.runtime_dir), "request_timeout": 5_000}
        _use(found, place, common | settings, server)
    _ask_wrongly(found, daemon, server.port)
    found.add("stats", repr(daemon.stats()))
    _look_at_the_process(found, daemon)
    daemon.stop()  # whatever it leaves to the next one, too
    _look_at_the_process(found, daemon)
    for secret in SECRETS:
        assert found.places_of(secret) == [], secret
    # What is no secret was found where it was looked for: the search works.
    assert any(".pool" in place for place in found.places_of("value-in-the-pool"))
    assert any(".lease" in place for place in found.places_of('"user": "app"'))
    assert any(".log" in place for place in found.places_of("WRONGPASS"))
    assert found.places_of("WRONGPASS invalid username-password pair")


def _use(found: Findings, place: str, settings: dict[str, Any], server: ValkeyServer) -> None:
    """Connect, read, meet the server's refusals; errors, and what objects say of themselves."""
    configuration = GlideClientConfiguration(**settings)
    found.add(f"{place}: configuration", f"{configuration!r} {configuration!s} {settings!r}")
    try:
        client = GlideClient.create(configuration)
    except GlideError as error:
        found.add_error(f"{place}: create", error)
        return
    found.add(f"{place}: client", f"{client!r} {client!s}")
    server.admin.set("key", "value-in-the-pool")
    assert client.get("key") == client.get("key") == b"value-in-the-pool"
    commands: tuple[list[Any], ...] = (
        ["AUTH", MISPLACED],
        ["AUTH", "default", MISPLACED],
        ["HELLO", "3", "AUTH", "default", MISPLACED],
        ["CONFIG", "SET", "no-such-setting", MISPLACED],
    )
    for command in commands:
        with pytest.raises(GlideError) as refused:
            client.custom_command(command)
        found.add_error(f"{place}: {command[0]}", refused.value)
    client.close()


def _ask_wrongly(found: Findings, daemon: Daemon, port: int) -> None:
    """Malformed requests that have a password in them: the daemon says what is wrong, and not with what."""
    own: dict[str, Any] = {"addresses": [[HOST, port]]}
    for spec in (
        {**own, "password": [MISPLACED]},
        {**own, "password": MISPLACED.encode()},
        {**own, "password": MISPLACED, "username": 7},
        {**own, "password": MISPLACED, "database_id": -1},
        {**own, "password": MISPLACED, "use_tls": True, "tls": {"key": MISPLACED.encode()}},
        {**own, "use_tls": True, "tls": {"cert": MISPLACED.encode(), "key": MISPLACED.encode()}},
    ):
        with WireClient(daemon.runtime_dir) as wire, pytest.raises(ReplyRefused) as refused:
            wire.attach(**spec)
        found.add_error("wrong ATTACH", refused.value)


def _look_at_the_process(found: Findings, daemon: Daemon) -> None:
    found.add_tree(daemon.runtime_dir)
    found.add_tree(daemon.pool_dir)
    found.add("log", daemon.log_text())
    found.add(str(daemon.log_path), daemon.log_text())
    if daemon.running:
        for name in ("cmdline", "environ", "comm"):
            found.add(name, Path(f"/proc/{daemon.pid}/{name}").read_bytes())


def test_the_daemon_dumps_no_core(daemon: Daemon) -> None:
    soft, _ = resource.prlimit(daemon.pid, resource.RLIMIT_CORE)
    assert 0 <= soft <= 1


@pytest.mark.parametrize("lazy", [False, True])
def test_c18_a_pool_is_not_joined_with_a_wrong_password(
    daemon: Daemon, server: ValkeyServer, *, lazy: bool
) -> None:
    """Its name, its settings and its user are right: only the password says that it is somebody else."""

    def client(password: str, **settings: Any) -> GlideClient:
        return GlideClient.create(
            GlideClientConfiguration(
                [NodeAddress(HOST, server.port)],
                credentials=ServerCredentials(password, "app"),
                client_side_cache=ClientSideCache.create(64, 0, name="theirs"),
                runtime_dir=str(daemon.runtime_dir),
                fallback="error",
                request_timeout=5_000,
                **settings,
            )
        )

    server.admin.set("k", "v")
    own = client(BROUGHT)
    assert own.get("k") == own.get("k") == b"v"
    if lazy:
        other = client(BROUGHT_WRONG, lazy_connect=True)
        with pytest.raises(GlideError):
            other.get("k")
        with pytest.raises(GlideError):
            other.get_cache_entry_count()
        other.close()
    else:
        with pytest.raises(ClosingError, match="WRONGPASS"):
            client(BROUGHT_WRONG)
    own.close()
