"""Scripts and functions."""

from __future__ import annotations

from enum import Enum


class FunctionRestorePolicy(Enum):
    """The treatment of existing libraries by `FUNCTION RESTORE`: refuse collisions, delete all, or replace."""

    APPEND = "APPEND"
    FLUSH = "FLUSH"
    REPLACE = "REPLACE"


class Script:
    """A Lua script for `invoke_script`: sent by its hash, and as a whole only if a server does not know it yet.

    Immutable; any number of clients may use it. Raises `TypeError` when `code` is neither str nor bytes.
    """

    __slots__ = ("_hash", "code")

    def __init__(self, code: str | bytes) -> None:
        import hashlib

        if not isinstance(code, (str, bytes)):
            message = f"code must be str or bytes, not {type(code).__name__}"
            raise TypeError(message)
        self.code = code.encode() if isinstance(code, str) else code
        # The server's name for the script, not a protection.
        self._hash = hashlib.sha1(self.code, usedforsecurity=False).hexdigest()

    def __repr__(self) -> str:
        return f"<Script {self._hash}, {len(self.code)} bytes>"

    def get_hash(self) -> str:
        """Return the script's SHA-1 digest, in hexadecimal: the name that servers know it by."""
        return self._hash
