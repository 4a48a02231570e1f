"""Values as short texts for people: numbers with units, names, anything that a client sent.

An unknown number is `–`.
"""

from __future__ import annotations

import reprlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

NOT_KNOWN = "–"

_BYTE_UNITS = ("B", "KB", "MB", "GB", "TB")
_KILO = 1024
_SECONDS_PER = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
_FINE_BELOW = 10
_WHOLE_FROM = 100
_REPR = reprlib.Repr()
_REPR.maxlevel = 2
_REPR.maxstring = _REPR.maxother = 200


def count(number: int | None) -> str:
    """Return `1,234,567`."""
    return NOT_KNOWN if number is None else f"{number:,}"


def counted(number: int, noun: str, nouns: str | None = None) -> str:
    """Return `1 cache`, `2 caches`, `1,234 entries`: `nouns` is the plural where that is not the noun with an s."""
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"


def per_second(rate: float | None) -> str:
    """Return `1,234`; small rates have one decimal: `0.4`."""
    if rate is None:
        return NOT_KNOWN
    return f"{rate:.1f}" if 0 < rate < _FINE_BELOW else f"{rate:,.0f}"


def share(part: float | None) -> str:
    """Return a fraction as `97.3 %`."""
    return NOT_KNOWN if part is None else f"{part:.1%}".replace("%", " %")


def byte_size(number: float) -> str:
    """Return `12.3 MB`; a KB is 1024 bytes, as in `max_cache_kb`."""
    unit = 0
    while number >= _KILO and unit < len(_BYTE_UNITS) - 1:
        number /= _KILO
        unit += 1
    text = f"{number:.0f}" if unit == 0 or number >= _WHOLE_FROM else f"{number:.1f}"
    return f"{text} {_BYTE_UNITS[unit]}"


def duration(seconds: float) -> str:
    """Return `3 d 4 h`, `12 min 5 s`, `7 s`: the two largest units."""
    rest = int(seconds)
    parts: list[str] = []
    for unit, length in _SECONDS_PER:
        number, rest = divmod(rest, length)
        if number or (unit == "s" and not parts):
            parts.append(f"{number} {unit}")
        elif parts:
            break
    return " ".join(parts[:2])


def latency(microseconds: float | None) -> str:
    """Return `0.35 ms`, `12 ms`, `1.2 s`."""
    if microseconds is None:
        return NOT_KNOWN
    milliseconds = microseconds / 1_000
    if milliseconds >= 1_000:  # noqa: PLR2004 - a second
        return f"{milliseconds / 1_000:.1f} s"
    return f"{milliseconds:.2f} ms" if milliseconds < _FINE_BELOW else f"{milliseconds:.0f} ms"


def cache_ttl(settings: Mapping[str, Any]) -> str:
    """Return the time to live of a cache's entries: as `ttl`, or with `server_ttl` as `60 s or key's`, `key's`."""
    entry_ttl_ms = settings["entry_ttl_ms"]
    if not settings["server_ttl"]:
        return ttl(entry_ttl_ms)
    return f"{ttl(entry_ttl_ms)} or key's" if entry_ttl_ms else "key's"


def ttl(milliseconds: int) -> str:
    """Return a time to live: `60 s`, `1.5 s`, `250 ms`, `for ever`."""
    if milliseconds == 0:
        return "for ever"
    if milliseconds < 1_000:  # noqa: PLR2004 - a second
        return f"{milliseconds} ms"
    if milliseconds % 1_000:
        return f"{milliseconds / 1_000:.1f} s"
    return duration(milliseconds / 1_000)


def printable(text: bytes | str, most: int = 0) -> str:
    r"""Return a name or key that cannot harm a terminal: control characters and invalid UTF-8 become `\x1b`.

    With `most`, it is cut to that many characters, the last of them `…`.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "backslashreplace")
    text = "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
    return text if not most or len(text) <= most else text[: most - 1] + "…"


def shown(value: Any, length: int = 40) -> str:
    """Return `repr` of the value, cut to `length` characters.

    The cost is bounded, too: a message may be very long, and nested so deeply that `repr` itself fails.
    """
    return _REPR.repr(value)[:length]
