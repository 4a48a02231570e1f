"""Log events: a constant text, and fields whose names neither `logging` nor the log's lines use (CONTRIBUTING.md)."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest

from glidecached.log_lines import LINE_KEYS, RECORD_ATTRIBUTES
from support.process import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROOTS = ("client", "daemon", "shared")
CLIENT = "client/"
"""The client library's texts have the fields' facts, too, as `%s`: applications' formatters show only the text."""

FORWARDS = "client/glidecache/logger.py"
"""GLIDE's logger forwards the application's own messages."""

_METHODS = {"debug", "info", "warning", "error", "exception", "critical", "log"}
_LOGGERS = {"logger", "_logger", "getLogger"}
_FORBIDDEN = RECORD_ATTRIBUTES | LINE_KEYS
_CALL = re.compile(r"\b(?:logger|_logger\(\))\.(?:debug|info|warning|error|exception|critical|log)\(")
_STRING = re.compile(
    r"""(?:\b[rbuf]*)?"(?:[^"\\\n]|\\.)*"|(?:\b[rbuf]*)?'(?:[^'\\\n]|\\.)*'""", re.IGNORECASE
)
_KEY = re.compile(r"""["'](\w+)["']\s*:""")


def faults_of_python(text: str, *, with_facts: bool) -> Iterator[tuple[int, str]]:
    """Yield the line and the fault of each call that does not log an event."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and _is_logging(node.func):
            yield from ((node.lineno, fault) for fault in _faults_of_call(node, with_facts=with_facts))


def _is_logging(function: ast.expr) -> bool:
    if not isinstance(function, ast.Attribute) or function.attr not in _METHODS:
        return False
    owner = function.value.func if isinstance(function.value, ast.Call) else function.value
    name = owner.attr if isinstance(owner, ast.Attribute) else owner.id if isinstance(owner, ast.Name) else ""
    return name in _LOGGERS


def _faults_of_call(call: ast.Call, *, with_facts: bool) -> Iterator[str]:
    assert isinstance(call.func, ast.Attribute)
    arguments = call.args[1:] if call.func.attr == "log" else call.args
    if not arguments or not isinstance(arguments[0], ast.Constant) or not isinstance(arguments[0].value, str):
        yield "the text is not a constant"
    elif not with_facts and "%" in arguments[0].value:
        yield "data in the text"
    given = next((each.value for each in call.keywords if each.arg == "extra"), None)
    if len(arguments) > 1 and not (with_facts and given is not None):
        yield "arguments for the text"
    if given is not None:
        yield from _faults_of_fields(given)
        if with_facts and len(arguments) == 1:
            yield "the text lacks the facts of its fields"


def _faults_of_fields(fields: ast.expr) -> Iterator[str]:
    if not isinstance(fields, ast.Dict):
        yield "the fields are not written as a dict"
        return
    for key in fields.keys:
        if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
            yield "a field's name is not a constant"
        elif key.value in _FORBIDDEN:
            yield f"a field has the name {key.value}"


def faults_of_cython(text: str) -> Iterator[tuple[int, str]]:
    """Yield the same for a Cython file, as far as patterns can see it."""
    for found in _CALL.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        arguments = list(_arguments(text, found.end()))
        if found[0].endswith(".log("):
            arguments = arguments[1:]
        event, *others = arguments or [""]
        if not _STRING.fullmatch(event) or event[0] not in "\"'":
            yield line, "the text is not a constant"
        elif "%" in event:
            yield line, "data in the text"
        for other in others:
            if re.match(r"extra\s*=", other):
                for name in _KEY.findall(other):
                    if name in _FORBIDDEN:
                        yield line, f"a field has the name {name}"
            elif not re.match(r"exc_info\s*=", other):
                yield line, "arguments for the text"


def _arguments(text: str, start: int) -> Iterator[str]:
    """Yield the arguments of the call whose parenthesis was opened just before `start`."""
    depth = 0
    at = begin = start
    while at < len(text):
        string = _STRING.match(text, at)
        if string:
            at = string.end()
            continue
        each = text[at]
        if each in "([{":
            depth += 1
        elif each in ")]}" and depth:
            depth -= 1
        elif each == ")" or (each == "," and not depth):
            if text[begin:at].strip():
                yield text[begin:at].strip()
            if each == ")":
                return
            begin = at + 1
        at += 1


def faults_of(source: Path) -> list[str]:
    place = str(source.relative_to(ROOT))
    if place == FORWARDS:
        return []
    text = source.read_text()
    found = (
        faults_of_cython(text)
        if source.suffix == ".pyx"
        else faults_of_python(text, with_facts=place.startswith(CLIENT))
    )
    return [f"{place}:{line}: {fault}" for line, fault in found]


def sources() -> list[Path]:
    return [
        source
        for root in ROOTS
        for suffix in ("*.py", "*.pyx")
        for source in sorted((ROOT / root).rglob(suffix))
        if "_generated" not in source.parts
    ]


def test_events_are_constant_texts_with_fields() -> None:
    found = [fault for source in sources() for fault in faults_of(source)]
    assert found == []


GOOD = (
    'logger.info("stopping")',
    'logger.warning("not reachable", extra={"upstream": address, "reason": error})',
    'logger.exception(\n    "callback failed",\n    extra={"callback": repr(callback), "count": len([1, 2])},\n)',
    'logger.log(level, "said", extra={"by": name})',
    'logger.error("failed", exc_info=error)',
)
BAD = (
    'logger.info("%s: stopping", number)',
    'logger.info(f"{number}: stopping")',
    'logger.info("stopping " + number)',
    "logger.info(text)",
    'logger.info("stopping", number)',
    'logger.log(level, "said %s", name)',
    'logger.info("stopping", extra={"name": number})',
    'logger.info("stopping", extra={"pid": 1, "event": number})',
)


@pytest.mark.parametrize("call", GOOD)
def test_an_event_is_accepted(call: str) -> None:
    assert list(faults_of_python(call, with_facts=False)) == []
    assert list(faults_of_cython(call)) == []


@pytest.mark.parametrize("call", BAD)
def test_anything_else_is_found(call: str) -> None:
    assert list(faults_of_python(call, with_facts=False)) != []
    assert list(faults_of_cython(call)) != []


def test_the_clients_texts_have_the_facts_of_their_fields() -> None:
    call = 'logging.getLogger("glidecache").warning("%s does not answer", place{})'
    assert list(faults_of_python(call.format(""), with_facts=True)) != []
    assert list(faults_of_python(call.format(', extra={"daemon": place}'), with_facts=True)) == []
    only_fields = 'logging.getLogger("glidecache").warning("no answer", extra={"daemon": place})'
    assert list(faults_of_python(only_fields, with_facts=True)) != []
