"""A command that is sent, and the conversion of its reply to the method's result."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Generic, TypeVar

    Result_co = TypeVar("Result_co", covariant=True)

    class _CommandOf(Generic[Result_co]):
        """The base of `Command`, generic to type checkers. At run time `typing` would cost more than the command."""

else:
    Result_co = None

    class _CommandOf:
        __slots__ = ()

        def __class_getitem__(cls, _result: object) -> type:
            return cls


class Command(_CommandOf[Result_co]):
    """One command, ready to be sent, and the decoding of its reply to a result.

    `args` are the command's name and its arguments, encoded. `decode` turns the server's reply, RESP2's shape as well
    as RESP3's, into the documented result; None: the reply is the result. Immutable once made; it may be run any
    number of times, alone or in batches.
    """

    __slots__ = ("args", "decode")

    def __init__(self, args: list[bytes], decode: Callable[[Any], Result_co] | None = None) -> None:
        self.args = args
        self.decode = decode

    def result(self, reply: Any) -> Result_co:
        """Return the result of the command's method for this reply, which is not an error."""
        return reply if self.decode is None else self.decode(reply)
