"""Plans of scripts and functions; `invoke_script`, which may take two steps, is part of the clients."""

from __future__ import annotations

from glidecache.commands.command import Plan
from glidecache.commands.decoding import to_bools, to_function_stats, to_libraries, to_status
from glidecache.commands.encoding import encode, encode_command, encode_each, encode_optional
from glidecache.commands.options.option_checks import optional_keyword
from glidecache.commands.options.script import FunctionRestorePolicy
from glidecache.commands.options.server import FlushMode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, Literal

    from glidecache.commands.encoding import Argument


def script_exists(sha1s: Iterable[Argument]) -> Plan[list[bool]]:
    """Return whether the server knows the scripts of these hashes (`SCRIPT EXISTS`)."""
    return Plan([b"SCRIPT", b"EXISTS", *encode_each(sha1s, "sha1s")], to_bools)


def script_show(sha1: Argument) -> Plan[bytes]:
    """Return the source of a script that the server knows (`SCRIPT SHOW`; Valkey 8)."""
    return Plan(encode_command(b"SCRIPT", b"SHOW", sha1))


def script_flush(mode: FlushMode | None = None) -> Plan[Literal["OK"]]:
    """Make the server forget all scripts (`SCRIPT FLUSH`)."""
    return Plan([b"SCRIPT", b"FLUSH", *optional_keyword(mode, FlushMode, "mode")], to_status)


def script_kill() -> Plan[Literal["OK"]]:
    """Stop the running script, if it has not written yet (`SCRIPT KILL`)."""
    return Plan([b"SCRIPT", b"KILL"], to_status)


def fcall(
    function: Argument, keys: Iterable[Argument] | None = None, arguments: Iterable[Argument] | None = None
) -> Plan[Any]:
    """Call a function of a library on the server (`FCALL`)."""
    return Plan([*encode_command(b"FCALL", function), *operands(keys, arguments)])


def fcall_ro(
    function: Argument, keys: Iterable[Argument] | None = None, arguments: Iterable[Argument] | None = None
) -> Plan[Any]:
    """Call a function that only reads (`FCALL_RO`)."""
    return Plan([*encode_command(b"FCALL_RO", function), *operands(keys, arguments)])


def function_load(library_code: Argument, replace: bool = False) -> Plan[bytes]:
    """Load a library of functions (`FUNCTION LOAD`). Return its name."""
    options = [b"REPLACE"] if replace else []
    return Plan([b"FUNCTION", b"LOAD", *options, encode(library_code, "library_code")])


def function_list(
    library_name_pattern: Argument | None = None, with_code: bool = False
) -> Plan[list[dict[bytes, Any]]]:
    """Return the libraries of functions, each a map (`FUNCTION LIST`)."""
    args = [b"FUNCTION", b"LIST"]
    if library_name_pattern is not None:
        args += encode_command(b"LIBRARYNAME", library_name_pattern)
    if with_code:
        args.append(b"WITHCODE")
    return Plan(args, to_libraries)


def function_delete(library_name: Argument) -> Plan[Literal["OK"]]:
    """Delete a library of functions (`FUNCTION DELETE`)."""
    return Plan(encode_command(b"FUNCTION", b"DELETE", library_name), to_status)


def function_flush(mode: FlushMode | None = None) -> Plan[Literal["OK"]]:
    """Delete all libraries of functions (`FUNCTION FLUSH`)."""
    return Plan([b"FUNCTION", b"FLUSH", *optional_keyword(mode, FlushMode, "mode")], to_status)


def function_kill() -> Plan[Literal["OK"]]:
    """Stop the running function, if it has not written yet (`FUNCTION KILL`)."""
    return Plan([b"FUNCTION", b"KILL"], to_status)


def function_stats() -> Plan[dict[bytes, Any]]:
    """Return the running function, and each engine's number of libraries and functions (`FUNCTION STATS`)."""
    return Plan([b"FUNCTION", b"STATS"], to_function_stats)


def function_dump() -> Plan[bytes]:
    """Return all libraries in the server's own serialised form (`FUNCTION DUMP`)."""
    return Plan([b"FUNCTION", b"DUMP"])


def function_restore(payload: Argument, policy: FunctionRestorePolicy | None = None) -> Plan[Literal["OK"]]:
    """Load the result of `function_dump` (`FUNCTION RESTORE`)."""
    options = optional_keyword(policy, FunctionRestorePolicy, "policy")
    return Plan([b"FUNCTION", b"RESTORE", encode(payload, "payload"), *options], to_status)


def operands(keys: Iterable[Argument] | None, arguments: Iterable[Argument] | None) -> list[bytes]:
    """Return the number of keys, the keys, and the other arguments, as scripts and functions take them."""
    encoded = encode_optional(keys, "keys")
    return [b"%d" % len(encoded), *encoded, *encode_optional(arguments, "arguments")]
