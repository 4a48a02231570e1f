"""The steps of `invoke_script`: by the script's hash, and as a whole if the server does not know it."""

from __future__ import annotations

from glidecache.commands.command import Plan
from glidecache.commands.options.option_checks import need
from glidecache.commands.options.script import Script
from glidecache.commands.scripting import operands

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from glidecache.commands.encoding import Argument
    from glidecache.errors import RequestError


def by_hash(script: Script, keys: Iterable[Argument] | None, args: Iterable[Argument] | None) -> Plan[Any]:
    """Run a script that the server knows (`EVALSHA`)."""
    need(script, Script, "script")
    return Plan([b"EVALSHA", script.get_hash().encode(), *operands(keys, args)])


def by_code(script: Script, keys: Iterable[Argument] | None, args: Iterable[Argument] | None) -> Plan[Any]:
    """Run a script as a whole (`EVAL`). The server that has the keys knows it from then on."""
    return Plan([b"EVAL", script.code, *operands(keys, args)])


def loading(script: Script) -> Plan[bytes]:
    """Load a script into servers (`SCRIPT LOAD`)."""
    return Plan([b"SCRIPT", b"LOAD", script.code])


def is_unknown(error: RequestError) -> bool:
    """Return whether the server's error says that it does not know the script; then no part of it has run."""
    return str(error).startswith("NOSCRIPT")
