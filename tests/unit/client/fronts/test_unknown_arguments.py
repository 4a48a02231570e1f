"""An argument that neither the library nor its front knows is an error of the constructor, however it is given.

The libraries themselves say it when they connect, or never: a typo would cache every key meanwhile.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest

from glidecache import ConfigurationError
from glidecache.fronts.front_options import NAMES
from support.front_clients import CLASSES, FRONT_KINDS, FrontKind

if TYPE_CHECKING:
    from collections.abc import Callable

TYPOS = {
    "cache_prefixes": ("cache_prefix", "cacheprefixes", "cache_prefixs"),
    "forget_writes": ("forget_write", "forgetwrites"),
    "upstream": ("up_stream", "upstreams"),
    "runtime_dir": ("runtime_directory", "runtimedir"),
}
CASES = [(meant, typo) for meant, typos in TYPOS.items() for typo in typos]
CACHED = {"shared_cache": "c", "runtime_dir": "/nowhere"}


def by_keyword(kind: FrontKind, unknown: dict[str, str]) -> Any:
    return kind.client_class(front=True)(**CACHED, **unknown)


def by_url_and_keyword(kind: FrontKind, unknown: dict[str, str]) -> Any:
    return kind.client_class(front=True).from_url(f"{kind.library}://localhost", **CACHED, **unknown)


def url_of(kind: FrontKind, arguments: dict[str, str]) -> str:
    return f"{kind.library}://localhost?" + "&".join(f"{name}={value}" for name, value in arguments.items())


def by_url(kind: FrontKind, unknown: dict[str, str]) -> Any:
    return kind.client_class(front=True).from_url(url_of(kind, CACHED | unknown))


def by_url_with_tls(kind: FrontKind, unknown: dict[str, str]) -> Any:
    url = url_of(kind, CACHED | unknown).replace("://", "s://")
    return kind.client_class(front=True).from_url(url)


def by_url_with_one_connection(kind: FrontKind, unknown: dict[str, str]) -> Any:
    front = kind.client_class(front=True)
    return front.from_url(url_of(kind, CACHED | unknown), single_connection_client=True)


def by_url_of_a_socket(kind: FrontKind, unknown: dict[str, str]) -> Any:
    url = url_of(kind, {**CACHED, "upstream": "u", **unknown}).replace(
        f"{kind.library}://localhost", "unix:///s"
    )
    return kind.client_class(front=True).from_url(url)


def by_function(kind: FrontKind, unknown: dict[str, str]) -> Any:
    return kind.module(front=True).from_url(url_of(kind, CACHED | unknown))


def by_pool(kind: FrontKind, unknown: dict[str, str]) -> Any:
    pool = kind.module(front=True).ConnectionPool(**CACHED, **unknown)
    return kind.client_class(front=True)(connection_pool=pool)


def by_pool_of_url(kind: FrontKind, unknown: dict[str, str]) -> Any:
    pool = kind.module(front=True).BlockingConnectionPool.from_url(url_of(kind, CACHED | unknown))
    return kind.client_class(front=True)(connection_pool=pool)


def by_plain_pool(kind: FrontKind, unknown: dict[str, str]) -> Any:
    pool = kind.module(front=True).ConnectionPool(**unknown)
    return kind.client_class(front=True)(connection_pool=pool, **CACHED)


def by_cluster(kind: FrontKind, unknown: dict[str, str]) -> Any:
    front = kind.client_class(front=True, cluster=True)
    return front(host="127.0.0.1", port=1, **CACHED, **unknown)


def by_clusters_url(kind: FrontKind, unknown: dict[str, str]) -> Any:
    return kind.client_class(front=True, cluster=True).from_url(url_of(kind, CACHED | unknown))


def by_clusters_url_and_keyword(kind: FrontKind, unknown: dict[str, str]) -> Any:
    front = kind.client_class(front=True, cluster=True)
    return front.from_url(url_of(kind, CACHED), **unknown)


WAYS: list[Callable[[FrontKind, dict[str, str]], Any]] = [
    by_keyword,
    by_url_and_keyword,
    by_url,
    by_url_with_tls,
    by_url_with_one_connection,
    by_url_of_a_socket,
    by_function,
    by_pool,
    by_pool_of_url,
    by_plain_pool,
    by_cluster,
    by_clusters_url,
    by_clusters_url_and_keyword,
]


@pytest.mark.parametrize("make", WAYS, ids=lambda make: make.__name__)
@pytest.mark.parametrize("kind", FRONT_KINDS, ids=str)
def test_an_unknown_argument_is_an_error_of_the_constructor_that_names_the_known_ones(
    kind: FrontKind, make: Callable[[FrontKind, dict[str, str]], Any]
) -> None:
    name = "ValkeyError" if kind.library == "valkey" else "RedisError"
    for meant, typo in CASES:
        with pytest.raises(ConfigurationError) as caught:
            make(kind, {typo: "x"})
        assert isinstance(caught.value, getattr(kind.module(front=False), name))
        text = str(caught.value)
        assert text.startswith(f"unknown argument {typo} (did you mean {meant}?): "), text
        assert text.endswith(", ".join(NAMES)), text


@pytest.mark.parametrize("kind", FRONT_KINDS, ids=str)
def test_all_unknown_arguments_are_named(kind: FrontKind) -> None:
    for make in (by_url, by_pool):
        with pytest.raises(ConfigurationError, match=r"^unknown arguments colour, size: besides"):
            make(kind, {"colour": "x", "size": "y"})


@pytest.mark.parametrize("kind", FRONT_KINDS, ids=str)
def test_without_a_cache_arguments_are_the_librarys_to_judge(kind: FrontKind) -> None:
    front = kind.client_class(front=True)
    front.from_url(f"{kind.library}://localhost?cache_prefix=x")
    with pytest.raises(TypeError):
        front(cache_prefix="x")


@pytest.mark.parametrize("kind", FRONT_KINDS, ids=str)
def test_what_a_connection_class_takes_without_declaring_it_is_known(kind: FrontKind) -> None:
    module = kind.module(front=True)
    made: list[dict[str, Any]] = []

    class Own(module.Connection):  # type: ignore[misc]
        def __init__(self, **arguments: Any) -> None:
            made.append(dict(arguments))
            self.colour = arguments.pop("colour", None)
            super().__init__(**arguments)

    for given in ({"colour": "red"}, {}):
        pool = module.ConnectionPool(connection_class=Own, **CACHED, **given)
        made.clear()
        for _ in range(3):
            kind.client_class(front=True)(connection_pool=pool)
        # Once for a pool, and only where the declared arguments do not decide it.
        assert len(made) == len(given)
    pool = module.ConnectionPool(connection_class=Own, **CACHED, color="red")
    with pytest.raises(ConfigurationError, match="unknown argument color:"):
        kind.client_class(front=True)(connection_pool=pool)


@pytest.mark.parametrize("kind", FRONT_KINDS, ids=str)
@pytest.mark.parametrize("name", ["Connection", "SSLConnection"])
def test_all_arguments_of_the_librarys_connections_are_known(kind: FrontKind, name: str) -> None:
    from glidecache.fronts.unknown_arguments import unknown_to_connections

    kind_of_connection = getattr(kind.module(front=False), name)
    declared = {
        parameter
        for base in kind_of_connection.__mro__[:-1]
        for parameter in inspect.signature(base.__init__).parameters
    }
    assert unknown_to_connections(kind_of_connection, dict.fromkeys(declared - {"self", "kwargs"})) == []


@pytest.mark.parametrize("library", CLASSES)
def test_a_blocking_cluster_clients_usual_arguments_are_known(library: str) -> None:
    from glidecache.fronts.libraries import redis_py, valkey_py

    known = (valkey_py() if library == "valkey" else redis_py()).cluster_arguments
    usual = {
        "host",
        "port",
        "startup_nodes",
        "url",
        "require_full_coverage",
        "ssl",
        "ssl_ca_certs",
        "password",
    }
    also = {"socket_timeout", "health_check_interval", "decode_responses", "max_connections", "protocol"}
    assert usual | also <= known
    assert not known & {typo for _, typo in CASES}
