"""Errors that keep files from being laid down, removed or put into service."""

from __future__ import annotations


class HostError(Exception):
    """It cannot be done: the text says what is in the way, where, and what would be right, in one line."""


class NothingInstalledError(HostError):
    """There is no record of an installation below that prefix."""
