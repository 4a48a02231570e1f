"""The results of the library's own calls, made from entries' values."""

from __future__ import annotations

from glidecache.fronts.command_classes import KINDS, MANY
from glidecache_shared.protocol import HASH, SET, STRING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    Callbacks = Mapping[str, Callable[..., Any]]

_NAMES = {kind: name for name, kind in KINDS.items() if name.isupper()}
_SAMPLES: dict[int, Any] = {STRING: b"v", HASH: {b"f": b"v"}, SET: {b"m"}, MANY: [b"v"]}


class ReplyShapes:
    """The form of a client's replies: text or bytes, and its response callbacks.

    encoder: the library's, of this client. resp3: whether its connections speak RESP3.
    sets: whether they hand a set to the callbacks as a `set`.
    callbacks: the client's own, a mapping that the application may change at any time.
    node_callbacks: those that a reply passes before it comes to `callbacks`; None where there are no others.
    """

    __slots__ = (
        "_callbacks",
        "_decoded",
        "_defaults",
        "_encoder",
        "_get",
        "_node_callbacks",
        "_plain",
        "_resp3",
        "_sets",
    )

    def __init__(
        self,
        encoder: Any,
        callbacks: Callbacks,
        *,
        resp3: bool,
        sets: bool,
        node_callbacks: Callbacks | None = None,
    ) -> None:
        self._encoder = encoder
        self._decoded = bool(encoder.decode_responses)
        self._callbacks = callbacks
        self._node_callbacks: Callbacks = {} if node_callbacks is None else node_callbacks
        # The libraries' own dictionary folds the case of a name in Python, at each look-up; names are stored in one.
        self._get: Callable[..., Any] = dict.get if isinstance(callbacks, dict) else type(callbacks).get
        self._resp3 = resp3
        self._sets = sets
        self._defaults = {kind: callbacks.get(name) for kind, name in _NAMES.items()}
        # Where the library's own callbacks make of a reply what an entry's value is, nothing has to be done.
        self._plain = {kind: self._is_plain(kind) for kind in _NAMES}

    def result(self, kind: int, value: Any) -> Any:
        """Return the result for an entry of this kind, or for a list of strings, as the client returns it."""
        callback = self._get(self._callbacks, _NAMES[kind])
        value = self._text(kind, value) if self._decoded else value
        if callback is self._defaults[kind] and self._plain[kind]:
            return value
        return self._called_back(kind, callback, value)

    def _is_plain(self, kind: int) -> bool:
        sample = _SAMPLES[kind]
        found = self._called_back(kind, self._defaults[kind], sample)
        return type(found) is type(sample) and found == sample

    def _called_back(self, kind: int, callback: Callable[..., Any] | None, value: Any) -> Any:
        """Return the callbacks' result for the reply, which is first brought into the form that the library parses."""
        if kind == HASH and not self._resp3:
            value = [each for pair in value.items() for each in pair]
        elif kind == SET and not self._sets:
            value = list(value)
        of_node = self._node_callbacks.get(_NAMES[kind])
        if of_node is not None:
            value = of_node(value)
        return value if callback is None else callback(value)

    def _text(self, kind: int, value: Any) -> Any:
        encoding, errors = self._encoder.encoding, self._encoder.encoding_errors
        if kind == STRING:
            return None if value is None else value.decode(encoding, errors)
        if kind == MANY:
            return [each if each is None else each.decode(encoding, errors) for each in value]
        if kind == SET:
            return {each.decode(encoding, errors) for each in value}
        return {
            field.decode(encoding, errors): each.decode(encoding, errors) for field, each in value.items()
        }
