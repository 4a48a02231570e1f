"""What a check comes to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How serious a finding is."""

    OK = "ok"
    WARN = "warn"
    """It works, and somebody should look at it."""
    FAIL = "fail"
    """It does not work, or is not safe."""
    SKIPPED = "skipped"
    """It could not be looked at; what was seen says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the examination: what was `seen`, and where that is not well, what to do (`advice`)."""

    check: str
    status: Status
    seen: str
    advice: str = ""


def ok(check: str, seen: str) -> Finding:
    """All is well."""
    return Finding(check=check, status=Status.OK, seen=seen)


def warn(check: str, seen: str, advice: str) -> Finding:
    """Somebody should look at it."""
    return Finding(check=check, status=Status.WARN, seen=seen, advice=advice)


def fail(check: str, seen: str, advice: str) -> Finding:
    """Something is broken or unsafe."""
    return Finding(check=check, status=Status.FAIL, seen=seen, advice=advice)


def skipped(check: str, reason: str, advice: str = "") -> Finding:
    """It could not be looked at."""
    return Finding(check=check, status=Status.SKIPPED, seen=reason, advice=advice)
