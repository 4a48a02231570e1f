"""The fronts' arguments: what they mean, and a clear error for each that is wrong, at construction."""

from __future__ import annotations

from typing import Any

import pytest

from glidecache import ClientSideCache, ConfigurationError
from glidecache.fronts.command_classes import ends_caching, is_known_read
from glidecache.fronts.front_options import FrontOptions, default_cache, split_url
from support.front_clients import CLASSES, FRONT_KINDS, FrontKind
from support.hidden_modules import start, without

BAD: list[tuple[dict[str, Any], str]] = [
    ({"shared_cache": 7}, "shared_cache is 7"),
    ({"shared_cache": ""}, "shared_cache is ''"),
    ({"shared_cache": b"catalog"}, "shared_cache is b'catalog'"),
    ({"shared_cache": "c", "cache_prefixes": "a:"}, r"cache_prefixes=\['a:'\]"),
    ({"shared_cache": "c", "cache_prefixes": b"a:"}, "a list of prefixes"),
    ({"shared_cache": "c", "cache_prefixes": 7}, "cache_prefixes is 7"),
    ({"shared_cache": "c", "cache_prefixes": ["a:", 7]}, r"cache_prefixes\[1\] is 7"),
    ({"shared_cache": "c", "upstream": ""}, "upstream is ''"),
    ({"shared_cache": "c", "upstream": 7}, "upstream is 7"),
    ({"shared_cache": "c", "runtime_dir": 7}, "runtime_dir is 7"),
    ({"shared_cache": "c", "forget_writes": 7}, "forget_writes is 7"),
    ({"shared_cache": "c", "forget_writes": "true"}, "forget_writes is 'true'"),
    ({"shared_cache": "c", "forget_writes": 1}, "forget_writes is 1;"),
    ({"shared_cache": "c", "forget_writes": "always"}, "forget_writes is 'always'"),
    ({"forget_writes": True}, "forget_writes is given without shared_cache"),
    ({"cache_prefixes": ["a:"]}, "cache_prefixes is given without shared_cache"),
    ({"upstream": "u"}, "upstream is given without shared_cache"),
    ({"runtime_dir": "/run"}, "runtime_dir is given without shared_cache"),
    ({"shared_cache": "c", "unix_socket_path": "/s.sock"}, "the Unix socket '/s.sock'.*upstream="),
    ({"shared_cache": "c", "ssl": True, "ssl_certfile": "/c", "ssl_keyfile": "/k"}, "ssl_certfile"),
    ({"shared_cache": "c", "ssl": True, "ssl_ca_certs": "/no/such"}, "ssl_ca_certs: /no/such cannot be read"),
    ({"shared_cache": "c", "credential_provider": object()}, "credential_provider"),
    ({"shared_cache": "c", "username": "u"}, "a username without a password"),
    ({"shared_cache": "c", "runtime_dir": "/" + "x" * 200}, "too long|108|107"),
]
OF_BLOCKING = {"ssl_ca_path"}


@pytest.mark.parametrize(("arguments", "text"), BAD, ids=[text for _, text in BAD])
@pytest.mark.parametrize("kind", FRONT_KINDS, ids=str)
def test_bad_arguments_are_clear_errors_at_construction(
    kind: FrontKind, arguments: dict[str, Any], text: str
) -> None:
    with pytest.raises(ConfigurationError, match=text):
        kind.client_class(front=True)(**arguments)


def own_caches(library: str) -> dict[str, Any]:
    if library == "valkey":
        return {"cache_enabled": True}
    from redis.cache import CacheConfig

    return {"cache_config": CacheConfig(), "protocol": 3}


@pytest.mark.parametrize("library", CLASSES)
def test_the_librarys_own_client_side_cache_excludes_ours(library: str) -> None:
    with pytest.raises(ConfigurationError, match="own client-side cache"):
        FrontKind(library, is_async=False).client_class(front=True)(shared_cache="c", **own_caches(library))


@pytest.mark.parametrize("kind", FRONT_KINDS, ids=str)
def test_pools_and_urls_are_checked_too(kind: FrontKind) -> None:
    module, front = kind.module(front=True), kind.client_class(front=True)
    with pytest.raises(ConfigurationError, match=r"cache_prefixes\[0\]"):
        front(connection_pool=module.ConnectionPool(shared_cache="c", cache_prefixes=[7]))
    scheme = kind.library
    with pytest.raises(ConfigurationError, match="without shared_cache"):
        front.from_url(f"{scheme}://localhost?cache_prefixes=a")
    with pytest.raises(ConfigurationError, match="twice"):
        front.from_url(f"{scheme}://localhost?shared_cache=a&shared_cache=b")
    with pytest.raises(ConfigurationError, match="Unix socket"):
        front.from_url("unix:///s.sock?shared_cache=a")
    with pytest.raises(ConfigurationError, match="shared_cache"):
        FrontOptions(shared_cache=object())


@pytest.mark.parametrize("kind", FRONT_KINDS, ids=str)
def test_without_a_cache_forget_says_what_is_missing(kind: FrontKind) -> None:
    import asyncio

    client = kind.client_class(front=True)()
    with pytest.raises(ConfigurationError, match="shared_cache="):
        asyncio.run(client.forget("k")) if kind.is_async else client.forget("k")


