"""Replies as GLIDE's results, from RESP2's shapes and RESP3's alike (contract C5).

The daemon passes replies on as the server sent them. A map comes as a map or as a flat list, depending on the server's
protocol. Each function takes any of the shapes and returns a fresh object. If a function's name does not say
`optional`, `None` is the server's answer that there is nothing to decode, and stays None.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Literal


def to_status(_reply: Any) -> Literal["OK"]:
    """Return the result of a command that can only answer OK."""
    return "OK"


def to_optional_status(reply: Any) -> Any:
    """Return `"OK"`, or the server's other answer: None if a condition was not met."""
    return "OK" if reply == b"OK" else reply  # bytes when the client asks the servers directly


def to_text(reply: bytes | Literal["OK"]) -> str:
    """Decode a human-readable status to text."""
    return reply if isinstance(reply, str) else reply.decode("utf-8", "replace")


def to_bool(reply: Any) -> bool:
    """Decode 0 and 1, or RESP3's booleans."""
    return bool(reply)


def to_bools(reply: list[Any]) -> list[bool]:
    """Decode a list of 0s and 1s."""
    return [bool(item) for item in reply]


def to_float(reply: Any) -> float:
    """Decode a double: RESP3's own, or RESP2's decimal digits."""
    return float(reply)


def to_optional_float(reply: Any) -> float | None:
    """Decode a double, or None."""
    return None if reply is None else float(reply)


def to_optional_floats(reply: list[Any]) -> list[float | None]:
    """Decode doubles, each of which may be None."""
    return [None if item is None else float(item) for item in reply]


def to_set(reply: Any) -> set[bytes]:
    """Decode a set, or RESP2's list."""
    return reply if type(reply) is set else set(reply)


def to_map(reply: Any) -> dict[bytes, Any]:
    """Decode a map, or RESP2's flat list of keys and values."""
    if isinstance(reply, dict):
        return reply
    return dict(zip(reply[::2], reply[1::2], strict=True))


def to_pairs(reply: list[Any]) -> list[list[Any]]:
    """Decode pairs: RESP3's nested ones, or RESP2's flat list."""
    if not reply or isinstance(reply[0], list):
        return reply
    return [[reply[index], reply[index + 1]] for index in range(0, len(reply), 2)]


def to_scores(reply: Any) -> dict[bytes, float]:
    """Decode members with their scores, in the server's order."""
    if isinstance(reply, dict):
        return {member: float(score) for member, score in reply.items()}
    return {member: float(score) for member, score in to_pairs(reply)}


def to_score_pairs(reply: list[Any]) -> list[list[Any]]:
    """Decode pairs of member and score; a member may come more than once."""
    return [[member, float(score)] for member, score in to_pairs(reply)]


def to_optional_rank_and_score(reply: list[Any] | None) -> list[int | float] | None:
    """Decode `[rank, score]`, or None."""
    return None if reply is None else [reply[0], float(reply[1])]


def to_optional_popped_score(reply: list[Any] | None) -> list[bytes | float] | None:
    """Decode `[key, member, score]`, or None."""
    return None if reply is None else [reply[0], reply[1], float(reply[2])]


def to_optional_popped_scores(reply: list[Any] | None) -> list[Any] | None:
    """Decode `[key, {member: score}]`, or None."""
    return None if reply is None else [reply[0], to_scores(reply[1])]


def to_optional_popped(reply: list[Any] | None) -> dict[bytes, list[bytes]] | None:
    """Decode `{key: [element, …]}`, or None."""
    return None if reply is None else {reply[0]: reply[1]}


def to_libraries(reply: list[Any]) -> list[dict[bytes, Any]]:
    """Decode `FUNCTION LIST`: each library, with its functions as maps and their flags as sets."""
    libraries = [to_map(library) for library in reply]
    for library in libraries:
        functions = [to_map(function) for function in library.get(b"functions", ())]
        for function in functions:
            function[b"flags"] = to_set(function.get(b"flags", ()))
        library[b"functions"] = functions
    return libraries


def to_function_stats(reply: Any) -> dict[bytes, Any]:
    """Decode `FUNCTION STATS`: the running function, or None, and each engine's numbers."""
    stats = to_map(reply)
    running = stats[b"running_script"]
    engines = {name: to_map(numbers) for name, numbers in to_map(stats[b"engines"]).items()}
    return {**stats, b"running_script": None if running is None else to_map(running), b"engines": engines}


def to_positions(reply: list[Any]) -> list[list[float] | None]:
    """Decode positions as `[longitude, latitude]`, each of which may be None."""
    return [None if item is None else [float(item[0]), float(item[1])] for item in reply]


def to_found_places(reply: list[list[Any]]) -> list[list[Any]]:
    """Decode members with the other values asked for: a distance, a hash, a position."""
    return [[member, [_place_detail(detail) for detail in details]] for member, *details in reply]


def _place_detail(detail: Any) -> Any:
    if isinstance(detail, list):
        return [float(degrees) for degrees in detail]
    return detail if isinstance(detail, int) else float(detail)


def to_maps(reply: list[Any]) -> list[dict[bytes, Any]]:
    """Decode a list of maps."""
    return [to_map(item) for item in reply]


def to_entries(reply: list[Any]) -> dict[bytes, Any]:
    """Decode a stream's entries by ID, each as pairs of field and value; None for one deleted while it was pending.

    Before Valkey 7 a claimed entry that was deleted comes as None without an ID: it is left out.
    """
    return {item[0]: None if item[1] is None else to_pairs(item[1]) for item in reply if item is not None}


def to_streams(reply: Any) -> dict[bytes, dict[bytes, Any]]:
    """Decode the entries of several streams, by key."""
    items = reply.items() if isinstance(reply, dict) else reply
    return {key: to_entries(entries) for key, entries in items}


def to_claimed(reply: list[Any]) -> list[Any]:
    """Decode `XAUTOCLAIM`: the ID to continue from, the entries, and from Valkey 7 on the IDs of deleted ones."""
    return [reply[0], to_entries(reply[1]), *reply[2:]]


def to_whole_stream(reply: Any) -> dict[bytes, Any]:
    """Decode `XINFO STREAM … FULL`: a map, with its groups as maps, and their consumers as maps."""
    stream = to_map(reply)
    groups = to_maps(stream[b"groups"])
    for group in groups:
        group[b"consumers"] = to_maps(group[b"consumers"])
    return {**stream, b"groups": groups}


def to_memory_figures(reply: Any) -> dict[bytes, Any]:
    """Decode `MEMORY STATS`: databases as maps, ratios as floats, which RESP2 has as text."""

    def figure(value: Any) -> Any:
        if isinstance(value, list):
            return to_map(value)
        return float(value) if isinstance(value, bytes) else value

    return {name: figure(value) for name, value in to_map(reply).items()}


def optional(decode: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return `decode` for replies that may be None."""
    return _Optional(decode)


class _Optional:
    """A decoder that leaves None as it is. An object of a class, so that commands can be pickled."""

    __slots__ = ("_decode",)

    def __init__(self, decode: Callable[[Any], Any]) -> None:
        self._decode = decode

    def __call__(self, reply: Any) -> Any:
        return None if reply is None else self._decode(reply)
