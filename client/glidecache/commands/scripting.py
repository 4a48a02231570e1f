"""Commands that run scripts and functions, and the steps of `invoke_script`."""

from __future__ import annotations

from glidecache.commands.command import Command
from glidecache.commands.decoding import to_bools, to_function_stats, to_libraries, to_status
from glidecache.commands.encoding import (
    encode,
    encode_command,
    encode_each,
    encode_optional,
    need,
    optional_keyword,
)
from glidecache.commands.options.server import FlushMode, FunctionRestorePolicy, Script

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, Literal

    from glidecache.commands.encoding import Argument
    from glidecache.errors import RequestError


def script_exists(sha1s: Iterable[Argument]) -> Command[list[bool]]:
    """Return whether the server knows the scripts of these hashes (`SCRIPT EXISTS`)."""
    return Command([b"SCRIPT", b"EXISTS", *encode_each(sha1s, "sha1s")], to_bools)


def script_show(sha1: Argument) -> Command[bytes]:
    """Return the source of a script that the server knows (`SCRIPT SHOW`; Valkey 8)."""
    return Command(encode_command(b"SCRIPT", b"SHOW", sha1))


def script_flush(mode: FlushMode | None = None) -> Command[Literal["OK"]]:
    """Make the server forget all scripts (`SCRIPT FLUSH`)."""
    return Command([b"SCRIPT", b"FLUSH", *optional_keyword(mode, FlushMode, "mode")], to_status)


def script_kill() -> Command[Literal["OK"]]:
    """Stop the running script, if it has not written yet (`SCRIPT KILL`)."""
    return Command([b"SCRIPT", b"KILL"], to_status)


def fcall(
    function: Argument, keys: Iterable[Argument] | None = None, arguments: Iterable[Argument] | None = None
) -> Command[Any]:
    """Call a function of a library on the server (`FCALL`)."""
    return Command([*encode_command(b"FCALL", function), *operands(keys, arguments)])


def fcall_ro(
    function: Argument, keys: Iterable[Argument] | None = None, arguments: Iterable[Argument] | None = None
) -> Command[Any]:
    """Call a function that only reads (`FCALL_RO`)."""
    return Command([*encode_command(b"FCALL_RO", function), *operands(keys, arguments)])


def function_load(library_code: Argument, replace: bool = False) -> Command[bytes]:
    """Load a library of functions (`FUNCTION LOAD`). Return its name."""
    options = [b"REPLACE"] if replace else []
    return Command([b"FUNCTION", b"LOAD", *options, encode(library_code, "library_code")])


def function_list(
    library_name_pattern: Argument | None = None, with_code: bool = False
) -> Command[list[dict[bytes, Any]]]:
    """Return the libraries of functions, each a map (`FUNCTION LIST`)."""
    args = [b"FUNCTION", b"LIST"]
    if library_name_pattern is not None:
        args += encode_command(b"LIBRARYNAME", library_name_pattern)
    if with_code:
        args.append(b"WITHCODE")
    return Command(args, to_libraries)


def function_delete(library_name: Argument) -> Command[Literal["OK"]]:
    """Delete a library of functions (`FUNCTION DELETE`)."""
    return Command(encode_command(b"FUNCTION", b"DELETE", library_name), to_status)


def function_flush(mode: FlushMode | None = None) -> Command[Literal["OK"]]:
    """Delete all libraries of functions (`FUNCTION FLUSH`)."""
    return Command([b"FUNCTION", b"FLUSH", *optional_keyword(mode, FlushMode, "mode")], to_status)


def function_kill() -> Command[Literal["OK"]]:
    """Stop the running function, if it has not written yet (`FUNCTION KILL`)."""
    return Command([b"FUNCTION", b"KILL"], to_status)


def function_stats() -> Command[dict[bytes, Any]]:
    """Return the running function, and each engine's number of libraries and functions (`FUNCTION STATS`)."""
    return Command([b"FUNCTION", b"STATS"], to_function_stats)


def function_dump() -> Command[bytes]:
    """Return all libraries in the server's own serialised form (`FUNCTION DUMP`)."""
    return Command([b"FUNCTION", b"DUMP"])


def function_restore(
    payload: Argument, policy: FunctionRestorePolicy | None = None
) -> Command[Literal["OK"]]:
    """Load the result of `function_dump` (`FUNCTION RESTORE`)."""
    options = optional_keyword(policy, FunctionRestorePolicy, "policy")
    return Command([b"FUNCTION", b"RESTORE", encode(payload, "payload"), *options], to_status)


def operands(keys: Iterable[Argument] | None, arguments: Iterable[Argument] | None) -> list[bytes]:
    """Return the number of keys, the keys, and the other arguments, as scripts and functions take them."""
    encoded = encode_optional(keys, "keys")
    return [b"%d" % len(encoded), *encoded, *encode_optional(arguments, "arguments")]


class ScriptCall:
    """One call of `invoke_script`: by the script's hash, and as a whole if the server does not know the script.

    Raises `TypeError` for arguments of other types.
    """

    def __init__(
        self, script: Script, keys: Iterable[Argument] | None, args: Iterable[Argument] | None
    ) -> None:
        self._operands = operands(encode_optional(keys, "keys"), encode_optional(args, "args"))
        need(script, Script, "script")
        self._script = script

    def by_hash(self) -> Command[Any]:
        """Return the call of a script that the server knows (`EVALSHA`)."""
        return Command([b"EVALSHA", self._script.get_hash().encode(), *self._operands])

    def by_code(self) -> Command[Any]:
        """Return the call of the whole script (`EVAL`). The server that has the keys knows it from then on."""
        return Command([b"EVAL", self._script.code, *self._operands])

    def load(self) -> Command[bytes]:
        """Return the command that loads the script into servers (`SCRIPT LOAD`)."""
        return Command([b"SCRIPT", b"LOAD", self._script.code])

    @staticmethod
    def is_unknown(error: RequestError) -> bool:
        """Return whether the server's error says that it does not know the script; then no part of it has run."""
        return str(error).startswith("NOSCRIPT")