@pytest.mark.parametrize(
    ("url", "others", "found"),
    [
        ("valkey://h:1/0", "valkey://h:1/0", {}),
        ("valkey://h/0?db=3", "valkey://h/0?db=3", {}),
        ("valkey://h?shared_cache=c", "valkey://h", {"shared_cache": "c"}),
        ("valkey://h?shared_cache=", "valkey://h", {"shared_cache": None}),
        ("valkey://h?a=1&shared_cache=c%20d&b=2#f", "valkey://h?a=1&b=2#f", {"shared_cache": "c d"}),
        (
            "unix:///s?cache_prefixes=a%3A&cache_prefixes=%FF&cache_prefixes=%D0%BA+l",
            "unix:///s",
            {"cache_prefixes": ["a:", b"\xff", "к l"]},
        ),
        ("valkey://h?cache_prefixes=", "valkey://h", {"cache_prefixes": [""]}),
        (
            "valkey://h?upstream=u&runtime_dir=%2Frun%2Fg&forget_writes=true",
            "valkey://h",
            {"upstream": "u", "runtime_dir": "/run/g", "forget_writes": True},
        ),
    ],
)
def test_urls_are_split(url: str, others: str, found: dict[str, Any]) -> None:
    assert split_url(url) == (others, found)


def test_a_name_alone_is_a_cache_of_the_documented_settings() -> None:
    cache = default_cache("catalog")
    assert (cache.name, cache.max_cache_kb, cache.entry_ttl_ms, cache.enable_metrics) == (
        "catalog",
        65_536,
        60_000,
        True,
    )
    assert cache.server_ttl
    own = ClientSideCache.named("catalog")
    assert FrontOptions(shared_cache=own).cache is own


@pytest.mark.parametrize("given", ["true", "True", "false", "FALSE"])
@pytest.mark.parametrize("kind", FRONT_KINDS, ids=str)
def test_a_url_says_by_true_or_false_whether_writes_are_forgotten(kind: FrontKind, given: str) -> None:
    front, module = kind.client_class(front=True), kind.module(front=True)
    url = f"{kind.library}://localhost?shared_cache=c&runtime_dir=/nowhere&forget_writes={given}"
    for client in (front.from_url(url), front(connection_pool=module.ConnectionPool.from_url(url))):
        assert client._glidecache.forget_writes is (given.lower() == "true")


@pytest.mark.parametrize("given", ["yes", "1", "0", "on", "treu"])
@pytest.mark.parametrize("kind", FRONT_KINDS, ids=str)
def test_any_other_text_is_an_error_with_the_right_form(kind: FrontKind, given: str) -> None:
    front, module = kind.client_class(front=True), kind.module(front=True)
    url = f"{kind.library}://localhost?shared_cache=c&forget_writes={given}"
    text = rf"forget_writes is '{given}'; it must be True or False \(in a URL: true or false\)"
    for make in (
        lambda: front.from_url(url),
        lambda: front(connection_pool=module.ConnectionPool.from_url(url)),
        lambda: front(shared_cache="c", forget_writes=given),
    ):
        with pytest.raises(ConfigurationError, match=text):
            make()


@pytest.mark.parametrize("library", CLASSES)
def test_a_missing_library_is_one_line_that_names_the_extra(library: str) -> None:
    program = f"{without([library])}\nimport glidecache.{library}.asyncio"
    with start(program) as process:
        _, text = process.communicate(timeout=60)
    assert process.returncode == 1
    line = text.splitlines()[-1]
    assert line.startswith(f"ModuleNotFoundError: glidecache.{library} is built on {library}-py")
    assert line.endswith(f"pip install 'glidecached[{library}]'")


@pytest.mark.parametrize("kind", FRONT_KINDS, ids=str)
def test_fronts_have_their_librarys_names(kind: FrontKind) -> None:
    library, front = kind.module(front=False), kind.module(front=True)
    assert set(library.__all__) <= set(front.__all__)
    own = {name for name in library.__all__ if getattr(front, name) is not getattr(library, name)}
    name, cluster = CLASSES[kind.library]
    aliases = {"Redis", "StrictRedis", "RedisCluster"} if kind.library == "valkey" else set()
    assert own == {name, cluster, f"Strict{name}", "from_url"} | (aliases & set(library.__all__))
    assert issubclass(front.from_url(f"{kind.library}://localhost").__class__, getattr(library, name))
    with pytest.raises(AttributeError):
        front.no_such_name  # noqa: B018


@pytest.mark.parametrize(
    ("command", "reads", "ends"),
    [
        (("STRLEN", "k"), True, False),
        (("strlen", "k"), True, False),
        ((b"STRLEN", "k"), True, False),
        (("SET", "k", "v"), False, False),
        (("EVAL", "", 0), False, False),
        (("SORT", "k"), False, False),
        (("NO SUCH", "k"), False, False),
        (("PING",), True, False),
        (("select", 1), False, True),
        ((b"Client", b"tracking", "ON"), False, True),
        (("CLIENT", "ID"), False, False),
        ((bytearray(b"AUTH"), "p"), False, True),
    ],
)
def test_commands_by_their_names(command: tuple[Any, ...], reads: bool, ends: bool) -> None:
    for _ in range(2):
        assert is_known_read(command) is reads
        assert ends_caching(command) is ends
