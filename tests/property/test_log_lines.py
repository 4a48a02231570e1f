"""A log line can be read back, whatever its event has in it: as JSON, and as logfmt."""

from __future__ import annotations

import enum
import io
import json
import logging
import math
import re
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glidecached.log_lines import FORMATTERS, LINE_KEYS, RECORD_ATTRIBUTES
from glidecached.logs import BURST, WINDOW_SECONDS, LogHandler, RepeatLimiter

if TYPE_CHECKING:
    from glidecached.log_lines import LogFormat

LONGEST_LINE_BYTES = 48 * 1024
"""The journal's longest line."""

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
PAIR = re.compile(r'([A-Za-z0-9_.\-]+)=("(?:[^"\\]|\\.)*"|[^\s"]+)(?: |$)')


class Textless:
    """A value whose text cannot be had."""

    def __str__(self) -> str:
        message = "\ud800 no\ntext"
        raise ValueError(message)


class Long:
    """A value whose text is long."""

    def __init__(self, filler: str) -> None:
        self.filler = filler

    def __str__(self) -> str:
        return self.filler * 70_000

    def __repr__(self) -> str:
        return f"Long({self.filler!r})"


class Level(enum.IntEnum):
    """A number with another text."""

    HIGH = 3


class Shouting(str):
    """Text with methods of its own."""

    __slots__ = ()

    def __str__(self) -> str:
        return 'broken"\n'


texts = st.text(st.characters(codec=None), max_size=60) | st.sampled_from(
    [
        "",
        " ",
        'x" level=error\nforged',
        "\ud800",
        "\udcff\ud83d\ude00",
        "\x00\r\x1b[31m\x9b\u2028",
        "ü😀",
        "a=b",
    ]
)
huge = st.sampled_from(["x", "\x00", "😀", "\n", '"', "\udcff"]).map(Long)
numbers = (
    st.integers()
    | st.floats(allow_nan=True, allow_infinity=True)
    | st.sampled_from([2**63, -(2**63), 2**63 - 1, 10**4_000, -0.0, 5e-324, Level.HIGH])
)
values: st.SearchStrategy[Any] = st.one_of(
    texts,
    huge,
    numbers,
    st.booleans(),
    st.none(),
    st.binary(max_size=40),
    st.lists(numbers, max_size=3),
    st.just(Textless()),
    st.just(Shouting("quiet")),
    st.builds(OSError, st.integers(1, 100), texts),
)
names = st.text(max_size=80).filter(lambda name: name not in RECORD_ATTRIBUTES) | st.sampled_from(
    sorted(LINE_KEYS - RECORD_ATTRIBUTES)
)
fields = st.dictionaries(names, values, max_size=20)


def record_of(
    event: object, extra: dict[str, Any], level: int, error: BaseException | None
) -> logging.LogRecord:
    logger = logging.Logger("glidecached.test")  # noqa: LOG001 - no other test's
    info = (type(error), error, None) if error is not None else None
    return logger.makeRecord(logger.name, level, "", 0, "%s", (event,), info, None, extra)


