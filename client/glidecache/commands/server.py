"""Plans of the server commands."""

from __future__ import annotations

from glidecache.commands.command import Plan
from glidecache.commands.decoding import to_map, to_status
from glidecache.commands.encoding import each_of, encode_command, encode_each, encode_optional, encode_pairs
from glidecache.commands.options.option_checks import keyword, optional_keyword
from glidecache.commands.options.server import ClientPauseMode, FlushMode, InfoSection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Literal

    from glidecache.commands.encoding import AnyMapping, Argument


def ping(message: Argument | None = None) -> Plan[bytes]:
    """Return `b"PONG"`, or the message, from the server (`PING`)."""
    return Plan([b"PING"] if message is None else encode_command(b"PING", message))


def echo(message: Argument) -> Plan[bytes]:
    """Return the message, back from the server (`ECHO`)."""
    return Plan(encode_command(b"ECHO", message))


def info(sections: Iterable[InfoSection] | None = None) -> Plan[bytes]:
    """Return the server's information, as text of lines `name:value` (`INFO`)."""
    wanted = () if sections is None else each_of(sections, "sections")
    return Plan([b"INFO", *(keyword(section, InfoSection, "a section") for section in wanted)])


def dbsize() -> Plan[int]:
    """Return how many keys the database has (`DBSIZE`)."""
    return Plan([b"DBSIZE"])


def flushall(flush_mode: FlushMode | None = None) -> Plan[Literal["OK"]]:
    """Delete all keys of all databases (`FLUSHALL`). The cache is not touched (contract C15)."""
    return Plan([b"FLUSHALL", *optional_keyword(flush_mode, FlushMode, "flush_mode")], to_status)


def flushdb(flush_mode: FlushMode | None = None) -> Plan[Literal["OK"]]:
    """Delete all keys of the database (`FLUSHDB`). The cache is not touched (contract C15)."""
    return Plan([b"FLUSHDB", *optional_keyword(flush_mode, FlushMode, "flush_mode")], to_status)


def time() -> Plan[list[bytes]]:
    """Return the server's clock: Unix seconds, and microseconds within the second (`TIME`)."""
    return Plan([b"TIME"])


def lastsave() -> Plan[int]:
    """Return the Unix time of the last successful save (`LASTSAVE`)."""
    return Plan([b"LASTSAVE"])


def save() -> Plan[Literal["OK"]]:
    """Save to disk; the server does nothing else meanwhile (`SAVE`)."""
    return Plan([b"SAVE"], to_status)


def bgsave() -> Plan[bytes]:
    """Save to disk in the background (`BGSAVE`). Return the server's status text."""
    return Plan([b"BGSAVE"])


def bgsave_schedule() -> Plan[bytes]:
    """Do as `bgsave`, but after a running log rewrite (`BGSAVE SCHEDULE`)."""
    return Plan([b"BGSAVE", b"SCHEDULE"])


def bgsave_cancel() -> Plan[bytes]:
    """Stop a running or scheduled `bgsave` (`BGSAVE CANCEL`; Valkey 8.1)."""
    return Plan([b"BGSAVE", b"CANCEL"])


def bgrewriteaof() -> Plan[bytes]:
    """Rewrite the append-only log in the background (`BGREWRITEAOF`). Return the server's status text."""
    return Plan([b"BGREWRITEAOF"])


def config_get(parameters: Iterable[Argument]) -> Plan[dict[bytes, bytes]]:
    """Return the server's settings of these names or patterns (`CONFIG GET`)."""
    return Plan([b"CONFIG", b"GET", *encode_each(parameters, "parameters")], to_map)


def config_set(parameters_map: AnyMapping[Argument, Argument]) -> Plan[Literal["OK"]]:
    """Change settings of the server (`CONFIG SET`)."""
    return Plan([b"CONFIG", b"SET", *encode_pairs(parameters_map, "parameters_map")], to_status)


def config_resetstat() -> Plan[Literal["OK"]]:
    """Reset the server's statistics (`CONFIG RESETSTAT`)."""
    return Plan([b"CONFIG", b"RESETSTAT"], to_status)


def config_rewrite() -> Plan[Literal["OK"]]:
    """Write the settings in force to the server's configuration file (`CONFIG REWRITE`)."""
    return Plan([b"CONFIG", b"REWRITE"], to_status)


def client_id() -> Plan[int]:
    """Return the server's id of the connection that carried the request, one of the daemon's (`CLIENT ID`)."""
    return Plan([b"CLIENT", b"ID"])


def client_getname() -> Plan[bytes | None]:
    """Return the name of the connection that carried the request, which the daemon set (`CLIENT GETNAME`)."""
    return Plan([b"CLIENT", b"GETNAME"])


def client_pause(timeout: int, mode: ClientPauseMode | None = None) -> Plan[Literal["OK"]]:
    """Make the server hold back all commands, or all writes, for `timeout` milliseconds (`CLIENT PAUSE`)."""
    args = encode_command(b"CLIENT", b"PAUSE", timeout)
    return Plan([*args, *optional_keyword(mode, ClientPauseMode, "mode")], to_status)


def client_unpause() -> Plan[Literal["OK"]]:
    """End a pause (`CLIENT UNPAUSE`)."""
    return Plan([b"CLIENT", b"UNPAUSE"], to_status)


def wait(numreplicas: int, timeout: int) -> Plan[int]:
    """Wait until replicas have the writes, at most `timeout` milliseconds (`WAIT`). Return how many have them.

    The daemon's connections are shared, and a command that waits has one of its own. `WAIT` counts the writes of that
    connection, which has none. So the result is the number of replicas, and does not say that a write has arrived.
    """
    return Plan(encode_command(b"WAIT", numreplicas, timeout))


def lolwut(version: int | None = None, parameters: Iterable[int] | None = None) -> Plan[bytes]:
    """Return the server's version and a piece of art (`LOLWUT`)."""
    args = [b"LOLWUT"]
    if version is not None:
        args += encode_command(b"VERSION", version)
    return Plan([*args, *encode_optional(parameters, "parameters")])
