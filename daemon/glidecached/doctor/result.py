"""The result of a check."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """The severity of a finding."""

    OK = "ok"
    WARN = "warn"
    """It works, and the operator should look at it."""
    FAIL = "fail"
    """It does not work, or is not safe."""
    SKIPPED = "skipped"
    """It could not be checked; `seen` says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the report: what was `seen`, and if that is not well, what to do (`advice`)."""

    check: str
    status: Status
    seen: str
    advice: str = ""


def ok(check: str, seen: str) -> Finding:
    """Return a finding that all is well."""
    return Finding(check=check, status=Status.OK, seen=seen)


def warn(check: str, seen: str, advice: str) -> Finding:
    """Return a finding that the operator should look at."""
    return Finding(check=check, status=Status.WARN, seen=seen, advice=advice)


def fail(check: str, seen: str, advice: str) -> Finding:
    """Return a finding that something is broken or unsafe."""
    return Finding(check=check, status=Status.FAIL, seen=seen, advice=advice)


def skipped(check: str, reason: str, advice: str = "") -> Finding:
    """Return a finding that could not be checked."""
    return Finding(check=check, status=Status.SKIPPED, seen=reason, advice=advice)
