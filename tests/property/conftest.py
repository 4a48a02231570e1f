"""Hypothesis profiles: `suite` for every run of the tests, `long` for hunting (`make stress`)."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

# A step is dozens of operations on small pools, but opening files takes as long as the file system likes.
_COMMON = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}

settings.register_profile("suite", max_examples=200, stateful_step_count=60, **_COMMON)
settings.register_profile("long", max_examples=3000, stateful_step_count=150, **_COMMON)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))


@pytest.fixture(scope="session")
def machine_directory() -> Iterator[str]:
    """A directory on tmpfs, where pools live in production, for every pool of the session's machines."""
    shm = Path("/dev/shm")  # noqa: S108  # created below with a random name, private to this user
    directory = tempfile.mkdtemp(prefix="glidecache-property-", dir=shm if shm.is_dir() else None)
    yield directory
    shutil.rmtree(directory)