def line_of(log_format: LogFormat, record: logging.LogRecord, encoding: str) -> str:
    """Return the one line that a stream of this encoding gets, without its end."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding, errors="backslashreplace", write_through=True)
    handler = LogHandler(stream, {})
    handler.use(log_format)
    handler.handle(record)
    written = raw.getvalue().decode(encoding)
    stream.detach()
    assert written.endswith("\n")
    assert len(written.splitlines()) == 1
    assert len(written.encode()) < LONGEST_LINE_BYTES
    return written[:-1]


def refuse(constant: str) -> None:
    message = f"{constant} is no JSON"
    raise AssertionError(message)


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len(dict(pairs)) == len(pairs), "a key comes twice"
    return dict(pairs)


levels = st.sampled_from([logging.DEBUG, logging.INFO, logging.WARNING, logging.CRITICAL, 25])
errors = st.none() | st.builds(ValueError, texts | huge) | st.builds(ValueError, st.just(Textless()))
encodings = st.sampled_from(["utf-8", "ascii", "latin-1"])


@given(texts | huge, fields, levels, errors, encodings)
def test_a_line_of_json_is_read_back_with_its_types(
    event: str | Long, extra: dict[str, Any], level: int, error: BaseException | None, encoding: str
) -> None:
    line = line_of("json", record_of(event, extra, level, error), encoding)
    found = json.loads(line, parse_constant=refuse, object_pairs_hook=once)
    assert list(found)[:4] == ["time", "level", "logger", "message"]
    assert TIME.fullmatch(found["time"])
    assert (found["level"], found["logger"]) == (logging.getLevelName(level).lower(), "glidecached.test")
    assert ("exception" in found) == (error is not None)
    line.encode("ascii")
    for text in found.values():
        str(text).encode()  # no surrogate alone
    if isinstance(event, str) and event.isprintable() and event.isascii() and len(event) < 40:
        assert found["message"] == event
    for name, value in extra.items():
        if re.fullmatch(r"[A-Za-z0-9_.\-]{1,60}", name) and name not in LINE_KEYS:
            assert_same(found[name], value)


def assert_same(found: object, value: object) -> None:
    """The type is kept where JSON has it, and the number is the same."""
    if value is None or isinstance(value, bool):
        assert found is value
    elif isinstance(value, int) and -(2**63) <= value < 2**63:
        assert type(found) is int
        assert found == value
    elif isinstance(value, float) and math.isfinite(value):
        assert type(found) is float
        assert found == value
    else:
        assert isinstance(found, str)


@given(texts | huge, fields, levels, errors, encodings)
def test_a_line_of_logfmt_is_read_back(
    event: str | Long, extra: dict[str, Any], level: int, error: BaseException | None, encoding: str
) -> None:
    line = line_of("logfmt", record_of(event, extra, level, error), encoding)
    pairs: list[tuple[str, str]] = []
    place = 0
    while place < len(line):
        pair = PAIR.match(line, place)
        assert pair, f"no pair at {line[place : place + 50]!r}"
        value = pair[2]
        # A stream that lacks a character shows it in Python's way.
        pairs.append((pair[1], json.loads(value) if value[0] == '"' and encoding == "utf-8" else value))
        place = pair.end()
    found = once(pairs)
    assert list(found)[:4] == ["time", "level", "logger", "event"]
    assert ("exception" in found) == (error is not None)
    if encoding == "utf-8" and isinstance(event, str) and len(event) < 40:
        assert found["event"] == json.loads(json.dumps(event))  # two surrogates alone become a pair
    if encoding != "utf-8" or len(line) > 8_000:  # nothing was shortened, nothing shown in another way
        return
    for name, value in extra.items():
        if not re.fullmatch(r"[A-Za-z0-9_.\-]{1,60}", name) or name in LINE_KEYS:
            continue
        if type(value) is str or value is None or isinstance(value, bool | float):
            assert found[name] == json.loads(json.dumps(str(value)))


@given(fields)
def test_a_summary_has_the_types_of_the_events_that_it_stands_for(extra: dict[str, Any]) -> None:
    limiter = RepeatLimiter()
    for _ in range(BURST + 2):
        limiter.admit(record_of("refused", extra, logging.WARNING, None), 0.0)
    summaries = list(limiter.ended(WINDOW_SECONDS + 1))
    assert len(summaries) == 1
    found = json.loads(line_of("json", summaries[0], "utf-8"), parse_constant=refuse, object_pairs_hook=once)
    assert (found["message"], found["left_out"]) == ("refused", 2)
    for name, value in list(extra.items())[:16]:
        if re.fullmatch(r"[A-Za-z0-9_.\-]{1,60}", name) and name not in LINE_KEYS:
            assert_same(found[name], value)


@pytest.mark.parametrize("log_format", FORMATTERS)
def test_arguments_that_do_not_fit_their_text_are_no_second_line(
    log_format: LogFormat, capsys: pytest.CaptureFixture[str]
) -> None:
    """Other libraries log too: `logging` would write a traceback of many lines to standard error."""
    record = logging.LogRecord("other", logging.INFO, "", 0, "%d of %s", ("x",), None)
    assert "%d of %s" in line_of(log_format, record, "utf-8")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("log_format", FORMATTERS)
def test_an_integer_of_too_many_digits_for_python_is_no_second_line(log_format: LogFormat) -> None:
    record = record_of("started", {"number": 10**5_000}, logging.INFO, None)
    assert "<int without text: ValueError>" in line_of(log_format, record, "utf-8")


def test_the_journal_gets_priorities_before_the_object() -> None:
    formatter = FORMATTERS["json"](for_journal=True)
    line = formatter.format(record_of("started", {"caches": 2}, logging.WARNING, None))
    assert line.startswith('<4>{"time": "')
    assert json.loads(line[3:])["caches"] == 2


def test_a_traceback_is_one_field() -> None:
    try:
        int("broken\nin two")
    except ValueError:
        info = sys.exc_info()
    record = logging.LogRecord("glidecached", logging.ERROR, "", 0, "it failed", (), info)
    found = json.loads(FORMATTERS["json"](for_journal=False).format(record))
    assert found["exception"].startswith("Traceback (most recent call last):\n")
    assert found["exception"].endswith(r"base 10: 'broken\nin two'")
