"""System checks make caches too, Django's own among them: they are to report a fault, and not to end by it."""

from __future__ import annotations

from inspect import currentframe

from django.apps import apps
from django.core.checks import registry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType


def is_for_a_check() -> bool:
    """Return whether this call comes from Django's system checks, among which ours (`cache_checks`) will report.

    Nothing else shows it: the checks run in no fixed order. For an error's path alone: it goes through all callers.
    """
    if not (apps.ready and apps.is_installed("glidecache.django")):
        return False
    frame: FrameType | None = currentframe()
    while frame is not None:
        if frame.f_globals.get("__name__") == registry.__name__:
            return True
        frame = frame.f_back
    return False
