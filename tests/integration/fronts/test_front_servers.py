"""Fronts of servers that are reached by TLS, as users, by sockets, and with all that a client may be told."""

from __future__ import annotations

import itertools
import logging
import ssl
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization

from glidecache import ConfigurationError
from support.caches import new_cache
from support.front_clients import FrontCalls
from support.refusals import refusal_of
from support.tls_server import Authority, TlsServer
from support.valkey_server import HOST
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from glidecache import ClientSideCache
    from support.daemon import Daemon
    from support.front_clients import FrontKind
    from support.valkey_server import ValkeyServer

VALUE = bytes(range(256))
PASSWORD = "secret"
TEXTS = ("ssl_ca_data", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile")


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def tls_of_module(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[TlsServer]:
    """A server that asks its clients for a certificate of its authority, and knows the user `app`."""
    directory = tmp_path_factory.mktemp("tls")
    server = TlsServer(
        directory,
        f"user app on >{PASSWORD} ~* &* +@all",
        authority=authority,
        client_ca=authority.ca,
    )
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[TlsServer]:
    """A server whose certificate is for another host."""
    server = TlsServer(tmp_path_factory.mktemp("elsewhere"), authority=authority, name="elsewhere.example")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> dict[str, str]:
    """The paths of PEM files, by what is in them."""
    certificate, key = authority.certificate("client")
    other = Authority().ca
    locked = serialization.load_pem_private_key(key, password=None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.BestAvailableEncryption(PASSWORD.encode()),
    )
    contents = {
        "ca": authority.ca,
        "other": other,
        "cert": certificate,
        "key": key,
        "both": key + certificate,
        "locked": locked,
        "nothing": b"no certificate\n",
    }
    directory = tmp_path_factory.mktemp("files")
    for name, content in contents.items():
        (directory / name).write_bytes(content)
    return {name: str(directory / name) for name in contents}


WAYS: dict[str, dict[str, Any]] = {
    "a file of authorities": {"ssl_ca_certs": "ca"},
    "authorities as text": {"ssl_ca_certs": None, "ssl_ca_data": "text of ca"},
    "authorities as DER": {"ssl_ca_certs": None, "ssl_ca_data": "DER of ca"},
    "two sources of authorities": {"ssl_ca_certs": "other", "ssl_ca_data": "text of ca"},
    "and the other way round": {"ssl_ca_certs": "ca", "ssl_ca_data": "text of other"},
    "no verification": {"ssl_ca_certs": None, "ssl_cert_reqs": "none", "ssl_check_hostname": False},
    "no verification, None": {"ssl_ca_certs": None, "ssl_cert_reqs": None, "ssl_check_hostname": False},
    "optional verification": {"ssl_cert_reqs": "optional"},
    "with the host's name": {"ssl_check_hostname": True},
    "without the host's name": {"ssl_check_hostname": False},
    "a key in the certificate's file": {"ssl_certfile": "both", "ssl_keyfile": None},
    "a version": {"ssl_min_version": ssl.TLSVersion.TLSv1_3},
    "a user": {"username": "app", "password": PASSWORD},
    "a database": {"db": 3},
}


def filled(given: dict[str, Any], files: dict[str, str]) -> dict[str, Any]:
    """A client's arguments for the server; what `given` names by what is in a file has its path or content."""
    defaults = {"ssl": True, "ssl_ca_certs": "ca", "ssl_certfile": "cert", "ssl_keyfile": "key"}
    found = {name: value for name, value in {**defaults, **given}.items() if value is not None}
    if "ssl_cert_reqs" in given:
        found["ssl_cert_reqs"] = given["ssl_cert_reqs"]
    for name in TEXTS:
        what, _, file = str(found.get(name, "")).rpartition(" of ")
        if file in files:
            path = files[file]
            if what:
                content = Path(path).read_text()
                found[name] = content if what == "text" else ssl.PEM_cert_to_DER_cert(content)
            else:
                found[name] = path
    return found


@pytest.fixture
def over_tls(front_kind: FrontKind, tls_of_module: TlsServer, daemon: Daemon) -> Iterator[FrontCalls]:
    """Clients for the TLS port of the module's server, which is empty."""
    tls_of_module.reset()
    with FrontCalls(front_kind, tls_of_module.tls_port, daemon.runtime_dir) as made:
        yield made


def read_both(calls: FrontCalls, front: Any, server: ValkeyServer) -> int:
    """Read a string and a hash, which are right; return how many of these reads reached the server."""
    before = server.reads()
    assert calls.call(front, "get", "k") == VALUE
    assert calls.call(front, "hgetall", "h") == {b"field": VALUE}
    return server.reads() - before


def write_both(calls: FrontCalls, front: Any) -> None:
    calls.call(front, "set", "k", VALUE)
    calls.call(front, "hset", "h", "field", VALUE)


def becomes_cached(calls: FrontCalls, front: Any, server: ValkeyServer) -> bool:
    """Wait until reads do not reach the server any more: a first one that is late is the library's own."""
    write_both(calls, front)
    wait_until(lambda: read_both(calls, front, server) == 0, "reads are hits")
    return True


@pytest.mark.parametrize("way", WAYS)
def test_reads_over_tls_are_cached(
    over_tls: FrontCalls, tls_of_module: TlsServer, files: dict[str, str], way: str
) -> None:
    arguments = filled(WAYS[way], files)
    # Older libraries know fewer arguments, and asyncio's take no certificate without `ssl_keyfile`.
    try:
        over_tls.call(over_tls.plain(**arguments), "ping")
    except (TypeError, import_module(over_tls.kind.library).ConnectionError) as error:
        pytest.skip(f"this library itself does not get there: {error}")
    assert becomes_cached(over_tls, over_tls.front(new_cache(), **arguments), tls_of_module)


def test_a_url_may_say_all_of_tls(
    over_tls: FrontCalls, tls_of_module: TlsServer, files: dict[str, str], unique_name: str
) -> None:
    kind = over_tls.kind.client_class(front=True)
    url = (
        f"{over_tls.kind.library}s://app:{PASSWORD}@{HOST}:{over_tls.port}/2?ssl_ca_certs={files['ca']}"
        f"&ssl_certfile={files['cert']}&ssl_keyfile={files['key']}&ssl_cert_reqs=required"
        f"&shared_cache={unique_name}&runtime_dir={over_tls.runtime_dir}"
    )
    assert becomes_cached(over_tls, over_tls.made(lambda: kind.from_url(url)), tls_of_module)


def test_c18_clients_with_and_without_verification_never_share_a_cache(
    over_tls: FrontCalls, tls_of_module: TlsServer, files: dict[str, str], cache: ClientSideCache
) -> None:
    careless = {"ssl_cert_reqs": "none", "ssl_check_hostname": False}
    assert becomes_cached(over_tls, over_tls.front(cache, **filled(careless, files)), tls_of_module)
    refusal_of(lambda: over_tls.front(cache, **filled({}, files)), ConfigurationError, cache.cache_id)


def test_a_certificate_that_the_daemon_does_not_accept_is_the_librarys_to_judge(
    front_kind: FrontKind,
    elsewhere: TlsServer,
    daemon: Daemon,
    files: dict[str, str],
    cache: ClientSideCache,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Without `ssl_check_hostname` the library takes a certificate for any host; the daemon does not."""
    elsewhere.reset()
    arguments = filled({"ssl_check_hostname": False}, files)
    with FrontCalls(front_kind, elsewhere.tls_port, daemon.runtime_dir) as calls:
        with caplog.at_level(logging.WARNING, "glidecache"):
            front = calls.front(cache, **arguments)
            write_both(calls, front)
            assert [read_both(calls, front, elsewhere) for _ in range(3)] == [2] * 3
        (warning,) = [record.getMessage() for record in caplog.records]
        assert "uncached" in warning
        assert "certificate verify failed" in daemon.log_text()


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a directory of authorities": ({"ssl_ca_path": "/etc/ssl/certs"}, "ssl_ca_path: .*upstream="),
    "OCSP": ({"ssl_validate_ocsp": True}, "ssl_validate_ocsp: .*upstream="),
    "stapled OCSP": ({"ssl_validate_ocsp_stapled": True}, "ssl_validate_ocsp_stapled: .*upstream="),
    "flags": (
        {"ssl_include_verify_flags": [ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF]},
        "ssl_include_verify_flags: .*upstream=",
    ),
    "a locked key": ({"ssl_keyfile": "locked", "ssl_password": PASSWORD}, "ssl_password.*upstream="),
    "no file of authorities": ({"ssl_ca_certs": "/none/ca"}, "ssl_ca_certs: /none/ca cannot be read"),
    "no certificate": ({"ssl_certfile": "/none/cert"}, "ssl_certfile: /none/cert cannot be read"),
    "no key": ({"ssl_keyfile": "/none/key"}, "ssl_keyfile: /none/key cannot be read"),
    "a key alone": ({"ssl_certfile": None}, "ssl_certfile is missing"),
    "data that are none": ({"ssl_ca_data": b"none"}, "ssl_ca_data is no certificate"),
}


@pytest.mark.parametrize("refused", REFUSED)
def test_what_the_daemon_cannot_use_is_refused_at_construction(
    over_tls: FrontCalls, files: dict[str, str], refused: str
) -> None:
    given, text = REFUSED[refused]
    kind = over_tls.kind.client_class(front=True)
    # By a pool's arguments, since not all constructors of all versions know all of these.
    arguments = {name: value for name, value in filled(given, files).items() if name != "ssl"}
    module = over_tls.kind.module(front=True)
    pool = module.ConnectionPool(
        connection_class=module.SSLConnection, host=HOST, port=over_tls.port, **arguments
    )
    with pytest.raises(ConfigurationError, match=text.replace(": .*", ".*")):
        over_tls.made(lambda: kind(connection_pool=pool, shared_cache=new_cache()))
    over_tls.run(pool.disconnect)


def test_a_file_that_is_no_certificate_is_an_error_when_the_front_is_made(
    over_tls: FrontCalls, files: dict[str, str], cache: ClientSideCache
) -> None:
    arguments = filled({"ssl_ca_certs": "nothing"}, files)
    refusal_of(lambda: over_tls.front(cache, **arguments), ConfigurationError, "certificate")


def own_provider(calls: FrontCalls) -> Any:
    """A provider of credentials of the application's own."""

    class Provider(import_module(calls.kind.library).CredentialProvider):  # type: ignore[misc]
        def get_credentials(self) -> tuple[str, str]:
            return "admin", "any"

    return Provider()


def test_credentials_that_may_change_are_refused_and_those_that_do_not_are_used(
    calls: FrontCalls, valkey: ValkeyServer
) -> None:
    with pytest.raises(ConfigurationError, match=r"credential_provider \(Provider\).*upstream="):
        calls.front(new_cache(), credential_provider=own_provider(calls))
    named = calls.front(new_cache(), credential_provider=own_provider(calls), upstream="default")
    assert becomes_cached(calls, named, valkey)
    static = import_module(calls.kind.library).UsernamePasswordCredentialProvider("admin", "any")
    assert becomes_cached(calls, calls.front(new_cache(), credential_provider=static), valkey)


def test_a_unix_socket_needs_a_named_upstream(
    front_kind: FrontKind, tmp_path: Path, start_valkey: Callable[..., ValkeyServer], start_daemon: Any
) -> None:
    path = f"{tmp_path}/server.sock"
    server = start_valkey(f"unixsocket {path}")
    daemon = start_daemon(upstreams={"default": {"addresses": [f"{HOST}:{server.port}"]}})
    with FrontCalls(front_kind, server.port, daemon.runtime_dir) as calls:
        kind = calls.kind.client_class(front=True)
        given: dict[str, Any] = {"shared_cache": new_cache(), "runtime_dir": calls.runtime_dir}
        with pytest.raises(ConfigurationError, match=rf"Unix socket '{path}'.*upstream="):
            kind(unix_socket_path=path, **given)
        front = calls.made(lambda: kind(unix_socket_path=path, upstream="default", **given))
        assert becomes_cached(calls, front, server)
        by_url = calls.made(lambda: kind.from_url(f"unix://{path}", upstream="default", **given))
        assert becomes_cached(calls, by_url, server)


OPTIONS: dict[str, Any] = {
    "protocol": 3,
    "client_name": "tester",
    "health_check_interval": 1,
    "decode_responses": True,
    "encoding": "latin-1",
    "encoding_errors": "replace",
    "username, password": ("admin", "any"),
    "db": 1,
    "single_connection_client": True,
    "socket_timeout": 5,
    "socket_keepalive": True,
    "max_connections": 3,
    "retry_on_error": [ConnectionError],
}
READS = (
    ("get", "text"),
    ("get", "bytes"),
    ("hgetall", "hash"),
    ("smembers", "set"),
    ("mget", "text", "bytes"),
)


def arguments_of(names: tuple[str, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in names:
        if ", " in name:
            found |= dict(zip(name.split(", "), OPTIONS[name], strict=True))
        else:
            found[name] = OPTIONS[name]
    return found


def test_any_two_options_together_return_what_the_library_returns(
    calls: FrontCalls, valkey: ValkeyServer
) -> None:
    caches: dict[Any, ClientSideCache] = {}
    for database in (0, 1):
        valkey.admin.execute_command("SELECT", database)
        valkey.admin.mset({"text": "é ü", "bytes": VALUE})
        valkey.admin.hset("hash", mapping={"é": VALUE, "": ""})
        valkey.admin.sadd("set", "é", VALUE)
    valkey.admin.execute_command("SELECT", 0)
    differing, uncached = {}, []
    for names in itertools.combinations(OPTIONS, 2):
        arguments = arguments_of(names)
        # A cache belongs to one database and user.
        cache = caches.setdefault((arguments.get("db"), arguments.get("username")), new_cache())
        plain, front = calls.plain(**arguments), calls.front(cache, **arguments)
        for read in READS:
            expected = calls.outcome(plain, *read)
            for _ in range(2):
                found = calls.outcome(front, *read)
                if found != expected and not (
                    read[0] == "smembers" and sorted(found[1]) == sorted(expected[1])
                ):
                    differing[names, read] = (found, expected)
        before = valkey.reads()
        for read in READS[:1]:
            calls.outcome(front, *read)
        if valkey.reads() != before:
            uncached.append(names)
        calls.close(front)
        calls.close(plain)
    assert differing == {}
    assert uncached == []
